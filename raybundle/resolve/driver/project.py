"""Says what a target's name means, which project it belongs to, and what Python puts first on the path."""

from __future__ import annotations

import posixpath
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
    from raybundle.model import Target

_SOURCES = (".py", ".pyw")


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
