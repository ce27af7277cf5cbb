"""Says what a target's name means, which project it belongs to, and what Python puts first on the path."""

from __future__ import annotations

import json
import os
import posixpath
import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from raybundle.errors import UsageError
from raybundle.exhaustive import assert_never
from raybundle.formats.archive_paths import normalised
from raybundle.model import (
    ConsoleScriptTarget,
    DirectoryTarget,
    FunctionTarget,
    ModuleTarget,
    NotebookTarget,
    ScriptTarget,
)
from raybundle.resolve.driver.nearest import nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from raybundle.model import Target

_SOURCES = (".py", ".pyw")
_WRITES = re.compile(
    r"-{0,2}(?:[\w.]+[-_.])?(?:out|output|log|logs|logging|save|result|results|export)(?:[-_=]|\Z)"
)
"""An option, or the start of `key=value`, that says where the job writes."""
_LONGEST = 250
"""Characters of a path that an argument names."""
_LONGEST_LIST = 10_000
"""Characters of an argument that may list files."""
_LONGEST_FILE = 64 * 1024
"""Bytes of a file of arguments."""
_BETWEEN_PATHS = re.compile(r"[,;:=\[\](){}'\"]")
_OF_PROGRAMS = frozenset({"PATH", "PYTHONPATH", "LD_LIBRARY_PATH"})
"""Variables of directories of code and programs."""
_OF_DIRECTORIES = re.compile(r"(?:DIR|HOME|PATH|DATA|ROOT|FOLDER|DIRECTORY)S?\Z")
"""Ends the name of a variable whose value is a directory."""


def find_target(name: str, base: Path | None = None, options: tuple[str, ...] = ()) -> Target:
    """Returns what `name` means: a file or directory, else a console script of the project.

    Args:
        name: as the user writes it.
        base: where a relative path is looked up before the current directory.
        options: of the interpreter.

    Raises:
        UsageError: it is nothing that can be run from a bundle.
    """
    path = Path(name)
    if base is not None and (base / path).exists():
        path = base / path
    if path.is_file():
        return _file_target(path, options)
    if (path / "__main__.py").is_file():
        return DirectoryTarget(path.resolve(), options)
    if _is_command(name):
        return ConsoleScriptTarget(name, options)
    if not path.is_dir():
        hint = f"name the script that is the driver{nearest(name, base or Path())}"
        raise UsageError(f"the target {name} does not exist", hint=hint)
    hint = "name the script that is the driver, or write `__main__.py` in the directory"
    raise UsageError(f"the target {name} is a directory without `__main__.py`", hint=hint)


def _is_command(name: str) -> bool:
    """Returns whether a console script may have this name: no path, and no file's name."""
    return bool(name) and "/" not in name and name not in (".", "..") and not name.endswith((".py", ".ipynb"))


def _file_target(path: Path, options: tuple[str, ...]) -> Target:
    if path.suffix == ".ipynb":
        return NotebookTarget(path.resolve(), options)
    if path.suffix not in _SOURCES and _is_archive(path):
        hint = "unpack it, and name the directory that holds its `__main__.py`"
        raise UsageError(f"the target {path} is an archive, which cannot travel", hint=hint)
    if path.suffix == ".pyc":
        raise UsageError(f"the target {path} is byte-code without source", hint="name its source")
    return ScriptTarget(path.parent.resolve() / path.name, options)


def _is_archive(path: Path) -> bool:
    import zipfile  # noqa: PLC0415 - start-up: a script's name ends in .py

    return zipfile.is_zipfile(path)


def find_project(target_path: Path) -> Path:
    """Returns the nearest parent with pyproject.toml, else with .git, else the target's directory."""
    start = target_path if target_path.is_dir() else target_path.parent
    for marker in ("pyproject.toml", ".git"):
        for directory in (start, *start.parents):
            if (directory / marker).exists():
                return directory
    return start


def project_of(target: Target, cwd: Path) -> Path:
    """Returns the project of `target`; where it names no file, it is looked for from `cwd`."""
    match target:
        case ScriptTarget(path=path) | DirectoryTarget(path=path) | NotebookTarget(path=path):
            return find_project(path.resolve())
        case FunctionTarget(script=file):
            return find_project(file.parent)
        case ModuleTarget() | ConsoleScriptTarget():
            return find_project(cwd)
        case other:
            return assert_never(other)


def start_directory(target: Target, project: Path, cwd: Path) -> str:
    """Returns where a job starts, relative to the project; empty for its root.

    That is where the command is given, as for `python`; a kernel runs in the directory of its notebook. A
    directory outside the project has no counterpart on a node.
    """
    start = target.path.parent if isinstance(target, NotebookTarget) else cwd
    try:
        below = start.relative_to(project.resolve())
    except ValueError:
        return ""
    return parse_directory(below.as_posix())


def parse_directory(text: str) -> str:
    """Returns a directory of the project as the nodes name it: relative, in NFC, empty for the root.

    Raises:
        UsageError: it is not below the project, or cannot travel.
    """
    path = normalised(posixpath.normpath(text or "."))
    if path.startswith(("/", "../")) or path == "..":
        raise UsageError(
            f"the directory {text} is not below the project", hint="name it relative to the project's root"
        )
    if not path.isprintable():  # also where a name is not UTF-8
        raise UsageError(f"the directory {text!r} cannot travel", hint="`--cwd .` starts in the root")
    return "" if path == "." else path


def first_directory(target: Target, project: Path, cwd: Path, *, safe_path: bool) -> Path | None:
    """Returns `sys.path[0]`, or None where Python puts nothing first.

    That is the real directory of a script, `cwd` for `-m`, and none of them with `safe_path`; a directory
    that is run is put first in any case (Modules/main.c of CPython, 3.10 to 3.13).
    """
    match target:
        case DirectoryTarget(path=path):
            return path
        case _ if safe_path:
            return None
        case ScriptTarget(path=path) | NotebookTarget(path=path):
            return path.resolve().parent
        case FunctionTarget(script=file):
            return file.parent
        case ModuleTarget():
            return cwd
        case ConsoleScriptTarget():
            from raybundle.resolve.driver.console_script import DIRECTORY  # noqa: PLC0415 - start-up

            return project / DIRECTORY
        case other:
            return assert_never(other)


def named_by(
    words: Iterable[str], project: Path, cwd: Path, variables: Mapping[str, str] | None = None
) -> tuple[str, ...]:
    """Returns what of the project the arguments of a job name, absolute: `conf/a.yaml`, `--data=d.csv`.

    What they name from `cwd` on counts too if the project is below it. What an option names that says where
    to write (`--output-dir runs`) is none: it is not read. The words in a file of arguments (`@args.txt`)
    count as well, and so do the values of the job's variables; a directory only if the variable is one of
    directories (`DATA_DIR`).
    """
    project, found, before = project.resolve(), dict[str, None](), ""
    bases = (cwd.resolve(), project)
    given = [(each, True) for word in _with_files(words, bases) for each in ([*_values_in(word)] or [word])]
    given += [
        (f"{name.lower()}={value}", _OF_DIRECTORIES.search(name) is not None)
        for name, value in sorted((variables or {}).items())
        if name not in _OF_PROGRAMS
    ]
    for word, wide in given:
        option = word if "=" in word else before
        before = word
        if _WRITES.match(option):
            continue
        for text in _paths_in(word):
            for base in bases:
                path = os.path.normpath(base / text)
                near = path.startswith(f"{base}/") and not text.startswith("/")
                if (near or path.startswith(f"{project}/")) and os.path.lexists(path):
                    if wide or Path(path).is_file():
                        found[path] = None
                    break
    return tuple(found)


def _with_files(words: Iterable[str], bases: tuple[Path, ...]) -> Iterator[str]:
    """Yields words, and those in files that they name as `@file` (argparse, Java, compilers)."""
    for word in words:
        yield word
        files = (base / word[1:] for base in bases if word.startswith("@") and "\0" not in word)
        file = next((each for each in files if each.is_file()), None)
        if file is not None and file.stat().st_size <= _LONGEST_FILE:
            yield from file.read_text("utf-8", "replace").split()


def _values_in(word: str) -> Iterator[str]:
    """Yields `key=value` for each text in a word, or the value of an option, that is JSON."""
    text = word if word[:1] in {"{", "["} else word.partition("=")[2]
    if text[:1] in {"{", "["}:
        with suppress(ValueError, RecursionError):
            yield from _texts_of(json.loads(text))


def _texts_of(value: object, key: str = "") -> Iterator[str]:
    match value:
        case str():
            yield f"{key}={value}"
        case list():
            for each in value:
                yield from _texts_of(each, key)
        case dict():
            for name, each in value.items():
                yield from _texts_of(each, name)
        case _:
            return


def _paths_in(word: str) -> Iterator[str]:
    """Yields what in a word may be a path: the word, the value of an option, the items of a list."""
    whole = (word.removeprefix("@"), word.partition("=")[2])
    parts = _BETWEEN_PATHS.split(word) if len(word) < _LONGEST_LIST else []
    for text in dict.fromkeys((*whole, *(each for each in parts if "/" in each or "." in each))):
        if text.strip("./") and len(text) < _LONGEST and "\0" not in text:
            yield text
