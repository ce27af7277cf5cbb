"""Finds the folders that would make a missing module importable if they were roots."""

# Why strings: paths here are the strings that `sys.path` holds; pathlib would cost ten times as much.
# ruff: noqa: PTH113, PTH118

from __future__ import annotations

import json
import os
from collections import defaultdict
from dataclasses import dataclass
from os.path import join
from pathlib import Path
from typing import TYPE_CHECKING

from raybundle.dotted import with_ancestors
from raybundle.resolve.files.git_ignored import git_ignored, repository_of
from raybundle.resolve.find.directories import Directories
from raybundle.resolve.find.finder import Finder, FirstParty, Namespace, NotFound, holds_modules
from raybundle.resolve.find.ray_names import RAY_NAMES, RAY_TRIES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from raybundle.model import Resolution

_DIRECTORIES = 20_000
"""Directories that are searched for a file of the right name, which takes about a second."""

_FEW = 2_000
"""The same, if the job may do without the file."""

_NOT_OURS = ("__pycache__", "node_modules", "site-packages")


@dataclass(frozen=True, slots=True)
class Location:
    """A file that would be a module, or a folder that would be a namespace package."""

    name: str
    root: str
    """Relative to the project. It has `..` if only the project's repository has the file."""
    file: Path

    @property
    def has_code(self) -> bool:
        """Whether it is a module or a regular package."""
        return self.file.suffix == ".py"


@dataclass(frozen=True, slots=True)
class Remedy:
    """A value of `roots` with which more imports resolve."""

    roots: tuple[str, ...]
    places: tuple[Location, ...]
    """What the new entries of `roots` have."""
    settled: frozenset[str] = frozenset()
    """Names that resolve with `roots`."""


def elsewhere(project: Path, names: Collection[str], most: int = _DIRECTORIES) -> Iterator[Location]:
    """Yields the places of `names` in the project, or in its repository if the project has none.

    Folders of environments and of other tools are skipped, and so are files that git ignores. At most
    `most` directories of each are searched.
    """
    if not names:
        return
    found = _not_ignored(_places(str(project), str(project), names, most))
    yield from found
    top = repository_of(str(project))
    left = set(names) - {each.name for each in found}
    if left and top is not None and top != str(project):
        yield from _not_ignored(_places(top, str(project), left, most))


def _not_ignored(places: Iterable[Location]) -> list[Location]:
    places = list(places)
    ignored = set(git_ignored((each.file for each in places), os.environ) or ()) if places else set()
    return [each for each in places if each.file not in ignored]


def _places(top: str, project: str, names: Collection[str], most: int) -> Iterator[Location]:
    directories = Directories()
    wanted = [(name, *name.rpartition(".")[::2]) for name in sorted(names)]
    for directory, below, files in _walk(top, most):
        for name, parent, tail in wanted:
            inside = os.sep + parent.replace(".", os.sep) if parent else ""
            if not directory.endswith(inside) or len(directory) - len(inside) < len(top):
                continue
            root = os.path.relpath(directory[: len(directory) - len(inside)], project).replace(os.sep, "/")
            if f"{tail}.py" in files:
                yield Location(name, root, Path(directory, f"{tail}.py"))
            elif tail not in below:
                continue
            elif os.path.isfile(join(directory, tail, "__init__.py")):
                yield Location(name, root, Path(directory, tail, "__init__.py"))
            elif holds_modules(join(directory, tail), directories):
                yield Location(name, root, Path(directory, tail))


def _walk(top: str, most: int) -> Iterator[tuple[str, list[str], list[str]]]:
    for number, (directory, names, files) in enumerate(os.walk(top)):
        if number == most:
            return
        names[:] = sorted(each for each in names if not each.startswith(".") and each not in _NOT_OURS)
        if "pyvenv.cfg" in files:
            names.clear()
            continue
        yield directory, names, files


def find_roots(resolution: Resolution) -> list[Location]:
    """Returns places of the missing modules in the project, in as few roots as possible.

    A folder in a regular package is a root only if no other folder has the module, and nothing imports the
    module by its name in the package. A folder that would be a namespace package counts only if there is
    no file: `import core` means `deps/core/core.py` before the folder `deps/core`.
    """
    names = {str(each.name) for each in resolution.missing}
    places = [each for each in elsewhere(resolution.project, names) if _is_there(resolution, each)]
    with_code = {each.name for each in places if each.has_code}
    by_root: dict[str, list[Location]] = {}
    for place in places:
        if place.has_code or place.name not in with_code:
            by_root.setdefault(place.root, []).append(place)
    by_root = {each: places for each, places in by_root.items() if not hides_imports(resolution, each)}
    return _fewest(resolution, _outside_of_packages(resolution, by_root))


def _finder(resolution: Resolution, root: str) -> Finder:
    return Finder((os.path.normpath(join(resolution.project, root)),), resolution.interpreter)


def _is_there(resolution: Resolution, place: Location) -> bool:
    """Returns whether its root has the module. A namespace must have all modules imported below it."""
    finder = _finder(resolution, place.root)
    found = finder.find(place.name)
    below = (name for name in _unresolved(resolution) if name.startswith(f"{place.name}."))
    return isinstance(found, FirstParty) or (
        isinstance(found, Namespace) and not any(isinstance(finder.find(name), NotFound) for name in below)
    )


def _outside_of_packages(
    resolution: Resolution, by_root: dict[str, list[Location]]
) -> dict[str, list[Location]]:
    inside = {each for each in by_root if is_in_package(resolution.project, each)}
    found = {place.name for each, places in by_root.items() if each not in inside for place in places}
    reached = {each.file for each in resolution.modules}
    kept = {
        each: [place for place in places if place.name not in found and place.file not in reached]
        if each in inside
        else places
        for each, places in by_root.items()
    }
    return {each: places for each, places in kept.items() if places}


def _fewest(resolution: Resolution, by_root: dict[str, list[Location]]) -> list[Location]:
    chosen: list[Location] = []
    while by_root:
        root = min(by_root, key=lambda each: (-len(by_root[each]), *_oddness(resolution, each)))
        chosen += by_root.pop(root)
        known = {each.name for each in chosen}
        rest = {
            each: [place for place in places if place.name not in known] for each, places in by_root.items()
        }
        by_root = {each: places for each, places in rest.items() if places}
    return chosen


def is_in_package(project: Path, root: str) -> bool:
    """Returns whether a folder, relative to the project, is a regular package or inside one."""
    directory = os.path.normpath(join(project, root))
    while not project.is_relative_to(directory):
        if os.path.isfile(join(directory, "__init__.py")):
            return True
        directory = directory.rpartition(os.sep)[0]
    return False


def is_remedy(resolution: Resolution, place: Location) -> bool:
    """Returns whether its root has the module, and could be on the path without harm."""
    return (
        _is_there(resolution, place)
        and not is_in_package(resolution.project, place.root)
        and not hides_imports(resolution, place.root)
    )


def hides_imports(resolution: Resolution, root: str) -> bool:
    """Returns whether a folder, as a root, would hide packages that the job imports.

    A helper in a project often has the name of its library: `utils/vllm` has no `vllm.engine`.
    """
    finder = _finder(resolution, root)
    third_party = {name.partition(".")[0] for each in resolution.distributions for name in each.modules}
    if any(isinstance(finder.find(name), FirstParty) for name in third_party):
        return True
    return any(
        isinstance(finder.find(name), NotFound)
        and any(isinstance(finder.find(each), FirstParty) for each in with_ancestors(name))
        for name in _unresolved(resolution)
    )


def _unresolved(resolution: Resolution) -> set[str]:
    names = {str(each.name) for each in (*resolution.missing, *resolution.not_found)}
    names.update(name for each in resolution.absent for name in each.names)
    return {name for name in names if not name.startswith(".")}


def _oddness(resolution: Resolution, root: str) -> tuple[int, int, str]:
    """Returns a sort key that puts folders last if they would hide what Python and Ray import."""
    listing = Directories().list(str(resolution.project / root))
    inside = {each.removesuffix(".py") for each in listing.files | listing.directories}
    hidden = resolution.interpreter.stdlib_names | RAY_NAMES | RAY_TRIES
    return int(not inside.isdisjoint(hidden)), root.count("/"), root


def remedy_of_absent(resolution: Resolution, declared: Iterable[str]) -> Remedy | None:
    """Returns roots that have modules that functions import and the path does not have.

    Each has all that is imported of such a module. Folders of packages are skipped, and so are those that
    would hide what Python, Ray or the job import.
    """
    project, imported = resolution.project, defaultdict[str, set[str]](set)
    for each in resolution.absent:
        imported[each.name].update(each.names)
    names = {each.name for each in resolution.absent if each.kind == "function" and "." not in each.name}
    by_root: dict[str, list[Location]] = {}
    for place in elsewhere(project, names, _FEW):
        find = _finder(resolution, place.root).find
        if (
            all(isinstance(find(name), FirstParty) for name in imported[place.name])
            and not is_in_package(project, place.root)
            and not _oddness(resolution, place.root)[0]
            and not hides_imports(resolution, place.root)
        ):
            by_root.setdefault(place.root, []).append(place)
    places = _fewest(resolution, by_root)
    roots = (*(each for each in declared if each != str(project)), *(each.root for each in places))
    found = frozenset(each.name for each in places)
    return Remedy(tuple(dict.fromkeys(roots)), tuple(places), found) if places else None


def roots_hint(remedy: Remedy, project: Path) -> str:
    """Returns the setting to write, and what the roots have."""
    roots = json.dumps(list(remedy.roots), ensure_ascii=False)
    there = dict.fromkeys(_shown(each, project) for each in remedy.places)
    return f"`roots = {roots}` in [tool.raybundle]: {_and(list(there))} there"


def _shown(place: Location, project: Path) -> str:
    file = place.file.parent if place.file.name == "__init__.py" else place.file
    return os.path.relpath(file, project)


def _and(words: Sequence[str], shown: int = 3) -> str:
    *others, last = words if len(words) <= shown else [*words[:shown], f"{len(words) - shown} more"]
    return f"{', '.join(others)} and {last} are" if others else f"{last} is"
