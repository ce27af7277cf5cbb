"""Resolves a target: from what the user runs to the effective import graph."""

# Why strings: paths here are the strings that `sys.path` holds; pathlib would cost ten times as much.

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from raybundle.formats.archive_paths import refuse_composed_twins
from raybundle.model import NotebookTarget, Resolution
from raybundle.resolve.consulted import Consulted
from raybundle.resolve.distributions.needed import find_distributions, find_lazy_uses
from raybundle.resolve.distributions.obstacles import find_obstacles, refuse_misnamed, with_provided
from raybundle.resolve.distributions.values import Wanted
from raybundle.resolve.driver.driver import (
    DriverPath,
    find_start,
    imported_at_start,
    made_script,
    warn_about_link,
    warn_about_options,
    warn_about_safe_path,
)
from raybundle.resolve.driver.generated import Generated, facts_of, mentions_of, relocated, source_of
from raybundle.resolve.driver.path import declared_roots
from raybundle.resolve.driver.project import project_of, start_directory
from raybundle.resolve.evaluate.edits import Edits
from raybundle.resolve.files.data_files import called, included, within_limit, without_excluded
from raybundle.resolve.files.declared import installed_among, read_declarations
from raybundle.resolve.files.entry_points import EntryPoints, own_metadata
from raybundle.resolve.files.git_ignored import repository_of
from raybundle.resolve.files.named.ground import ground_of
from raybundle.resolve.files.named.search import Asked, NamedFiles, named_files
from raybundle.resolve.files.naming import naming, naming_beside, tracked_pickles
from raybundle.resolve.files.placement import place
from raybundle.resolve.files.programs import Programs
from raybundle.resolve.files.scripts import beside_scripts, opened_extensions, without_matches
from raybundle.resolve.files.travel import data_of, refuse, split_modules
from raybundle.resolve.interpreter.markers import environment_of
from raybundle.resolve.missing.absent import sort_misses, with_warning
from raybundle.resolve.missing.archives import archives_on, no_directories, split_archive
from raybundle.resolve.missing.eager import EAGER, loading_of, refuse_unparsed
from raybundle.resolve.missing.elsewhere import remedy_of_absent, roots_hint
from raybundle.resolve.missing.lazy_uses import Texts, warn_about_lazy_uses
from raybundle.resolve.scan.scanner import Scanner
from raybundle.resolve.settings import ResolveSettings
from raybundle.resolve.trace.join import find_data, find_usable, list_not_imported, settle_by_runs
from raybundle.resolve.walk.closure import Sources, follow
from raybundle.resolve.walk.look_ahead import scan_ahead
from raybundle.resolve.walk.rewiring import Rewired, Rewiring
from raybundle.resolve.walk.settled_warnings import drop_settled
from raybundle.resolve.walk.warnings import (
    find_refused,
    list_shadowed,
    warn_about_hidden_in_project,
    warn_about_shadowed_library,
)
from raybundle.resolve.walk.widen import Guesser

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from raybundle.cache.documents import Cache
    from raybundle.model import Interpreter, Rule, Target, Warning
    from raybundle.resolve.distributions.values import Needed
    from raybundle.resolve.files.data_files import Candidate
    from raybundle.resolve.files.declared import Declared
    from raybundle.resolve.find.finder import Finder
    from raybundle.resolve.missing.eager import Loading
    from raybundle.resolve.start import Start
    from raybundle.resolve.trace.join import Usable
    from raybundle.resolve.walk.reached import Closure

__all__ = ["Recorded", "ResolveSettings", "finder_of", "resolve", "resolve_recorded"]

_ROUNDS = 8
"""Walks at most. A module that is found by an edit of the path may edit it again."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A resolution, and what it depends on."""

    resolution: Resolution
    consulted: Consulted
    cwd: Path | None
    """The directory in which it is valid. None for any."""
    complete: bool
    """Everything that it depends on is in `consulted`."""


@dataclass(slots=True)
class _Work:
    """The inputs of one resolution."""

    target: Target
    settings: ResolveSettings
    project: Path
    cwd: Path
    interpreter: Interpreter
    made: Generated | None
    path: DriverPath
    finder: Finder
    start: Start
    scanner: Scanner
    entry_points: EntryPoints
    declared: Declared


def resolve(
    target: Target, settings: ResolveSettings, interpreter: Interpreter, cwd: Path, cache: Cache
) -> Resolution:
    """Returns the effective import graph of `target`. No user code is imported or run.

    Raises:
        BundleError: the target or a module cannot be used as it is.
        RefusedFileError: files must not or cannot travel.
        UsageError: a setting cannot be carried out.
    """
    return resolve_recorded(target, settings, interpreter, cwd, cache).resolution


def resolve_recorded(
    target: Target, settings: ResolveSettings, interpreter: Interpreter, cwd: Path, cache: Cache
) -> Recorded:
    """Returns what `resolve` returns, and a record of every file and directory that it depends on."""
    record = Consulted(cache.clock())
    work = _work(target, settings, interpreter, cwd, cache)
    record.follow(work.start.followed)
    wanted, warnings = included(work.project, work.declared.patterns)
    wanted = without_excluded(wanted, work.project, settings.exclude)
    walk = _walk_until_settled(work, wanted)
    work = walk.work
    data, left_out = _data(work, walk)
    resolution = _resolution(walk, data, [*warnings, *left_out, *walk.named.warnings, *walk.warnings])
    _note(work, [*(str(each.file) for each in left_out), *walk.named.asked], record)
    record.follow([*walk.followed, *walk.named.outside])
    record.carry(each.file for each in data if each.of_package or each.named)
    remedy = remedy_of_absent(resolution, settings.roots)
    hint = roots_hint(remedy, work.project) if remedy else ""
    return Recorded(
        with_warning(
            resolution if work.made is None else relocated(resolution, work.made),
            hint,
            remedy.settled if remedy else (),
        ),
        record,
        work.cwd if work.start.depends_on_cwd or walk.followed else None,
        complete=_is_complete(work),
    )


@dataclass(frozen=True, slots=True)
class _Walk:
    """A walk that includes all that the reached modules do to the import system."""

    work: _Work
    closure: Closure
    included: frozenset[str]
    """Files that `include` names."""
    plain: list[Candidate]
    """Those of them that are not modules."""
    shown: Usable
    warnings: tuple[Warning, ...]
    followed: list[str]
    """Paths whose links the edits of `sys.path` resolve."""
    named: NamedFiles
    """Files that paths in sources and arguments name."""


class _Entering(NamedTuple):
    """What enters the graph because of what an earlier walk reached."""

    configs: tuple[str, ...] = ()
    """Configuration files and pickles that paths name."""
    pickles: tuple[str, ...] = ()
    """Pickles that travel with all other data."""
    scripts: tuple[Candidate, ...] = ()
    """Scripts that paths name."""
    plugins: tuple[tuple[str, Rule], ...] = ()
    """Modules that libraries load as plugins."""

    def after(
        self, named: NamedFiles, beside: Iterable[Candidate], plugins: Iterable[tuple[str, Rule]]
    ) -> _Entering:
        """Returns what enters the next walk; a script that was reached is no longer among the named files."""
        scripts = {each.file: each for each in (*beside, *named.scripts, *self.scripts)}
        found = named.candidates
        return _Entering(naming(found), tracked_pickles(found), tuple(scripts.values()), tuple(plugins))


def _walk_until_settled(work: _Work, wanted: list[Candidate]) -> _Walk:
    """Walks again if modules edit `sys.path`, `__path__` or `sys.modules`, until nothing new is found."""
    cwd = work.start.found.entry if isinstance(work.target, NotebookTarget) else str(work.cwd)
    reads = (facts_of(work.scanner, work.made), source_of(work.scanner, work.made))
    rewiring = Rewiring(work.start, work.project, cwd, *reads, work.interpreter.version)
    known, named, entering = Rewired(), NamedFiles(), _Entering()
    for _ in range(_ROUNDS):
        names, plain = split_modules([*wanted, *entering.scripts], work.finder)
        shown = find_usable(work.settings.traced, work.finder, work.start.name, work.project)
        start = replace(
            work.start,
            implied=(*entering.plugins, *((each, "include") for each in (*names, *work.declared.modules))),
            configs=naming([*plain, *named.candidates]),
            pickles=entering.pickles,
            traced=shown.modules,
            unsure=frozenset(name for name in names if work.finder.is_added(name)),
        )
        closure = _closure(work, start)
        found, named = rewiring.of(closure, work.finder), _named(work, closure, wanted)
        beside = beside_scripts(closure, entering.scripts, work.finder.directories)
        if "path" not in work.settings.rules_off:
            beside += opened_extensions(closure, rewiring.facts_of, work.finder.directories)
        before, entering = entering, entering.after(named, beside, _plugins(work, closure))
        if found == known and entering == before:
            break
        work, known = _rewired(work, found), found
    closure = without_matches(closure, entering.scripts, work.finder.directories)
    warnings = tuple(rewiring.warnings(closure, work.finder))
    included_files = frozenset(each.file for each in (*wanted, *entering.scripts))
    return _Walk(work, closure, included_files, plain, shown, warnings, rewiring.followed(closure), named)


def _named(work: _Work, closure: Closure, wanted: Iterable[Candidate]) -> NamedFiles:
    """Returns the files that paths name, and those that git tracks; `include` and `exclude` come before."""
    off = "path" in work.settings.rules_off
    start = start_directory(work.target, work.project, work.cwd)
    starts = (start, str(work.cwd))
    ground = ground_of(work.finder, str(work.project), starts, wanted, work.settings.exclude)
    asked = Asked(() if off else work.settings.arguments, work.settings.tracked, sources=not off)
    return named_files(closure, asked, ground, facts_of(work.scanner, work.made), work.scanner.config)


def _plugins(work: _Work, closure: Closure) -> list[tuple[str, Rule]]:
    """Returns the modules that no source names: plugins, programs, and what the job is given."""
    off = "entry-point" in work.settings.rules_off
    read = facts_of(work.scanner, work.made)
    plugins = () if off else work.entry_points.of_libraries(closure, read)
    programs = _programs(work, closure).modules()
    given = _sources(work).guesser.named_by(work.settings.references)
    return [
        *((name, "entry-point") for name in plugins),
        *((name, "resource") for name in programs),
        *((name, "string") for name in given),
    ]


def _programs(work: _Work, closure: Closure) -> Programs:
    return Programs(closure, work.entry_points, work.settings)


def _rewired(work: _Work, found: Rewired) -> _Work:
    edits = Edits((*work.start.edits, *found.edits))
    finder = work.path.finder(work.interpreter, edits, work.finder.directories)
    finder = replace(finder, packages=found.packages, aliases=found.aliases)
    return replace(work, finder=finder, entry_points=EntryPoints(finder, str(work.project)))


def _resolution(walk: _Walk, data: list[Candidate], warnings: Iterable[Warning]) -> Resolution:
    work, closure, shown = walk.work, walk.closure, walk.shown
    loading = loading_of(closure)
    refuse_unparsed(closure, loading)
    unresolved = sort_misses(closure, loading, work.finder, work.settings, shown)
    wanted = _wanted(work, closure, loading)
    needed = find_distributions(wanted, work.interpreter, work.scanner.cache)
    refuse_misnamed(wanted, needed, unresolved.on_nodes, work.interpreter)
    of_needed, obstacles = find_obstacles(wanted, needed, closure.edges, work.interpreter)
    layered = any(each.provided_by == "bundle" for each in needed.distributions)
    placement = place(closure, data, work.finder, work.project, layered=layered)
    refuse(placement, work.finder, work.project)
    return Resolution(
        target=work.target,
        project=work.project,
        interpreter=work.interpreter,
        path=placement.path,
        roots=placement.roots,
        modules=placement.modules,
        edges=(*closure.edges, *(each for found in unresolved.on_nodes.values() for each in found)),
        data=placement.data,
        distributions=with_provided(needed.distributions, unresolved.on_nodes),
        missing=unresolved.missing,
        warnings=(
            *drop_settled(settle_by_runs(closure, shown), closure, walk.included, shown.names),
            *warnings,
            *_left_behind(work, closure, needed, data),
            *of_needed,
        ),
        not_found=unresolved.not_found,
        absent=unresolved.absent,
        unknown=closure.unknown,
        opened=closure.opened,
        shadowed=list_shadowed(closure),
        not_imported=list_not_imported(shown, closure) if work.settings.traced else None,
        optional=needed.optional,
        plugins=needed.plugins,
        mentioned=needed.mentioned,
        obstacles=(*obstacles, *_refused(work)),
    )


def _refused(work: _Work) -> tuple[Warning, ...]:
    return find_refused(file := work.start.found.file, facts_of(work.scanner, work.made)(file))


def _wanted(work: _Work, closure: Closure, loading: Loading) -> Wanted:
    used = closure.distributions.union(_programs(work, closure).distributions())
    asked = installed_among(used.union(work.settings.asked), work.finder)
    return Wanted(
        closure.third_party,
        frozenset(name for name in closure.third_party if loading.sureness.get(name) != EAGER),
        (*work.declared.distributions, *asked),
        work.settings.dependencies,
        work.settings.cluster_provides,
    )


def _work(
    target: Target, settings: ResolveSettings, interpreter: Interpreter, cwd: Path, cache: Cache
) -> _Work:
    cwd = cwd.resolve()
    project = (settings.project or project_of(target, cwd)).resolve()
    made = made_script(target, project, interpreter)
    path = DriverPath(target, project, declared_roots(project, settings.roots), cwd)
    finder, start = find_start(path, interpreter, made)
    scanner = Scanner(cache, project, environment_of(interpreter), finder.directories.read)
    declared = read_declarations(settings.include, project, finder)
    given = (target, settings, project, cwd, interpreter)
    return _Work(*given, made, path, finder, start, scanner, EntryPoints(finder, str(project)), declared)


def _closure(work: _Work, start: Start) -> Closure:
    implied = (*((each, "start-up") for each in imported_at_start(work.finder)), *start.implied)
    start, sources = replace(start, implied=implied), _sources(work)
    try:
        scan_ahead(start, work.finder, work.scanner, sources.guesser, work.settings.rules_off)
        return follow(start, work.finder, sources, work.settings.rules_off)
    finally:
        work.scanner.save()


def _data(work: _Work, walk: _Walk) -> tuple[list[Candidate], list[Warning]]:
    """Returns the data that travels, and a warning for each file that is left out."""
    closure, shown, exclude = walk.closure, walk.shown, work.settings.exclude
    data, left_out = data_of(closure, walk.plain, work.finder, work.project, work.settings)
    opened, too_large = within_limit(without_excluded(find_data(shown, closure, data), work.project, exclude))
    known = {each.file for each in (*data, *opened)}
    named = [each for each in walk.named.candidates if each.file not in known]
    data += [*opened, *called(work.target), *named]
    data += [*own_metadata(work.entry_points, closure), *_programs(work, closure).scripts(work.project)]
    refuse_composed_twins(each.file for each in data)
    return data, list(dict.fromkeys([*left_out, *too_large]))


def _left_behind(work: _Work, closure: Closure, needed: Needed, data: list[Candidate]) -> Iterator[Warning]:
    find = partial(find_lazy_uses, sites=work.interpreter.site, cache=work.scanner.cache)
    texts = Texts(source_of(work.scanner, work.made), find, naming(data))
    yield from warn_about_lazy_uses(needed, closure, texts, work.settings.optional)
    yield from archives_on(work.finder, closure, [os.path.realpath(each) for each in work.path.declared])
    yield from _programs(work, closure).warnings()
    yield from warn_about_options(work.target)
    yield from warn_about_safe_path(work.start, work.finder)
    yield from warn_about_link(work.target, work.start, work.finder, work.cwd)
    yield from warn_about_hidden_in_project(work.finder, closure)
    yield from warn_about_shadowed_library(work.finder, {*closure.reached, Path(work.start.found.file).stem})


def _note(work: _Work, asked: Iterable[str], record: Consulted) -> None:
    for entry in (*work.finder.path, *work.interpreter.site):
        work.finder.directories.list(entry)
    record.read(work.scanner.consulted)
    record.ask([*asked, *work.scanner.refused, *work.entry_points.asked])
    record.list(work.finder.directories.known, work.interpreter.site, work.scanner.cache)
    record.follow(work.entry_points.followed)
    top = repository_of(str(work.project))
    record.follow([f"{top}/.git"] if top else ())  # links are followed in it
    record.follow(each for entry in work.finder.path for each in no_directories(entry))


def _is_complete(work: _Work) -> bool:
    """Returns whether the record is complete: it lacks archives, `.pth` files and the files of runs."""
    archives = any(split_archive(entry)[0] for entry in work.finder.path)
    return not (archives or work.start.reads_files or work.made or work.settings.traced)


def finder_of(resolution: Resolution, roots: Iterable[str], cwd: Path) -> Finder:
    """Returns the finder for the whole path of the driver, which a resolution does not keep."""
    target, project, interpreter = resolution.target, resolution.project, resolution.interpreter
    path = DriverPath(target, project, declared_roots(project, roots), cwd.resolve())
    return find_start(path, interpreter, made_script(target, project, interpreter))[0]


def _sources(work: _Work) -> Sources:
    finder, scanner = work.finder, work.scanner
    made, beside = work.made, naming_beside(finder.directories, work.project, work.settings)
    guesser = Guesser(finder, mentions_of(scanner, made), work.entry_points.values)
    return Sources(facts_of(scanner, made), scanner.config, beside, guesser, source_of(scanner, made))
