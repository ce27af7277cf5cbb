"""Finds the target interpreter and asks it once, in a subprocess, how it imports."""

# Why strings: paths here are the strings that `sys.path` holds; pathlib would cost ten times as much.
# ruff: noqa: PTH100, PTH117

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raybundle.cache.documents import Kind
from raybundle.errors import BundleError, UsageError
from raybundle.model import Interpreter

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from raybundle.cache.documents import Cache

_KEPT = Kind("interpreters", 64)
_PROBE = Path(__file__).with_name("_probe.py")
_DECIDING = (
    *("PYTHONPATH", "PYTHONHOME", "PYTHONNOUSERSITE", "PYTHONUSERBASE", "PYTHONSAFEPATH", "HOME"),
    *("COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG"),
)
"""Environment variables that change `sys.path`, or what is imported before it is asked."""
PATH_OPTIONS = ("-E", "-I", "-P", "-s")
"""Options of the interpreter that change its path, and with which a job can be carried out."""
_USAGE = 2
"""Exit code of a Python that does not know an option; the first line names it."""
_OF_THE_SHELL = frozenset({"_", "OLDPWD", "SHLVL"})
MINOR = re.compile(r"3\.\d+")
"""A version of Python, as a setting names it."""
_PROBE_TIMEOUT = 60.0
"""Seconds; a healthy interpreter answers in 0.05."""


def find_interpreter(requested: str | None, project: Path, environ: Mapping[str, str]) -> Path:
    """Returns the requested interpreter, else that of VIRTUAL_ENV, else the project's .venv, else our own.

    A requested version is what the nodes run: where there is an environment, the graph is resolved in it,
    also where it has another version.

    Raises:
        UsageError: the requested one is neither a file nor a version on PATH.
    """
    if requested and not MINOR.fullmatch(requested):
        return _find_requested(requested, environ)
    active = environ.get("VIRTUAL_ENV")
    for directory in ([Path(active)] if active else []) + [project / ".venv"]:
        executable = directory / "bin" / "python"
        if executable.exists():
            return executable
    return _find_requested(requested, environ) if requested else Path(sys.executable)


def _find_requested(requested: str, environ: Mapping[str, str]) -> Path:
    if requested.replace(".", "").isdigit():
        found = find_version(requested, environ)
    else:
        found = requested if Path(requested).is_file() else None
    if found is None:
        raise UsageError(
            f"cannot find the Python interpreter `{requested}`",
            hint="give a path, or a version such as 3.12 whose `python3.12` is on PATH",
        )
    return Path(os.path.abspath(found))  # a venv's python is a link that must stay one


def find_version(version: str, environ: Mapping[str, str]) -> str | None:
    """Returns the first `python3.N` on PATH that runs.

    A version manager has scripts of these names for versions that it has not activated; they only fail.
    """
    for directory in environ.get("PATH", os.defpath).split(os.pathsep):
        found = Path(directory, f"python{version}")
        if found.is_file() and os.access(found, os.X_OK) and _runs(found, environ):
            return str(found)
    return None


def _runs(executable: Path, environ: Mapping[str, str]) -> bool:
    with executable.open("rb") as file:
        if file.read(2) != b"#!":
            return True
    import subprocess  # noqa: PLC0415 - 8 ms, and only for a script

    done = subprocess.run([executable, "-I", "-c", ""], env=dict(environ), capture_output=True, check=False)
    return done.returncode == 0


def describe(
    executable: Path,
    environ: Mapping[str, str],
    cwd: Path,
    cache: Cache,
    options: Iterable[str] = (),
) -> Interpreter:
    """Returns what `executable` says of itself; kept until something that it depends on changes.

    Args:
        executable: asked in a subprocess.
        environ: with which the job would be started here; variables of it decide the path.
        cwd: where it would be started.
        cache: where answers are kept.
        options: of the interpreter; those that change its path count.

    Raises:
        BundleError: it does not start, does not answer, or does not know an option.
    """
    command = [str(executable), *(each for each in options if each in PATH_OPTIONS)]
    key, variables = cache.key(*_question(command, environ, cwd)), _hash_of(environ)

    def parse(answer: dict[str, Any]) -> Interpreter | None:
        return _interpreter(answer) if answer["environ"] in (None, variables) else None

    found = cache.recall(_KEPT, key, parse)
    if found is None:
        began = cache.clock()
        answer = _ask(command, environ, cwd)
        watched = [str(executable), *answer.pop("watched")]
        answer["environ"] = variables if answer.pop("asks_environment") else None
        cache.keep(_KEPT, key, answer, watched, began)
        found = _interpreter(answer)
    return found


def _hash_of(environ: Mapping[str, str]) -> str:
    """Hashes all variables but those that a shell changes with each command."""
    ours = sorted(each for each in environ.items() if each[0] not in _OF_THE_SHELL)
    return hashlib.sha256(json.dumps(ours).encode()).hexdigest()[:16]


def _question(command: list[str], environ: Mapping[str, str], cwd: Path) -> list[Any]:
    """Returns what decides an answer, apart from files."""
    deciding = [(name, environ[name]) for name in _DECIDING if name in environ]
    relative = any(not os.path.isabs(entry) for entry in environ.get("PYTHONPATH", "/").split(os.pathsep))
    return [command, deciding, str(cwd) if relative else None]


def _ask(command: list[str], environ: Mapping[str, str], cwd: Path) -> dict[str, Any]:
    import ast  # noqa: PLC0415 - a warm start has no use for either
    import subprocess  # noqa: PLC0415 - 8 ms

    executable, words = command[0], [*command, "-B", str(_PROBE)]
    try:
        process = subprocess.run(
            words, env=dict(environ), cwd=cwd, capture_output=True, check=True, timeout=_PROBE_TIMEOUT
        )
        printed = process.stdout[process.stdout.rindex(b"{'executable'") :].partition(b"\n")[0]
        answer: dict[str, Any] = ast.literal_eval(printed.decode("ascii"))
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip()
        said = said.partition("\n")[0] if error.returncode == _USAGE else said.rpartition("\n")[2]
        raise BundleError(
            f"{executable} cannot describe itself: {said}", hint="raybundle needs Python 3.10 or later there"
        ) from error
    except (OSError, ValueError, SyntaxError, subprocess.TimeoutExpired) as error:
        raise BundleError(f"{executable} cannot describe itself: {error}", hint="is it a Python?") from error
    answer["projects"] = sorted(set(_editable_projects(answer.pop("direct_urls"))))
    return answer


def _editable_projects(direct_urls: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Returns directory and metadata of each distribution that is installed as editable (PEP 610)."""
    from urllib.parse import unquote, urlsplit  # noqa: PLC0415 - a warm start has no use for it

    for metadata, text in direct_urls:
        try:
            document = json.loads(text)
            url = urlsplit(document["url"])
            editable = document.get("dir_info", {}).get("editable")
        except (ValueError, KeyError, AttributeError, TypeError):
            continue
        if editable and url.scheme == "file":
            yield os.path.realpath(unquote(url.path)), metadata


def _interpreter(answer: dict[str, Any]) -> Interpreter:
    major, minor, micro = answer["version"]
    return Interpreter(
        executable=answer["executable"],
        implementation=answer["implementation"],
        version=(major, minor, micro),
        abi=answer["abi"],
        platform=answer["platform"],
        path=tuple(answer["path"]),
        stdlib=tuple(answer["stdlib"]),
        site=tuple(answer["site"]),
        builtin_names=frozenset(answer["builtin_names"]),
        stdlib_names=frozenset(answer["stdlib_names"]),
        suffixes=tuple(answer["suffixes"]),
        editables=tuple((name, location) for name, location in answer["editables"]),
        namespaces=tuple((name, location) for name, location in answer["namespaces"]),
        projects=tuple((directory, metadata) for directory, metadata in answer["projects"]),
        safe_path=answer["safe_path"],
    )
