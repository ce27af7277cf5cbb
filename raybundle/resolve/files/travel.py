"""Decides what travels besides the modules that were reached, and refuses what must not."""

# Why strings: paths here are the strings that `sys.path` holds; pathlib would cost ten times as much.
# ruff: noqa: PTH118, PTH120

from __future__ import annotations

import os
from os.path import join
from typing import TYPE_CHECKING

from raybundle.formats.archive_paths import refuse_case_collisions
from raybundle.resolve.files.data_files import (
    Candidate,
    is_extension,
    package_data,
    refuse_escaping_links,
    within_limit,
    without_excluded,
)
from raybundle.resolve.files.git_ignored import repository_of
from raybundle.resolve.find.finder import Finder, FirstParty, Namespace
from raybundle.resolve.find.ray_names import refuse_shadows_of_ray

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from raybundle.model import (
        Warning,
    )
    from raybundle.resolve.files.placement import Placement
    from raybundle.resolve.settings import ResolveSettings
    from raybundle.resolve.walk.reached import Closure

_LINK_TREE = "/build/__editable__."
"""In the path of a directory of links that setuptools makes for an editable install in strict mode."""


def split_modules(candidates: Iterable[Candidate], finder: Finder) -> tuple[list[str], list[Candidate]]:
    """Returns the names of included modules, and the included files that are none."""
    own = [entry for entry in finder.path if entry not in finder.added and finder.is_first_party(entry)]
    entries = [*own, *sorted(finder.added, key=len, reverse=True)]
    names, plain = [], []
    for each in candidates:
        is_module = each.file.endswith(".py") or is_extension(each.file)
        name = _module_name(each.file, finder, entries) if is_module else None
        if name is None:
            plain.append(each)
        else:
            names.append(name)
    return names, plain


def _module_name(file: str, finder: Finder, entries: Iterable[str]) -> str | None:
    for entry in entries:
        if file.startswith(f"{entry}/"):
            folder, _, base = file[len(entry) + 1 :].rpartition("/")
            relative = f"{folder}/{base.partition('.')[0]}".strip("/").removesuffix("/__init__")
            name = relative.replace("/", ".")
            found = finder.find(name)
            if isinstance(found, FirstParty) and found.file == file:
                return name
    return None


def data_of(
    closure: Closure, plain: list[Candidate], finder: Finder, project: Path, settings: ResolveSettings
) -> tuple[list[Candidate], list[Warning]]:
    """Returns the data that travels, and a warning for each file that is left out."""
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
                for other, place in finder.portions(name):
                    if place in holding:
                        candidates += package_data(name, place, other, finder.directories)
            case Namespace(portions=portions) if name in read or any(each in holding for _, each in portions):
                candidates += _namespace_data(name, portions, finder, project)
    candidates += _initialisers(closure, finder)
    named = {each.file for each in plain}
    candidates = [each for each in candidates if each.file not in named]
    kept, warnings = within_limit(without_excluded(candidates, project, settings.exclude))
    return kept + plain, warnings


def _initialisers(closure: Closure, finder: Finder) -> Iterator[Candidate]:
    """Yields the `__init__` of each further portion of a package: `pkg_resources` looks for it on a node."""
    found = [each.found for each in closure.reached.values()]
    files = [each.file for each in found if isinstance(each, FirstParty)]
    for name in closure.reached:
        for entry, place in finder.portions(name):
            below = any(each.startswith(f"{place}/") for each in files)
            if below and "__init__.py" in finder.directories.list(place).files:
                reason = f"further portion of package {name}"
                yield Candidate(join(place, "__init__.py"), entry, reason, of_package=True)


def _namespace_data(
    name: str, portions: Iterable[tuple[str, str]], finder: Finder, project: Path
) -> Iterator[Candidate]:
    """Yields the data of the portions under a root; a folder around the whole project is no package of it."""
    for entry, directory in portions:
        if finder.is_first_party(entry) and not f"{project}/".startswith(f"{directory}/"):
            yield from package_data(name, directory, entry, finder.directories, is_namespace=True)


def refuse(placement: Placement, finder: Finder, project: Path) -> None:
    """Refuses what must not travel, or could not be told apart where it arrives."""
    modules = [str(each.file) for each in placement.modules if each.file]
    files = [*modules, *(str(each.file) for each in placement.data)]
    files = [each for each in files if _LINK_TREE not in each]
    allowed = {str(root.directory) for root in placement.roots}
    allowed.update(entry for entry in finder.path if finder.is_first_party(entry))
    allowed.difference_update(finder.added)  # they are in the project, if no link leads out of it
    allowed |= {str(project), repository_of(str(project)) or str(project)}
    refuse_escaping_links(files, allowed, finder.directories, project)
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
