"""Merges the runtime_env of `ray job submit` into a bundle, passes its keys on to Ray, or refuses them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from raybundle.cluster.runtime_env import owned
from raybundle.errors import UsageError
from raybundle.formats.credentials import without_credentials
from raybundle.formats.nearest import did_you_mean
from raybundle.submission.runtime_env_source import Faults, Key, Source, kind_of, read_given, read_keys

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from raybundle.model import Resolution, Warning

MERGED = ("env_vars", "excludes", "py_modules", "working_dir")
"""Keys that become part of the bundle."""
INSTALLED = ("conda", "pip", "uv")
"""Keys by which Ray makes an environment; it accepts one of them (ray/runtime_env/runtime_env.py)."""
HOOK = "worker_process_setup_hook"
"""Ray calls it in each worker, after the bundle's own."""
SILENT = ("_nsight", "_rocprof_sys", "config", "nsight", "rocprof_sys", HOOK)
"""Keys that do not change what can be imported."""
_BESIDE = "Ray does not accept it beside a `working_dir`, which is how a bundle reaches the nodes"
_INTERNAL = ("Ray sets it itself", "remove it")
REFUSED = {
    "container": (_BESIDE, "run the cluster's nodes from the image instead"),
    "image_uri": (_BESIDE, "run the cluster's nodes from the image instead"),
    "java_jars": ("a bundle is Python", "remove it"),
    "mpi": ("Ray 2.60 has no such key and would ignore it", "remove it"),
    "py_executable": (
        "a bundle runs on the interpreter that runs Ray, and checks its version",
        "use `--python` to choose the interpreter to build for",
    ),
    "_inject_current_ray": _INTERNAL,
    "_ray_commit": _INTERNAL,
    "_ray_release": _INTERNAL,
}
"""Keys that are refused: why, and what to do instead."""
SET_UP = "Ray sets up `{name}` on each node as the job starts; the bundle's digest does not cover it"
IMPORTABLE = (
    "the job can import what Ray installs this way; it comes before the bundle's distributions on the path. "
    "Packages that are installed where the bundle is built are in the bundle and need no such key"
)
KNOWN = (*MERGED, *INSTALLED, *SILENT, *REFUSED)

_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
"""Ray's rule: text with a scheme is not a path (ray/_private/path_utils.py)."""
_ARCHIVES = (".zip", ".tar.gz", ".tgz", ".tar.xz")
"""Archives that Ray unpacks as a `working_dir`."""
_LISTED = "list directories of packages, or .py files"
_ELSEWHERE = " is not a local path: a bundle is made from code in a local directory"


@dataclass(frozen=True, slots=True)
class RayEnvironment:
    """The content of `--runtime-env`, `--runtime-env-json` and `--working-dir`."""

    env: Mapping[str, str] = field(default_factory=dict)
    """Environment variables of the job."""
    project: Path | None = None
    """The `working_dir`: absolute, without symbolic links."""
    excludes: tuple[str, ...] = ()
    """Patterns of data files of the `working_dir` to leave out, as in `exclude`."""
    roots: tuple[str, ...] = ()
    """Absolute directories in Ray's order: those that hold `py_modules`, then the `working_dir`."""
    passed: Mapping[str, Any] = field(default_factory=dict)
    """Keys that go into the job's runtime_env; local files that they named are replaced by their content."""
    warnings: tuple[Warning, ...] = ()

    @property
    def set_up(self) -> tuple[str, ...]:
        """The distributions that `pip`, `uv` or `conda` name, normalised."""
        lines = [line for name in INSTALLED for line in _listed(self.passed.get(name))]
        if not lines:
            return ()
        from raybundle.resolve.scan.runtime_envs import requirement_names  # noqa: PLC0415 - start-up

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


def read_ray_environment(
    runtime_env: str | None,
    runtime_env_json: str | None,
    working_dir: str | None,
    cwd: Path,
    named: str | None = None,
) -> RayEnvironment:
    """Returns the environment that the options of `ray job submit` describe.

    Args:
        runtime_env: path of a YAML file.
        runtime_env_json: JSON object.
        working_dir: directory; as in Ray, it overrides the `working_dir` of the other options.
        cwd: paths are relative to it, even in a file, as in Ray (ray/dashboard/modules/dashboard_sdk.py).
        named: where the JSON object is from, if it is none of the options.

    Raises:
        UsageError: the options cannot be read, or a bundle cannot carry them out. All faults are listed.
    """
    source, given = read_given(runtime_env, runtime_env_json, cwd, named)
    faults = Faults()
    keys = {name: Key(name, value, source, cwd, faults) for name, value in given.items()}
    if working_dir is not None:
        keys["working_dir"] = Key("working_dir", working_dir, Source("--working-dir"), cwd, faults)
    keys = _allowed(keys)
    env = _env(keys["env_vars"]) if "env_vars" in keys else {}
    roots = _roots(keys["py_modules"]) if "py_modules" in keys else []
    project = _project(keys["working_dir"]) if "working_dir" in keys else None
    passed = {name: _passed(key) for name, key in keys.items() if name in (*INSTALLED, *SILENT)}
    _refuse_two_installers([keys[name] for name in INSTALLED if passed.get(name)])
    faults.refuse_any()
    return RayEnvironment(
        env=env,
        project=project,
        excludes=_excludes(keys["excludes"].value) if "excludes" in keys else (),
        roots=tuple(dict.fromkeys([*roots, *([str(project)] if project else [])])),
        passed={name: value for name, value in passed.items() if value},
        warnings=tuple(_warnings(keys, passed)),
    )


def _allowed(keys: Mapping[Any, Key]) -> dict[Any, Key]:
    """Returns the keys that have a value, without those that are refused."""
    for key in keys.values():
        _refuse_by_name(key)
    return {name: key for name, key in keys.items() if key.value is not None and name not in REFUSED}


def check_hook(passed: Mapping[str, Any], resolution: Resolution) -> None:
    """Refuses a `worker_process_setup_hook` that no worker could import.

    Raises:
        UsageError: the module is not in the bundle.
    """
    name = passed.get(HOOK)
    module = str(name).rpartition(".")[0]
    names = {str(each.name) for each in resolution.modules}
    others = {str(each).partition(".")[0] for one in resolution.distributions for each in one.modules}
    if name is not None and module not in names and module.partition(".")[0] not in others:
        raise UsageError(
            f"`{HOOK}` {name}: `{module}` is not in the bundle",
            hint=f"write `# raybundle: include={module}` in the driver, or import it there",
        )


def _refuse_by_name(key: Key) -> None:
    if key.name in REFUSED and key.value is not None:
        key.reject(f"is refused: {REFUSED[key.name][0]}", REFUSED[key.name][1])
    if key.name not in KNOWN:
        taken = sorted(set(KNOWN) - set(REFUSED))
        hint = did_you_mean(str(key.name), KNOWN, f"known are: {', '.join(taken)}")
        key.reject("is not a key of a runtime_env", hint)


def _env(key: Key) -> dict[str, str]:
    if not isinstance(key.value, dict):
        key.reject(f"must be a mapping, and is {kind_of(key.value)}", "write NAME: value")
        return {}
    for name, value in key.value.items():
        if not isinstance(name, str):
            key.reject("has a name that is not text", "write it in quotes", str(name))
        elif not isinstance(value, str):
            key.reject(f"must be text, and is {kind_of(value)}", "write the value in quotes", name)
        elif owned(name):
            key.reject("is set by the bundle", "list directories for imports in `roots`", name)
    return dict(key.value)


def _project(key: Key) -> Path | None:
    """Returns the local directory that becomes the project."""
    value = key.value
    hint = "name a local directory, or use `raybundle run` for a bundle that is in the store"
    if not isinstance(value, str):
        key.reject(f"must be text, and is {kind_of(value)}", hint)
    elif _URI.match(value):
        key.reject(without_credentials(value) + _ELSEWHERE, hint)
    elif (key.cwd / value).is_dir():
        return (key.cwd / value).resolve()
    elif value.endswith(_ARCHIVES):
        key.reject(f"{value} is an archive: a bundle is made from code in a local directory", hint)
    else:
        what = "is not a directory" if (key.cwd / value).exists() else "does not exist"
        key.reject(f"{value} {what}", _relative_to(key))
    return None


def _roots(key: Key) -> list[str]:
    """Returns the directories that hold the modules."""
    if not isinstance(key.value, list):
        key.reject(f"must be a list, and is {kind_of(key.value)}", _LISTED)
        return []
    return [root for module in key.value if (root := _root(key, module)) is not None]


def _root(key: Key, module: Any) -> str | None:
    path = key.cwd / module if isinstance(module, str) else key.cwd
    if not isinstance(module, str):
        key.reject(f"must hold paths, and holds {kind_of(module)}", _LISTED)
    elif module.partition("?")[0].endswith(".whl"):
        hint = "install it in the environment that the bundle is built for, and on the cluster"
        key.reject(f"{without_credentials(module)} is a wheel: distributions come from the cluster", hint)
    elif _URI.match(module):
        hint = "name the directory of the package; the bundle includes the modules that are imported"
        key.reject(without_credentials(module) + _ELSEWHERE, hint)
    elif path.is_dir() or (path.is_file() and path.suffix == ".py"):
        return str((path.resolve() if path.name == ".." else path).parent.resolve())
    else:
        what = "is neither a directory nor a .py file" if path.exists() else "does not exist"
        key.reject(f"{module} {what}", _relative_to(key))
    return None


def _passed(key: Key) -> Any:
    """Returns the value for Ray, with the content of a local file: the cluster does not have the file."""
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
        key.reject(*problem)
    return value


def _requirements(key: Key, file: str) -> list[str]:
    try:
        return (key.cwd / file).read_text("utf-8").strip().split("\n")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        key.reject(f"{file}: cannot read it: {reason}", _relative_to(key))
        return []


def _conda_file(key: Key, file: str) -> Any:
    try:
        return read_keys(key.cwd / file, file)[0]
    except UsageError as error:
        key.reject(str(error), _relative_to(key))
        return {}


def _problem(name: str, value: Any) -> tuple[str, str] | None:
    """Returns why Ray would reject a value, and a hint."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        return f"holds a value that JSON cannot represent: {error}", "write dates and the like in quotes"
    packages = value.get("packages") if isinstance(value, dict) else value
    if name in ("pip", "uv") and not (
        isinstance(packages, list) and all(isinstance(p, str) for p in packages)
    ):
        return "has no list of requirements", "give a list, a requirements file, or a mapping with `packages`"
    if name == "conda" and not isinstance(value, (dict, str)):
        return (
            f"is {kind_of(value)}",
            "give the name of an environment, its YAML file, or the content of that file",
        )
    if name == HOOK and not (isinstance(value, str) and re.fullmatch(r"\w+(\.\w+)+", value)):
        return "is not the name of a function", "write it like package.module.function"
    if name == "config" and not isinstance(value, dict):
        return f"must be a mapping, and is {kind_of(value)}", "such as setup_timeout_seconds: 600"
    return None


def _refuse_two_installers(keys: list[Key]) -> None:
    for key in keys[1:]:
        key.reject(f"conflicts with `{keys[0].name}`: Ray accepts one of them", f"keep one of {INSTALLED}")


def _relative_to(key: Key) -> str:
    return f"relative paths are relative to {key.cwd}"


def _excludes(value: Any) -> tuple[str, ...]:
    """Returns patterns of .gitignore in the form of `exclude`.

    If a pattern re-includes files (`!keep.csv`), no pattern counts: the bundle has more, and misses nothing.
    """
    patterns = [each.strip() for each in value if isinstance(each, str)] if isinstance(value, list) else []
    if any(each.startswith("!") for each in patterns):
        return ()
    lines = (each for each in patterns if each.strip("/") and not each.startswith("#"))
    return tuple(each.strip("/") if "/" in each.rstrip("/") else f"**/{each.strip('/')}" for each in lines)


def _warnings(keys: Mapping[str, Key], passed: Mapping[str, Any]) -> Iterator[Warning]:
    if "py_modules" in keys:
        text = "of `py_modules`, the bundle has only files that the driver's imports reach, and package data"
        hint = "add other files that the job reads with `include` in [tool.raybundle], or with --include"
        yield keys["py_modules"].warning(text, hint)
    for name in INSTALLED:
        if passed.get(name):
            yield keys[name].warning(SET_UP.format(name=name), IMPORTABLE)
