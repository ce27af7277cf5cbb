"""Finds the folders that would make a missing module importable if they were roots."""

# Why strings: paths here are the strings that `sys.path` holds; pathlib would cost ten times as much.
# ruff: noqa: PTH113, PTH118

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from os.path import join
from pathlib import Path
from typing import TYPE_CHECKING

from raybundle.graph.absent import hint_of_missing
from raybundle.graph.directories import Directories
from raybundle.graph.find import Finder, FirstParty, Namespace, holds_modules
from raybundle.graph.git_ignored import git_ignored, repository_of
from raybundle.graph.ray_names import RAY_NAMES, RAY_TRIES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from raybundle.model import Interpreter, Resolution

_DIRECTORIES = 20_000
"""Directories that are looked into for a file of the right name; a second or so."""

_FEW = 2_000
"""The same, where the job may do without it."""

_HIDES = 2
"""Oddness of a folder that would hide modules of Python or Ray."""

_NOT_OURS = ("__pycache__", "node_modules", "site-packages")


@dataclass(frozen=True, slots=True)
class Place:
    """A file that would be a module, or a folder that would be a namespace package."""

    name: str
    root: str
    """Relative to the project; with `..` where only its repository has it."""
    file: Path


@dataclass(frozen=True, slots=True)
class Remedy:
    """A value of `roots` with which imports resolve that do not resolve now."""

    roots: tuple[str, ...]
    places: tuple[Place, ...]
    """What the new ones among `roots` hold."""
    settled: frozenset[str] = frozenset()
    """Names that resolve with `roots`."""


def elsewhere(project: Path, names: Collection[str], most: int = _DIRECTORIES) -> Iterator[Place]:
    """Yield the places of `names` in the project; of those that it does not have, in its repository.

    Folders of environments and of other tools are not looked into, nor is what git ignores taken. Of each
    of the two, at most `most` directories are looked into.
    """
    if not names:
        return
    found = _not_ignored(_places(str(project), str(project), names, most))
    yield from found
    top = repository_of(str(project))
    left = set(names) - {each.name for each in found}
    if left and top is not None and top != str(project):
        yield from _not_ignored(_places(top, str(project), left, most))


def _not_ignored(places: Iterable[Place]) -> list[Place]:
    places = list(places)
    ignored = set(git_ignored((each.file for each in places), os.environ) or ()) if places else set()
    return [each for each in places if each.file not in ignored]


def _places(top: str, project: str, names: Collection[str], most: int) -> Iterator[Place]:
    directories = Directories()
    wanted = [(name, *name.rpartition(".")[::2]) for name in sorted(names)]
    for directory, below, files in _walk(top, most):
        for name, parent, tail in wanted:
            inside = os.sep + parent.replace(".", os.sep) if parent else ""
            if not directory.endswith(inside) or len(directory) - len(inside) < len(top):
                continue
            root = os.path.relpath(directory[: len(directory) - len(inside)], project).replace(os.sep, "/")
            if f"{tail}.py" in files:
                yield Place(name, root, Path(directory, f"{tail}.py"))
            elif tail not in below:
                continue
            elif os.path.isfile(join(directory, tail, "__init__.py")):
                yield Place(name, root, Path(directory, tail, "__init__.py"))
            elif holds_modules(join(directory, tail), directories):
                yield Place(name, root, Path(directory, tail))


def _walk(top: str, most: int) -> Iterator[tuple[str, list[str], list[str]]]:
    for number, (directory, names, files) in enumerate(os.walk(top)):
        if number == most:
            return
        names[:] = sorted(each for each in names if not each.startswith(".") and each not in _NOT_OURS)
        if "pyvenv.cfg" in files:
            names.clear()
            continue
        yield directory, names, files


def find_roots(
    project: Path, interpreter: Interpreter, names: Collection[str], most: int = _DIRECTORIES
) -> list[Place]:
    """Return places of the modules `names` in the project, in as few roots as can be."""
    by_root: dict[str, list[Place]] = {}
    for place in elsewhere(project, names, most):
        finder = Finder((os.path.normpath(join(project, place.root)),), interpreter)
        if isinstance(finder.find(place.name), (FirstParty, Namespace)):
            by_root.setdefault(place.root, []).append(place)
    chosen: list[Place] = []
    while by_root:
        root = min(
            by_root,
            key=lambda each: (-len(by_root[each]), *_oddness(project, each, interpreter.stdlib_names)),
        )
        chosen += by_root.pop(root)
        known = {each.name for each in chosen}
        rest = {
            each: [place for place in places if place.name not in known] for each, places in by_root.items()
        }
        by_root = {each: places for each, places in rest.items() if places}
    return chosen


def _oddness(project: Path, root: str, library: frozenset[str]) -> tuple[int, int, str]:
    """Return a key that puts folders last that would hide what Python and Ray import, or are packages."""
    listing = Directories().list(str(project / root))
    inside = {each.removesuffix(".py") for each in listing.files | listing.directories}
    odd = _HIDES * bool(inside & (library | RAY_NAMES | RAY_TRIES)) + ("__init__" in inside)
    return odd, root.count("/"), root


def remedy_of_absent(resolution: Resolution, declared: Iterable[str]) -> Remedy | None:
    """Return roots that have what functions import and the path does not have, untried.

    Folders are left out that would hide what Python or Ray import.
    """
    interpreter, project = resolution.interpreter, resolution.project
    names = {each.name for each in resolution.absent if each.kind == "function" and "." not in each.name}
    places = [
        each
        for each in find_roots(project, interpreter, names, _FEW)
        if _oddness(project, each.root, interpreter.stdlib_names)[0] < _HIDES
    ]
    roots = (*(each for each in declared if each != str(project)), *(each.root for each in places))
    found = frozenset(each.name for each in places)
    return Remedy(tuple(dict.fromkeys(roots)), tuple(places), found) if places else None


def hints_for(resolution: Resolution, remedy: Remedy | None) -> list[str]:
    """Return what to do about the missing imports of a resolution."""
    settled = remedy.settled if remedy else frozenset()
    hints = [roots_hint(remedy, resolution.project)] if remedy and settled else []
    left = [each for each in resolution.missing if each.name not in settled]
    if left:
        hints.append(hint_of_missing(left[0], resolution.interpreter))
    return hints


def roots_hint(remedy: Remedy, project: Path) -> str:
    """Return the setting to write, and what is there."""
    roots = json.dumps(list(remedy.roots), ensure_ascii=False)
    there = dict.fromkeys(_shown(each, project) for each in remedy.places)
    return f"`roots = {roots}` in [tool.raybundle]: {_and(list(there))} there"


def _shown(place: Place, project: Path) -> str:
    file = place.file.parent if place.file.name == "__init__.py" else place.file
    return os.path.relpath(file, project)


def _and(words: Sequence[str], shown: int = 3) -> str:
    *others, last = words if len(words) <= shown else [*words[:shown], f"{len(words) - shown} more"]
    return f"{', '.join(others)} and {last} are" if others else f"{last} is"
