"""Resolves a target: from what the user runs to the effective import graph."""

# Why strings: paths here are the strings that `sys.path` holds; pathlib would cost ten times as much.
# ruff: noqa: PTH119, PTH120

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from raybundle.errors import UnresolvedImportError
from raybundle.graph.archive_paths import refuse_composed_twins
from raybundle.graph.archives import archives_on
from raybundle.graph.cache import Scanner
from raybundle.graph.closure import Sources, follow
from raybundle.graph.conditions import environment_of
from raybundle.graph.data_files import (
    included,
    package_data,
    within_limit,
    without_excluded,
)
from raybundle.graph.distributions import find_distributions
from raybundle.graph.driver import (
    DriverPath,
    find_start,
    imported_at_start,
    made_script,
    of_link,
    of_options,
    of_safe_path,
)
from raybundle.graph.driver_path import declared_roots
from raybundle.graph.entry_points import EntryPoints, own_metadata
from raybundle.graph.generated import Generated, relocated
from raybundle.graph.notices import of_shadowed_library, shadowed_in
from raybundle.graph.placement import place
from raybundle.graph.project import project_of
from raybundle.graph.scan import scan
from raybundle.graph.settings import ResolveSettings
from raybundle.graph.strings import is_config
from raybundle.graph.traced import Usable, data_of_runs, not_imported, usable, with_runs
from raybundle.graph.travel import data_of, refuse, split_modules
from raybundle.graph.widen import Widening
from raybundle.model import (
    Resolution,
    Warning,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from raybundle.graph.cache import ScanCache
    from raybundle.graph.distributions import Needed
    from raybundle.graph.facts import Facts
    from raybundle.graph.find import Finder, FirstParty
    from raybundle.model import Interpreter, Target


__all__ = ["ResolveSettings", "finder_of", "require_complete", "resolve"]


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
    made = made_script(target, project, interpreter)
    path = DriverPath(target, project, declared_roots(project, settings.roots), cwd)
    finder, start = find_start(path, interpreter, made)
    wanted, warnings = included(project, settings.include)
    wanted = without_excluded(wanted, project, settings.exclude)
    names, plain = split_modules(wanted, finder)
    shown = usable(settings.traced, finder, start.name, project) if settings.traced else Usable()
    start = replace(
        start,
        implied=(
            *((each, "start-up") for each in imported_at_start(finder)),
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
        *of_options(target),
        *of_safe_path(start, finder),
        *of_link(target, start, cwd),
        *of_shadowed_library(finder, {*closure.reached, Path(start.found.file).stem}),
    ]
    data, left_out = data_of(closure, plain, finder, project, settings)
    opened, too_large = within_limit(
        without_excluded(data_of_runs(shown, closure, data), project, settings.exclude)
    )
    data += opened
    if closure.consults_metadata:
        data += own_metadata(entry_points, closure)
    refuse_composed_twins(each.file for each in data)
    placement = place(closure, data, finder, project)
    refuse(placement, finder, project)
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


def finder_of(resolution: Resolution, roots: Iterable[str], cwd: Path) -> Finder:
    """Return what finds modules on the whole path of the driver, which a resolution does not keep."""
    target, project, interpreter = resolution.target, resolution.project, resolution.interpreter
    path = DriverPath(target, project, declared_roots(project, roots), cwd.resolve())
    return find_start(path, interpreter, made_script(target, project, interpreter))[0]


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


def _facts_of(scanner: Scanner, made: Generated | None) -> Callable[[str], Facts]:
    if made is None:
        return scanner.facts
    return lambda file: (
        scan(made.content, file, scanner.environment) if file == str(made.file) else scanner.facts(file)
    )


def _of_unowned(needed: Needed) -> Iterator[Warning]:
    for name in needed.unowned:
        hint = "install it with a tool that writes RECORD, such as pip or uv"
        yield Warning(f"`{name}` belongs to no installed distribution", None, None, hint)
