"""Answers for programs that start the project's code, with a driver that does the same in a job."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import PurePath
from typing import TYPE_CHECKING

from raybundle.cli.entrypoint.model import Answer, Driver
from raybundle.resolve.driver.stand_in import command_code, driver_name, module_code, shell_code

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from raybundle.cli.entrypoint.model import Surroundings

    Handler = Callable[[str, tuple[str, ...], Surroundings], Answer]

_RUNNERS = {
    "torchrun": "torch.distributed.run",
    "accelerate": "accelerate.commands.accelerate_cli",
    "deepspeed": "deepspeed.launcher.runner",
    "horovodrun": "horovod.runner.launch",
    "pytest": "pytest",
    "py.test": "pytest",
    "coverage": "coverage",
    "streamlit": "streamlit",
}
"""The module by which each program runs as `python -m …`."""
COMMANDS = frozenset(
    [
        *("alembic", "celery", "dagster", "dbt", "django-admin", "dvc", "fastapi", "flask", "gunicorn"),
        *("hypercorn", "kedro", "locust", "luigi", "mlflow", "prefect", "scrapy", "snakemake", "uvicorn"),
    ]
)
"""Programs of distributions that find the project's code by their arguments and settings."""
_TESTERS = frozenset(["pytest", "unittest"])
"""Modules that import the modules in their arguments, which need no path of their own."""
_ENV = {"pytest": (("PY_IGNORE_IMPORTMISMATCH", "1"),)}
"""pytest finds a test in the working directory, and Python imports it from the bundle's verified tree."""
_PROGRAMS = ("mpirun", "mpiexec", "srun", "docker", "make", "numactl", "taskset", "xvfb-run", "npm")


def module_driver(
    module: str, arguments: tuple[str, ...], here: Surroundings, text: str, program: str = ""
) -> Answer:
    """Returns the answer to `python -m MODULE ARGS…` of a module that is not the project's."""
    name, code = driver_name(program or module), module_code(module)
    if module in _TESTERS:
        named = _included((*arguments, *_conftests(arguments)), here)
        options, driver = _options(_folders(named), named), Driver(name, code)
        return Answer(text, (name, *arguments), options, _ENV.get(module, ()), driver)
    named = _included(arguments, here)
    script = [word for word in named if PurePath(word).suffix == ".py"][:1]
    return _beside(script, named, here, Answer(text, (name, *arguments), driver=Driver(name, code)))


def command_driver(typed: str, words: tuple[str, ...], text: str) -> Answer:
    """Returns the answer to a program that a driver can start: what its words name is resolved there."""
    name = driver_name(typed)
    return Answer(text, (name,), driver=Driver(name, command_code(words)))


def shell_driver(line: str, words: Iterable[str], here: Surroundings, text: str) -> Answer:
    """Returns the answer to a line that requires a shell: a driver that starts one."""
    named, driver = _included(words, here), Driver("run_line.py", shell_code(line))
    scripts = [word for word in named if PurePath(word).suffix == ".py"]
    return _beside(scripts, named, here, Answer(text, (driver.name,), driver=driver))


def _beside(scripts: Sequence[str], named: Mapping[str, str], here: Surroundings, answer: Answer) -> Answer:
    """Returns the answer with its driver in the directory of the scripts that it starts.

    Python puts that directory first on their path, and the path of a job is that of its driver. If there
    are several, they become roots.
    """
    folders = {str(PurePath(word).parent) for word in scripts}
    if len(folders) != 1 or answer.driver is None:
        return replace(answer, options=_options(_folders({word: named[word] for word in scripts}), named))
    [folder] = folders
    name = str(PurePath(folder, answer.driver.name))
    project = ("--working-dir", ".") if here.is_apart(folder) else ()
    driver = Driver(name, answer.driver.code)
    return replace(
        answer, words=(name, *answer.words[1:]), options=(*project, *_options((), named)), driver=driver
    )


def _included(words: Iterable[str], here: Surroundings) -> dict[str, str]:
    """Returns the `--include` of each file, directory and module of the project that `words` name."""
    found: dict[str, str] = {}
    for word in words:
        for part in (word, word.partition("=")[2], word.partition("::")[0]):
            pattern = here.include(part) if part else None
            if pattern is not None and pattern not in found.values():
                found[part] = pattern
    return found


def _folders(named: Mapping[str, str]) -> Iterator[str]:
    """Yields the directory of each script that is not in a package and not beside the driver."""
    patterns = set(named.values())
    for word, pattern in named.items():
        folder = PurePath(pattern).parent
        if PurePath(word).suffix == ".py" and folder.name and f"{folder}/__init__.py" not in patterns:
            yield str(folder)


def _options(folders: Iterable[str], named: Mapping[str, str]) -> tuple[str, ...]:
    roots = [word for folder in dict.fromkeys(folders) for word in ("--root", folder)]
    return (*roots, *(word for pattern in named.values() for word in ("--include", pattern)))


def _conftests(arguments: tuple[str, ...]) -> list[str]:
    """Returns the files that pytest reads by itself: conftest.py and `__init__.py` above each test."""
    paths = [PurePath(word.partition("::")[0]) for word in arguments if not word.startswith("-")]
    names = ("__init__.py", "conftest.py")
    return [str(parent / name) for path in paths for parent in path.parents for name in names]


def inline_code(code: str, arguments: tuple[str, ...]) -> Answer:
    """Returns the answer to `python -c CODE ARGS…`."""
    text = "`python -c` has its code on the command line, and a bundle takes files"
    return Answer(text, ("inline.py", *arguments), driver=Driver("inline.py", f"{code.strip()}\n"))


def _runner(name: str, rest: tuple[str, ...], here: Surroundings) -> Answer:
    text = f"`{name}` is a program of another distribution, and a bundle runs a script of the project"
    return module_driver(_RUNNERS[name], rest, here, text, name)


def _command(name: str, rest: tuple[str, ...], _here: Surroundings) -> Answer:
    text = f"`{name}` is a program of another distribution, and a bundle runs a script of the project"
    return command_driver(name, (name, *rest), text)


def _program(name: str, rest: tuple[str, ...], here: Surroundings) -> Answer:
    text = f"`{name}` is a program of the nodes, and a bundle runs a script of the project"
    return shell_driver(shlex.join((name, *rest)), rest, here, text)


def _serve(_name: str, rest: tuple[str, ...], here: Surroundings) -> Answer:
    """Returns the answer to `serve run app:app` and `serve run config.yaml`."""
    action, given, plain = (rest or ("",))[0], dict[str, str](), list[str]()
    words = list(rest[1:])
    while words:
        word, _, value = words.pop(0).partition("=") if words[0].startswith("-") else (words.pop(0), "", "")
        if not word.startswith("-"):
            plain.append(word)
        elif word in {"--blocking", "--non-blocking", "--reload", "-r", "--no-blocking"}:
            given[word] = ""
        else:
            given[word] = value or (words.pop(0) if words else "")
    text = f"`serve {action}` is a program of Ray, and a bundle runs a script of the project"
    if action not in {"run", "deploy"} or not plain:
        return Answer(text, hint="`serve` itself works against the cluster that a job of this kind runs on")
    config = here.text(plain[0])
    if config is not None:
        return _serve_config(text, plain[0], config)
    return _serve_application(text, plain, given)


def _serve_application(text: str, plain: list[str], given: dict[str, str]) -> Answer:
    keywords = [
        f"{name}={given[option]!r}"
        for option, name in (("--name", "name"), ("--route-prefix", "route_prefix"))
        if option in given
    ]
    keywords.append("blocking=True")
    arguments = dict(word.partition("=")[::2] for word in plain[1:])
    code = "from ray import serve\n" + _served(plain[0], arguments or None, keywords, 1)
    unheeded = sorted(set(given) - {"--name", "--route-prefix", "--blocking"})
    hint = f"{', '.join(unheeded)} is left out of this driver" if unheeded else ""
    return Answer(text, ("run_serve.py",), driver=Driver("run_serve.py", code), hint=hint)


def _served(path: str, arguments: object, keywords: list[str], number: int) -> str:
    """Returns two lines: the import of an application, and the call that runs it."""
    module, _, attribute = path.replace(":", ".").rpartition(".")
    call = f"app_{number}({arguments!r})" if arguments else f"app_{number}"
    return f"from {module} import {attribute} as app_{number}\nserve.run({', '.join([call, *keywords])})\n"


def _serve_config(text: str, name: str, config: str) -> Answer:
    """Returns the answer to a configuration file of Serve: one call for each application."""
    import yaml

    try:
        found = yaml.safe_load(config)
        applications = [each for each in found["applications"] if each["import_path"]]
    except (yaml.YAMLError, KeyError, TypeError):
        return Answer(text, hint=f"{name} has no `applications`: write a driver that calls `serve.run`")
    code = "from ray import serve\n"
    for number, each in enumerate(applications, 1):
        keywords = [f"{key}={each[key]!r}" for key in ("name", "route_prefix") if key in each]
        if number == len(applications):
            keywords.append("blocking=True")
        code += _served(each["import_path"], each.get("args"), keywords, number)
    known = {"name", "route_prefix", "import_path", "args"}
    keys = {str(key) for each in applications for key in each} - known
    others = sorted(keys | {str(key) for key in found} - {"applications"})
    hint = f"{', '.join(others)} of {name} is left out of this driver: set it in the code" if others else ""
    return Answer(text, ("run_serve.py",), driver=Driver("run_serve.py", code), hint=hint)


def _notebook(name: str, rest: tuple[str, ...], _here: Surroundings) -> Answer:
    """Returns the answer to a program that runs a notebook, which is itself a target."""
    notebooks = [word for word in rest if word.endswith(".ipynb")]
    if not notebooks:
        return Answer(f"`{name}` has no terminal and no browser in a job", hint="name a notebook or a script")
    text = f"`{name}` writes a notebook, and a job runs its cells"
    left = "" if name == "jupyter" else "its parameters, and the notebook that it writes, are left out"
    return Answer(text, (notebooks[0],), hint=left)


def _ray(name: str, rest: tuple[str, ...], _here: Surroundings) -> Answer:
    """Returns the answer to `ray job submit …`, which has the same options."""
    text = f"`{name}` submits jobs, and this is the command line of one"
    if rest[:2] == ("job", "submit"):
        return _nested(text, rest[2:])
    if name == "raybundle" and rest[:1] == ("submit",):
        return _nested(text, rest[1:])
    scripts = [word for word in rest if word.endswith(".py")]
    return Answer(f"`{' '.join((name, *rest[:1]))}` is not a job", tuple(scripts[:1]), hint="name the script")


def _nested(text: str, rest: tuple[str, ...]) -> Answer:
    place = rest.index("--") if "--" in rest else None
    if place is None:
        return Answer(text, rest)
    return Answer(text, rest[place:], rest[:place])


HANDLERS: Mapping[str, Handler] = {
    **dict.fromkeys(_RUNNERS, _runner),
    **dict.fromkeys(COMMANDS, _command),
    **dict.fromkeys(_PROGRAMS, _program),
    **dict.fromkeys(("jupyter", "jupyter-nbconvert", "papermill", "ipython"), _notebook),
    **dict.fromkeys(("ray", "raybundle"), _ray),
    "serve": _serve,
}
