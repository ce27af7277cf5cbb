"""What `ray job submit` says of the runtime_env: merged into the bundle, passed on to Ray, or refused."""

from __future__ import annotations

import difflib
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raybundle.cluster.runtime_env import owned
from raybundle.credentials import without_credentials
from raybundle.errors import UsageError
from raybundle.model import Warning
from raybundle.submission.runtime_env_file import kind_of, mapping, read_json, read_yaml

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from raybundle.model import Resolution

MERGED = ("env_vars", "excludes", "py_modules", "working_dir")
"""Keys that the bundle takes up; `excludes` says what Ray need not upload, and a bundle has none of it."""
INSTALLED = ("conda", "pip", "uv")
"""Keys by which Ray makes an environment; it takes one of them (ray/runtime_env/runtime_env.py)."""
HOOK = "worker_process_setup_hook"
"""Ray calls it in each worker, after the bundle's own."""
SILENT = ("_nsight", "_rocprof_sys", "config", "nsight", "rocprof_sys", HOOK)
"""Keys that change nothing of what can be imported."""
_BESIDE = "Ray does not take it beside a `working_dir`, and that is how a bundle reaches the nodes"
_INTERNAL = "Ray sets it itself"
REFUSED = {
    "container": (_BESIDE, "run the cluster's nodes from the image instead"),
    "image_uri": (_BESIDE, "run the cluster's nodes from the image instead"),
    "java_jars": ("a bundle is Python", None),
    "mpi": ("Ray 2.60 has no such key and would ignore it", None),
    "py_executable": (
        "a bundle runs on the interpreter that runs Ray, and checks its version",
        "`--python` says for which interpreter to build",
    ),
    "_inject_current_ray": (_INTERNAL, None),
    "_ray_commit": (_INTERNAL, None),
    "_ray_release": (_INTERNAL, None),
}
"""Keys that are not carried out: why, and what to do instead."""
SET_UP = "Ray sets up `{name}` on each node as the job starts; the bundle's digest does not cover it"
IMPORTABLE = (
    "the job can import what that installs and what it requires; both come before what the bundle brings. "
    "What is installed where the bundle is built needs none of it: it travels"
)
KNOWN = (*MERGED, *INSTALLED, *SILENT, *REFUSED)

_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
"""Ray's own rule: what has a scheme is no path (ray/_private/path_utils.py)."""
_ARCHIVES = (".zip", ".tar.gz", ".tgz", ".tar.xz")
"""What Ray unpacks as a `working_dir`."""
_ELSEWHERE = " is not a local path: a bundle is made from code in a local directory"


@dataclass(frozen=True, slots=True)
class RayEnvironment:
    """What is asked for by `--runtime-env`, `--runtime-env-json` and `--working-dir`."""

    env: Mapping[str, str] = field(default_factory=dict)
    """Environment variables of the job."""
    project: Path | None = None
    """The `working_dir`: absolute, without symbolic links."""
    roots: tuple[str, ...] = ()
    """Absolute directories in Ray's order: those that hold `py_modules`, then the `working_dir`."""
    passed: Mapping[str, Any] = field(default_factory=dict)
    """Keys that go into the job's runtime_env as they are; what files they named has been read."""
    warnings: tuple[Warning, ...] = ()

    @property
    def set_up(self) -> tuple[str, ...]:
        """The distributions that `pip`, `uv` or `conda` name, normalised."""
        from raybundle.resolve.scan.runtime_envs import requirement_names  # noqa: PLC0415 - as for yaml

        lines = [line for name in INSTALLED for line in _listed(self.passed.get(name))]
        return tuple(sorted(set(requirement_names(lines))))


def _listed(value: Any) -> Iterator[str]:
    """Yields the requirements in the value of `pip`, `uv` or `conda`."""
    match value:
        case [*items]:
            for item in items:
                yield from [item] if isinstance(item, str) else _listed(item)
        case {"packages": items} | {"dependencies": items} | {"pip": items}:
            yield from _listed(items)
        case _:
            return


@dataclass(frozen=True, slots=True)
class _Source:
    """An option, and where the keys of its file stand."""

    option: str
    file: Path | None = None
    lines: Mapping[str, int] = field(default_factory=dict)

    def place(self, key: str) -> str:
        line = self.lines.get(key)
        return self.option if line is None else f"{self.option}:{line}"

    def warning(self, key: str, text: str, hint: str) -> Warning:
        shown = text if self.file else f"{self.option}: {text}"
        return Warning(shown, self.file, self.lines.get(key), hint)


@dataclass(frozen=True, slots=True)
class _Faults:
    """What is refused, and what to do about it; all of it is told at once."""

    lines: list[str] = field(default_factory=list)
    hints: list[str] = field(default_factory=list)

    def add(self, place: str, text: str, hint: str | None) -> None:
        self.lines.append(f"{place}: {text}")
        self.hints.append(hint or "remove it")

    def refuse_any(self) -> None:
        if self.lines:
            raise UsageError("\n".join(self.lines), hint="\nhint: ".join(dict.fromkeys(self.hints)))


@dataclass(frozen=True, slots=True)
class _Key:
    """One key of the runtime_env: its name, what it says, and where faults are told."""

    name: str
    value: Any
    source: _Source
    cwd: Path
    faults: _Faults

    def refuse(self, what: str, hint: str | None = None, below: str = "") -> None:
        name = f"{self.name}.{below}" if below else self.name
        self.faults.add(self.source.place(self.name), f"`{name}` {what}", hint)


def read_ray_environment(
    runtime_env: str | None, runtime_env_json: str | None, working_dir: str | None, cwd: Path
) -> RayEnvironment:
    """Returns what the options of `ray job submit` say of the job's environment.

    As with Ray, `--working-dir` comes before the `working_dir` of the other two, and all relative paths,
    those inside a file too, are relative to the current directory (ray/dashboard/modules/dashboard_sdk.py).

    Args:
        runtime_env: path of a YAML file.
        runtime_env_json: JSON object.
        working_dir: directory.
        cwd: the current directory.

    Raises:
        UsageError: they cannot be read, or name what a bundle cannot do; all of that at once.
    """
    source, given = _read(runtime_env, runtime_env_json, cwd)
    faults = _Faults()
    keys = {name: _Key(name, value, source, cwd, faults) for name, value in given.items()}
    if working_dir is not None:
        keys["working_dir"] = _Key("working_dir", working_dir, _Source("--working-dir"), cwd, faults)
    for key in keys.values():
        _refuse_by_name(key)
    keys = {name: key for name, key in keys.items() if key.value is not None and name not in REFUSED}
    env = _env(keys["env_vars"]) if "env_vars" in keys else {}
    roots = _roots(keys["py_modules"]) if "py_modules" in keys else []
    project = _project(keys["working_dir"]) if "working_dir" in keys else None
    passed = {name: _passed(key) for name, key in keys.items() if name in (*INSTALLED, *SILENT)}
    _refuse_two_installers([keys[name] for name in INSTALLED if passed.get(name)])
    faults.refuse_any()
    return RayEnvironment(
        env=env,
        project=project,
        roots=tuple(dict.fromkeys([*roots, *([str(project)] if project else [])])),
        passed={name: value for name, value in passed.items() if value},
        warnings=_warnings(keys, passed),
    )


def check_hook(passed: Mapping[str, Any], resolution: Resolution) -> None:
    """Refuses a `worker_process_setup_hook` that no worker could import.

    Raises:
        UsageError: its module is not in the bundle.
    """
    name = passed.get(HOOK)
    module = str(name).rpartition(".")[0]
    names = {str(each.name) for each in resolution.modules}
    owned_by_others = {
        str(each).partition(".")[0] for one in resolution.distributions for each in one.modules
    }
    if name is not None and module not in names and module.partition(".")[0] not in owned_by_others:
        raise UsageError(
            f"`{HOOK}` {name}: `{module}` is not in the bundle",
            hint=f"write `# raybundle: include={module}` in the driver, or import it there",
        )


def _read(runtime_env: str | None, text: str | None, cwd: Path) -> tuple[_Source, dict[Any, Any]]:
    if runtime_env is not None and text is not None:
        raise UsageError("both --runtime-env and --runtime-env-json are given", hint="keep one of them")
    if runtime_env is not None:
        option = f"--runtime-env {runtime_env}"
        value, lines = read_yaml(cwd / runtime_env, option)
        return _Source(option, Path(runtime_env), lines), mapping(value, option)
    option = "--runtime-env-json"
    return _Source(option), mapping(read_json(text, option) if text is not None else None, option)


def _refuse_by_name(key: _Key) -> None:
    if key.name in REFUSED and key.value is not None:
        reason, hint = REFUSED[key.name]
        key.refuse(f"is refused: {reason}", hint)
    if key.name not in KNOWN:
        close = difflib.get_close_matches(str(key.name), KNOWN, n=1, cutoff=0.6)
        taken = sorted(set(KNOWN) - set(REFUSED))
        hint = f"did you mean `{close[0]}`?" if close else f"known are: {', '.join(taken)}"
        key.refuse("is no key of a runtime_env", hint)


def _env(key: _Key) -> dict[str, str]:
    if not isinstance(key.value, dict):
        key.refuse(f"must be a mapping, and is {kind_of(key.value)}", "write NAME: value")
        return {}
    for name, value in key.value.items():
        if not isinstance(name, str):
            key.refuse("has a name that is not text", "write it in quotes", str(name))
        elif not isinstance(value, str):
            key.refuse(f"must be text, and is {kind_of(value)}", "write the value in quotes", name)
        elif owned(name):
            key.refuse("is the bundle's to set", "directories for imports stand in `roots`", name)
    return dict(key.value)


def _project(key: _Key) -> Path | None:
    """Returns the local directory that is to be the project."""
    value = key.value
    hint = "name a directory that is here; for a bundle that is in the store there is `raybundle run`"
    if not isinstance(value, str):
        key.refuse(f"must be text, and is {kind_of(value)}", hint)
    elif _URI.match(value):
        key.refuse(without_credentials(value) + _ELSEWHERE, hint)
    elif (key.cwd / value).is_dir():
        return (key.cwd / value).resolve()
    elif value.endswith(_ARCHIVES):
        key.refuse(f"{value} is an archive: a bundle is made from code in a local directory", hint)
    else:
        what = "is no directory" if (key.cwd / value).exists() else "does not exist"
        key.refuse(f"{value} {what}", f"relative ones are relative to {key.cwd}")
    return None


def _roots(key: _Key) -> list[str]:
    """Returns the directories that hold the modules."""
    if not isinstance(key.value, list):
        key.refuse(
            f"must be a list, and is {kind_of(key.value)}", "list directories of packages, or .py files"
        )
        return []
    return [root for module in key.value if (root := _root(key, module)) is not None]


def _root(key: _Key, module: Any) -> str | None:
    path = key.cwd / module if isinstance(module, str) else key.cwd
    if not isinstance(module, str):
        key.refuse(
            f"must hold paths, and holds {kind_of(module)}", "list directories of packages, or .py files"
        )
    elif module.partition("?")[0].endswith(".whl"):
        hint = "install it in the environment that the bundle is built for, and on the cluster"
        key.refuse(f"{without_credentials(module)} is a wheel: distributions come from the cluster", hint)
    elif _URI.match(module):
        hint = "name the directory of the package; it travels with what imports it"
        key.refuse(without_credentials(module) + _ELSEWHERE, hint)
    elif path.is_dir() or (path.is_file() and path.suffix == ".py"):
        return str((path.resolve() if path.name == ".." else path).parent.resolve())
    else:
        what = "is neither a directory nor a .py file" if path.exists() else "does not exist"
        key.refuse(f"{module} {what}", f"relative ones are relative to {key.cwd}")
    return None


def _passed(key: _Key) -> Any:
    """Returns the value for Ray; a local file is read, as its own client does: the cluster has it not."""
    match key.name, key.value:
        case "pip" | "uv", str(file):
            value: Any = _requirements(key, file)
        case "pip", {"packages": str(file)}:
            value = {**key.value, "packages": _requirements(key, file)}
        case "conda", str(file) if file.endswith((".yaml", ".yml")):
            value = _conda_file(key, file)
        case _:
            value = key.value
    if problem := _problem(key.name, value):
        key.refuse(*problem)
    return value


def _requirements(key: _Key, file: str) -> list[str]:
    try:
        return (key.cwd / file).read_text("utf-8").strip().split("\n")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        key.refuse(f"{file}: cannot read it: {reason}", f"relative ones are relative to {key.cwd}")
        return []


def _conda_file(key: _Key, file: str) -> Any:
    try:
        return read_yaml(key.cwd / file, file)[0]
    except UsageError as error:
        key.refuse(str(error), f"relative ones are relative to {key.cwd}")
        return {}


def _problem(name: str, value: Any) -> tuple[str, str] | None:
    """Returns why Ray would not take a value, and what it takes."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        return f"holds what JSON cannot carry: {error}", "write dates and the like in quotes"
    packages = value.get("packages") if isinstance(value, dict) else value
    if name in ("pip", "uv") and not (
        isinstance(packages, list) and all(isinstance(p, str) for p in packages)
    ):
        return "has no list of requirements", "give a list, a requirements file, or a mapping with `packages`"
    if name == "conda" and not isinstance(value, (dict, str)):
        return f"is {kind_of(value)}", "give the name of an environment, its YAML file, or what stands in it"
    if name == HOOK and not (isinstance(value, str) and re.fullmatch(r"\w+(\.\w+)+", value)):
        return "is not the name of a function", "write it like package.module.function"
    if name == "config" and not isinstance(value, dict):
        return f"must be a mapping, and is {kind_of(value)}", "such as setup_timeout_seconds: 600"
    return None


def _refuse_two_installers(keys: list[_Key]) -> None:
    for key in keys[1:]:
        key.refuse(f"stands beside `{keys[0].name}`, and Ray takes one of them", f"keep one of {INSTALLED}")


def _warnings(keys: Mapping[str, _Key], passed: Mapping[str, Any]) -> tuple[Warning, ...]:
    code = [keys[name] for name in ("working_dir", "py_modules") if name in keys]
    set_up = [keys[name] for name in INSTALLED if passed.get(name)]
    return (
        *([_code_warning(code)] if code else []),
        *(key.source.warning(key.name, SET_UP.format(name=key.name), IMPORTABLE) for key in set_up),
    )


def _code_warning(keys: list[_Key]) -> Warning:
    names = " and ".join(f"`{key.name}`" for key in keys)
    text = f"of {names} only the files travel that the driver's imports reach, and the data of packages"
    hint = "other files that the job reads: `include` in [tool.raybundle], or --include"
    return keys[0].source.warning(keys[0].name, text, hint)
