"""Finds the driver: what a target runs, and the path on which it runs, with its own edits."""

# Why strings: paths here are the strings that `sys.path` holds; pathlib would cost ten times as much.

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from raybundle.cache.identity import read_noted
from raybundle.errors import BundleError, UsageError
from raybundle.exhaustive import assert_never
from raybundle.model import (
    ConsoleScriptTarget,
    DirectoryTarget,
    FunctionTarget,
    ModuleTarget,
    NotebookTarget,
    ScriptTarget,
    Warning,
)
from raybundle.resolve.driver.console_script import console_script
from raybundle.resolve.driver.early_imports import refuse_early_imports
from raybundle.resolve.driver.generated import Generated
from raybundle.resolve.driver.layout import added_roots
from raybundle.resolve.driver.notebook import notebook_script
from raybundle.resolve.driver.path import driver_path
from raybundle.resolve.driver.project import first_directory
from raybundle.resolve.driver.stand_in import advice, driver_name, module_code
from raybundle.resolve.evaluate.edits import Edits
from raybundle.resolve.evaluate.parsing import parse
from raybundle.resolve.evaluate.path_edits import evaluate
from raybundle.resolve.find.directories import Directories
from raybundle.resolve.find.finder import Finder, FirstParty, Namespace, StandardLibrary, ThirdParty
from raybundle.resolve.interpreter.describe import PATH_OPTIONS
from raybundle.resolve.start import Start

if TYPE_CHECKING:
    import ast
    from collections.abc import Iterator

    from raybundle.model import Interpreter, Target
    from raybundle.resolve.evaluate.edits import Edit

_IMPORTED_AT_START = ("sitecustomize", "usercustomize")
"""Python's `site` imports these by itself, before the script's directory is on the path."""
_HAS_SAFE_PATH = (3, 11)
"""The Python that has `-P` and PYTHONSAFEPATH."""


def made_script(target: Target, project: Path, interpreter: Interpreter) -> Generated | None:
    """Returns the script that is made for a target which is none."""
    match target:
        case NotebookTarget(path=path):
            return notebook_script(path)
        case ConsoleScriptTarget(name=name):
            return console_script(name, project, interpreter)
        case FunctionTarget(script=file, content=content, places=places):
            files, lines = zip(*places, strict=True)
            return Generated(file, content, file, lines, files=files)
        case ScriptTarget() | ModuleTarget() | DirectoryTarget():
            return None
        case other:
            return assert_never(other)


@dataclass(frozen=True, slots=True)
class DriverPath:
    """What the driver's path begins with is found from this."""

    target: Target
    project: Path
    declared: tuple[str, ...]
    cwd: Path

    def on(self, interpreter: Interpreter, edits: Edits) -> tuple[str, ...]:
        """Returns the path of the driver under `interpreter`, after its `edits`."""
        first = first_directory(self.target, self.project, self.cwd, safe_path=interpreter.safe_path)
        return driver_path(first, self.declared, interpreter, edits.edits)

    def finder(self, interpreter: Interpreter, edits: Edits, directories: Directories) -> Finder:
        """Returns the finder for that path, with the roots of the project that are on none of Python's."""
        roots = {} if interpreter.safe_path else added_roots(str(self.project), str(self.cwd), directories)
        own = self.on(interpreter, edits)
        added = {entry: source for entry, source in roots.items() if os.path.realpath(entry) not in own}
        return Finder((*own, *added), interpreter, directories, added)


def find_start(path: DriverPath, interpreter: Interpreter, made: Generated | None) -> tuple[Finder, Start]:
    """Returns the finder for the driver's path, its own edits applied, and the driver itself."""
    directories = Directories()

    def after(some: tuple[Edit, ...]) -> Finder:
        return path.finder(interpreter, Edits(some), directories)

    finder = after(())
    name, found = _find_driver(path.target, finder, made)
    # A notebook runs in its own directory.
    cwd = Path(found.entry) if isinstance(path.target, NotebookTarget) else path.cwd
    imported = isinstance(path.target, ModuleTarget) and path.target.imported
    tree = _edited_tree(found.file, made, finder)
    if tree is None:
        return finder, Start(name, found, imported=imported)
    edits = evaluate(tree, _name_of(path.target, found), str(cwd), interpreter.version, finder.path[0])

    def where(line: int) -> str:
        return "{}:{}".format(*made.place(line)) if made else f"{found.file}:{line}"

    refuse_early_imports(tree, where, edits.edits, after)
    links = (*edits.followed, *(each.directory for each in edits.edits))
    return after(edits.edits), Start(
        name,
        found,
        edits.edits,
        edits.lines,
        followed=links,
        depends_on_cwd=True,
        reads_files=edits.reads_files,
        imported=imported,
    )


def _name_of(target: Target, found: FirstParty) -> str:
    """Returns the driver's `__file__`."""
    return str(target.path) if isinstance(target, ScriptTarget) else found.file


def warn_about_link(target: Target, start: Start, finder: Finder, cwd: Path) -> Iterator[Warning]:
    """Yields a warning where the script's edits of the path differ on the nodes, which know no link to it."""
    name = _name_of(target, start.found)
    tree = None if name == start.found.file else _edited_tree(start.found.file, None, finder)
    ours, theirs = (evaluate(tree, file, str(cwd)) if tree else Edits() for file in (name, start.found.file))
    if (ours.edits, ours.lines) != (theirs.edits, theirs.lines):
        text = f"{name} is a link, and edits `sys.path` by its place: a node has {start.found.file}"
        yield Warning(text, Path(start.found.file), None, "resolve it: `Path(__file__).resolve()`")


def warn_about_safe_path(start: Start, finder: Finder) -> Iterator[Warning]:
    """Yields a warning where the nodes put first what `-P` leaves in its later place on the path.

    Raises:
        BundleError: no option of this Python keeps a script's directory from the path of a node.
    """
    directory = start.found.entry
    if start.name != "__main__" or not finder.interpreter.safe_path or finder.path[0] == directory:
        return
    if directory in finder.path:
        text = f"the script's directory {directory} is on the path, and on the nodes it comes first"
        yield Warning(text, Path(start.found.file), None, "run it without -P, -I and PYTHONSAFEPATH")
    elif finder.interpreter.version < _HAS_SAFE_PATH:
        raise BundleError(
            f"-I keeps {directory} from the path, and Python {finder.interpreter.version[0]}."
            f"{finder.interpreter.version[1]} on the nodes has no option that does so alone",
            hint="use Python 3.11 or later, or run it without -I: -E and -s do the rest",
        )


def _find_driver(target: Target, finder: Finder, made: Generated | None) -> tuple[str, FirstParty]:
    match target:
        case ScriptTarget(path=path):
            if not path.is_file():
                raise BundleError(f"there is no script {path}", hint="give the path of a Python file")
            return _script(path.resolve())
        case DirectoryTarget(path=path):
            if not (path / "__main__.py").is_file():
                raise BundleError(f"there is no `__main__.py` in {path}", hint="give the path of a script")
            return _script(path.resolve() / "__main__.py")
        case NotebookTarget() | ConsoleScriptTarget() | FunctionTarget():
            return _script(made.file if made else Path())
        case ModuleTarget(name=name, imported=imported):
            return _find_module(name, finder, imported=imported)
        case other:
            return assert_never(other)


def _script(file: Path) -> tuple[str, FirstParty]:
    return "__main__", FirstParty(str(file.parent), str(file), is_package=False)


def _find_module(name: str, finder: Finder, *, imported: bool = False) -> tuple[str, FirstParty]:
    match finder.find(name):
        case FirstParty() as found if imported and not found.is_extension:
            return name, found
        case FirstParty(is_package=True) | Namespace() if not imported:
            return _find_module(f"{name}.__main__", finder)
        case FirstParty() as found if not found.is_extension:
            return name, found
        case _ if imported:
            raise BundleError(
                f"{name} is not a module of this project",
                hint="run it from the folder that holds it, or add that to `roots` in [tool.raybundle]",
            )
        case ThirdParty() | StandardLibrary():
            raise UsageError(
                f"`-m {name}` is not a module of this project, and a bundle runs a script of the project",
                hint=advice(f"-m {name}", driver_name(name), module_code(name)),
            )
        case _:
            raise BundleError(
                f"`-m {name}` is not a module of this project",
                hint="run it from the folder that holds it, or add that to `roots` in [tool.raybundle]",
            )


def _edited_tree(file: str, made: Generated | None, finder: Finder) -> ast.Module | None:
    """Returns the driver's tree if it can have edits of the path."""
    source = read_noted(file, finder.directories.read) if made is None else made.content
    return parse(source, file) if b"path" in source or b"addsitedir" in source else None


def warn_about_options(target: Target) -> Iterator[Warning]:
    """Yields a warning for each option of Python that the job runs without."""
    for option in target.options:
        if option not in PATH_OPTIONS:
            hint = "leave it out, and set the variable that does the same with --env, such as PYTHONWARNINGS"
            yield Warning(f"the job's driver runs without the option `{option}` of Python", None, None, hint)


def imported_at_start(finder: Finder) -> list[str]:
    """Returns the first-party modules that Python imports by itself when it starts."""
    early = Finder(
        tuple(map(os.path.realpath, finder.interpreter.path)), finder.interpreter, finder.directories
    )
    names = []
    for name in _IMPORTED_AT_START:
        found = early.find(name)
        if isinstance(found, FirstParty) and finder.find(name) == found:
            names.append(name)
    return names
