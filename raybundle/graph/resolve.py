"""Resolves a target: from what the user runs to the effective import graph."""

# Why strings: paths here are the strings that `sys.path` holds; pathlib would cost ten times as much.
# ruff: noqa: PTH119, PTH120

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from raybundle.errors import BundleError, UnresolvedImportError
from raybundle.graph.archive_paths import refuse_case_collisions
from raybundle.graph.archives import archives_on
from raybundle.graph.cache import Scanner, read_source
from raybundle.graph.closure import Sources, Start, follow, shadowed_in
from raybundle.graph.conditions import environment_of
from raybundle.graph.console_script import console_script
from raybundle.graph.data_files import (
    Candidate,
    included,
    package_data,
    refuse_escaping_links,
    refuse_secrets,
    within_limit,
    without_excluded,
)
from raybundle.graph.distributions import find_distributions
from raybundle.graph.driver_path import declared_roots, driver_path
from raybundle.graph.edit_order import refuse_early_imports
from raybundle.graph.entry_points import EntryPoints, own_metadata
from raybundle.graph.exhaustive import assert_never
from raybundle.graph.find import Finder, FirstParty, Namespace
from raybundle.graph.generated import Generated, relocated
from raybundle.graph.interpreter import PATH_OPTIONS
from raybundle.graph.notebook import notebook_script
from raybundle.graph.notices import of_shadowed_library
from raybundle.graph.path_edits import Edits, evaluate
from raybundle.graph.placement import place
from raybundle.graph.project import first_directory, project_of
from raybundle.graph.ray_names import refuse_shadows_of_ray
from raybundle.graph.scan import parse, scan
from raybundle.graph.strings import is_config
from raybundle.graph.traced import Usable, data_of_runs, not_imported, usable, with_runs
from raybundle.graph.widen import Widening
from raybundle.model import (
    ConsoleScriptTarget,
    DirectoryTarget,
    ModuleTarget,
    NotebookTarget,
    Resolution,
    ScriptTarget,
    Warning,
)

if TYPE_CHECKING:
    import ast
    from collections.abc import Callable, Iterable, Iterator

    from raybundle.graph.cache import ScanCache
    from raybundle.graph.closure import Closure
    from raybundle.graph.distributions import Needed
    from raybundle.graph.facts import Facts
    from raybundle.graph.path_edits import Edit
    from raybundle.graph.placement import Placement
    from raybundle.graph.traced import Traced
    from raybundle.model import Interpreter, Target

_IMPORTED_AT_START = ("sitecustomize", "usercustomize")
"""Python's `site` imports these by itself, before the script's directory is on the path."""
_HAS_SAFE_PATH = (3, 11)
"""The Python that has `-P` and PYTHONSAFEPATH."""
_LINK_TREE = "/build/__editable__."
"""In the path of a directory of links that setuptools makes for an editable install in strict mode."""


@dataclass(frozen=True, slots=True)
class ResolveSettings:
    """What the configuration declares about the graph; all relative to the project."""

    roots: tuple[str, ...] = ()
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    project: Path | None = None
    """Where the caller knows it; else it is found from the target."""
    rules_off: frozenset[str] = frozenset()
    """Rules (`raybundle.model.Rule`) that are switched off, and `data`: the files of packages."""
    traced: Traced | None = None
    """What runs of the target have shown."""


def resolve(
    target: Target, settings: ResolveSettings, interpreter: Interpreter, cwd: Path, cache: ScanCache
) -> Resolution:
    """Return the effective import graph of `target`; nothing of the user's is imported or run.

    Raises:
        BundleError: the target or a module cannot be used as it is.
        RefusedFileError: files must not or cannot travel.
        UsageError: a setting cannot be carried out.
    """
    cwd = cwd.resolve()
    project = (settings.project or project_of(target, cwd)).resolve()
    made = _made_script(target, project, interpreter)
    path = _DriverPath(target, project, declared_roots(project, settings.roots), cwd)
    finder, start = _find_start(path, interpreter, made)
    wanted, warnings = included(project, settings.include)
    wanted = without_excluded(wanted, project, settings.exclude)
    names, plain = _split_modules(wanted, finder)
    shown = usable(settings.traced, finder, start.name, project) if settings.traced else Usable()
    start = replace(
        start,
        implied=(
            *((each, "start-up") for each in _imported_at_start(finder)),
            *((each, "include") for each in names),
        ),
        configs=tuple(sorted(each.file for each in plain if is_config(os.path.basename(each.file)))),
        traced=shown.modules,
    )
    scanner = Scanner(cache, project, environment_of(interpreter))
    entry_points = EntryPoints(interpreter.site, finder)
    try:
        sources = _sources(scanner, finder, entry_points, made)
        closure = follow(start, finder, sources, settings.rules_off)
    finally:
        scanner.save()
    left_behind = [
        *archives_on(finder, closure),
        *_of_options(target),
        *_of_safe_path(start, finder),
        *_of_link(target, start, cwd),
        *of_shadowed_library(finder, {*closure.reached, Path(start.found.file).stem}),
    ]
    data, left_out = _data(closure, plain, finder, project, settings)
    opened, too_large = within_limit(
        without_excluded(data_of_runs(shown, closure, data), project, settings.exclude)
    )
    data += opened
    if closure.consults_metadata:
        data += own_metadata(entry_points, closure)
    placement = place(closure, data, finder, project)
    _refuse(placement, finder, project)
    needed = find_distributions(closure.third_party, interpreter, cache)
    resolution = Resolution(
        target=target,
        project=project,
        interpreter=interpreter,
        path=placement.path,
        roots=placement.roots,
        modules=placement.modules,
        edges=closure.edges,
        data=placement.data,
        distributions=needed.distributions,
        missing=closure.missing,
        warnings=(
            *with_runs(closure, shown),
            *warnings,
            *dict.fromkeys([*left_out, *too_large]),
            *left_behind,
            *_of_unowned(needed),
        ),
        not_found=closure.not_found,
        unknown=closure.unknown,
        shadowed=shadowed_in(closure),
        not_imported=not_imported(shown, closure) if settings.traced else None,
    )
    return resolution if made is None else relocated(resolution, made)


def require_complete(resolution: Resolution) -> None:
    """Refuse a resolution in which imports resolve nowhere.

    Raises:
        UnresolvedImportError: lists all of them with file and line.
    """
    if not resolution.missing:
        return
    lines = [
        f"cannot find `{each.name}`, imported at {_shown(each.file, resolution.project)}:{each.line}"
        for each in resolution.missing
    ]
    first = resolution.missing[0].name.partition(".")[0] or resolution.missing[0].name
    raise UnresolvedImportError(
        "\n".join(lines),
        hint=f"add the folder that holds `{first}` to `roots` in [tool.raybundle], or install its "
        f"distribution into the environment of {resolution.interpreter.executable}",
    )


def _sources(scanner: Scanner, finder: Finder, entry_points: EntryPoints, made: Generated | None) -> Sources:
    def configs_beside(found: FirstParty) -> Iterator[str]:
        directory = os.path.dirname(found.file)
        if found.is_package:
            files = (each.file for each in package_data("", directory, "", finder.directories))
        else:
            files = (f"{directory}/{name}" for name in finder.directories.list(directory).files)
        return (file for file in files if is_config(os.path.basename(file)))

    return Sources(
        _facts_of(scanner, made),
        scanner.config,
        configs_beside,
        Widening(finder, scanner.mentions, entry_points.values),
    )


def _shown(file: Path, project: Path) -> str:
    return str(file.relative_to(project) if file.is_relative_to(project) else file)


def _made_script(target: Target, project: Path, interpreter: Interpreter) -> Generated | None:
    match target:
        case NotebookTarget(path=path):
            return notebook_script(path)
        case ConsoleScriptTarget(name=name):
            return console_script(name, project, interpreter)
        case ScriptTarget() | ModuleTarget() | DirectoryTarget():
            return None
        case other:
            return assert_never(other)


def _facts_of(scanner: Scanner, made: Generated | None) -> Callable[[str], Facts]:
    if made is None:
        return scanner.facts
    return lambda file: (
        scan(made.content, file, scanner.environment) if file == str(made.file) else scanner.facts(file)
    )


@dataclass(frozen=True, slots=True)
class _DriverPath:
    """What the driver's path begins with is found from this."""

    target: Target
    project: Path
    declared: tuple[str, ...]
    cwd: Path

    def on(self, interpreter: Interpreter, edits: Edits) -> tuple[str, ...]:
        first = first_directory(self.target, self.project, self.cwd, safe_path=interpreter.safe_path)
        return driver_path(first, self.declared, interpreter, edits.edits)


def _find_start(path: _DriverPath, interpreter: Interpreter, made: Generated | None) -> tuple[Finder, Start]:
    """Return the finder for the driver's path, its own edits applied, and the driver itself."""
    finder = Finder(path.on(interpreter, Edits()), interpreter)
    name, found = _find_driver(path.target, finder, made)
    # A notebook runs in its own directory.
    cwd = Path(found.entry) if isinstance(path.target, NotebookTarget) else path.cwd
    tree = _edited_tree(found.file, made)
    if tree is None:
        return finder, Start(name, found)
    edits = evaluate(tree, _name_of(path.target, found), str(cwd))

    def after(some: tuple[Edit, ...]) -> Finder:
        return Finder(path.on(interpreter, Edits(some)), interpreter, finder.directories)

    def where(line: int) -> str:
        return f"{made.origin}:{made.lines[line - 1]}" if made else f"{found.file}:{line}"

    refuse_early_imports(tree, where, edits.edits, after)
    return after(edits.edits), Start(name, found, edits.lines)


def _name_of(target: Target, found: FirstParty) -> str:
    """Return the driver's `__file__`."""
    return str(target.path) if isinstance(target, ScriptTarget) else found.file


def _of_link(target: Target, start: Start, cwd: Path) -> Iterator[Warning]:
    """Yield a warning where the script's edits of the path differ on the nodes, which know no link to it."""
    name = _name_of(target, start.found)
    tree = None if name == start.found.file else _edited_tree(start.found.file, None)
    if tree and evaluate(tree, name, str(cwd)) != evaluate(tree, start.found.file, str(cwd)):
        text = f"{name} is a link, and edits `sys.path` by its place: a node has {start.found.file}"
        yield Warning(text, Path(start.found.file), None, "resolve it: `Path(__file__).resolve()`")


def _of_safe_path(start: Start, finder: Finder) -> Iterator[Warning]:
    """Yield a warning where the nodes put first what `-P` leaves in its later place on the path.

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
        case NotebookTarget() | ConsoleScriptTarget():
            return _script(made.file if made else Path())
        case ModuleTarget(name=name):
            return _find_module(name, finder)
        case other:
            return assert_never(other)


def _script(file: Path) -> tuple[str, FirstParty]:
    return "__main__", FirstParty(str(file.parent), str(file), is_package=False)


def _find_module(name: str, finder: Finder) -> tuple[str, FirstParty]:
    match finder.find(name):
        case FirstParty(is_package=True) | Namespace():
            return _find_module(f"{name}.__main__", finder)
        case FirstParty() as found if not found.is_extension:
            return name, found
        case _:
            raise BundleError(
                f"`-m {name}` is no module of this project",
                hint="run it from the folder that holds it, or add that to `roots` in [tool.raybundle]",
            )


def _edited_tree(file: str, made: Generated | None) -> ast.Module | None:
    """Return the driver's tree if it can have edits of the path."""
    source = read_source(file) if made is None else made.content
    return parse(source, file) if b"path" in source or b"addsitedir" in source else None


def _of_options(target: Target) -> Iterator[Warning]:
    for option in target.options:
        if option not in PATH_OPTIONS:
            hint = "set the variable that does the same with --env, such as PYTHONWARNINGS"
            yield Warning(f"the job's driver runs without the option `{option}` of Python", None, None, hint)


def _imported_at_start(finder: Finder) -> list[str]:
    early = Finder(
        tuple(map(os.path.realpath, finder.interpreter.path)), finder.interpreter, finder.directories
    )
    names = []
    for name in _IMPORTED_AT_START:
        found = early.find(name)
        if isinstance(found, FirstParty) and finder.find(name) == found:
            names.append(name)
    return names


def _split_modules(candidates: Iterable[Candidate], finder: Finder) -> tuple[list[str], list[Candidate]]:
    """Return the names of included modules, and the included files that are none."""
    names, plain = [], []
    for each in candidates:
        name = _module_name(each.file, finder) if each.file.endswith(".py") else None
        if name is None:
            plain.append(each)
        else:
            names.append(name)
    return names, plain


def _module_name(file: str, finder: Finder) -> str | None:
    for entry in finder.path:
        if finder.is_first_party(entry) and file.startswith(f"{entry}/"):
            relative = file[len(entry) + 1 :].removesuffix(".py").removesuffix("/__init__")
            name = relative.replace("/", ".")
            found = finder.find(name)
            if isinstance(found, FirstParty) and found.file == file:
                return name
    return None


def _data(
    closure: Closure, plain: list[Candidate], finder: Finder, project: Path, settings: ResolveSettings
) -> tuple[list[Candidate], list[Warning]]:
    """Return the data that travels, and a warning for each file that is left out."""
    candidates: list[Candidate] = []
    read = {each.imported for each in closure.edges if each.rule == "resource"}
    found = [each.found for each in closure.reached.values()]
    # A folder that only leads to packages is none whose data a job reads.
    holding = {
        os.path.dirname(each.file) for each in found if isinstance(each, FirstParty) and not each.is_package
    }
    for name, reached in closure.reached.items() if "data" not in settings.rules_off else ():
        match reached.found:
            case FirstParty(entry=entry, file=file, is_package=True):
                directory = os.path.dirname(file)
                candidates += package_data(name, directory, entry, finder.directories)
            case Namespace(portions=portions) if name in read or any(each in holding for _, each in portions):
                candidates += _namespace_data(name, portions, finder, project)
    named = {each.file for each in plain}
    candidates = [each for each in candidates if each.file not in named]
    kept, warnings = within_limit(without_excluded(candidates, project, settings.exclude))
    return kept + plain, warnings


def _namespace_data(
    name: str, portions: Iterable[tuple[str, str]], finder: Finder, project: Path
) -> Iterator[Candidate]:
    """Yield the data of the portions under a root; a folder around the whole project is no package of it."""
    for entry, directory in portions:
        if finder.is_first_party(entry) and not f"{project}/".startswith(f"{directory}/"):
            yield from package_data(name, directory, entry, finder.directories, is_namespace=True)


def _refuse(placement: Placement, finder: Finder, project: Path) -> None:
    """Refuse what must not travel, or could not be told apart where it arrives."""
    modules = [str(each.file) for each in placement.modules if each.file]
    files = [*modules, *(str(each.file) for each in placement.data)]
    files = [each for each in files if _LINK_TREE not in each]
    allowed = {str(project), *(str(root.directory) for root in placement.roots)}
    allowed.update(entry for entry in finder.path if finder.is_first_party(entry))
    refuse_escaping_links(files, allowed, finder.directories)
    refuse_secrets(str(each.file) for each in placement.data)
    paths = [each.path for each in placement.modules if each.path]
    refuse_case_collisions([*paths, *(each.path for each in placement.data)])
    refuse_shadows_of_ray(_top_level_files(placement, finder))


def _top_level_files(placement: Placement, finder: Finder) -> dict[str, tuple[str, tuple[str, ...]]]:
    names = {
        each.file.stem if each.kind == "script" else each.name
        for each in placement.modules
        if each.file and "." not in each.name
    }
    found = ((name, finder.find(name)) for name in names)
    return {name: (each.file, each.shadowed) for name, each in found if isinstance(each, FirstParty)}


def _of_unowned(needed: Needed) -> Iterator[Warning]:
    for name in needed.unowned:
        hint = "install it with a tool that writes RECORD, such as pip or uv"
        yield Warning(f"`{name}` belongs to no installed distribution", None, None, hint)
