"""Gathers from the disk why a module is not in a bundle; imports and runs no user code."""

from __future__ import annotations

import os
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from raybundle.dotted import with_ancestors
from raybundle.explain.absence import Evidence
from raybundle.explain.mentions import find_mentions, in_order
from raybundle.resolve.distributions.installed import InstalledDistributions
from raybundle.resolve.find.finder import Finder, FirstParty, Namespace, NotFound, StandardLibrary, ThirdParty
from raybundle.resolve.interpreter.markers import environment_of
from raybundle.resolve.missing.elsewhere import elsewhere, is_remedy

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from raybundle.explain.mentions import Mention
    from raybundle.model import Edge, Module, Resolution
    from raybundle.resolve.distributions.installed import InstalledDistribution
    from raybundle.resolve.find.finder import Found


def gather(
    resolution: Resolution, name: str, finder: Finder, with_all_rules: tuple[Edge, ...] = ()
) -> Evidence:
    """Returns the evidence about the module `name`.

    Args:
        resolution: the graph without the module.
        name: absolute and dotted.
        finder: for the path of the driver.
        with_all_rules: the chain to it in a resolution with all rules on.
    """
    found = finder.find(name)
    absent = isinstance(found, (NotFound, StandardLibrary))
    places = tuple(elsewhere(resolution.project, {name})) if isinstance(found, NotFound) else ()
    roots = [each for each in places if is_remedy(resolution, each)]
    siblings = {*_siblings(name, finder)} if isinstance(found, NotFound) else set()
    siblings.update(_names_of((str(each.file) for each in places), finder))
    return Evidence(
        found=found,
        mentions=in_order(_mentions(resolution, name)),
        with_all_rules=with_all_rules,
        hidden=tuple(_hidden(name, finder)) if absent else (),
        elsewhere=tuple((each.root, each.file) for each in roots),
        siblings=tuple(sorted(siblings)),
        owner=_owner(found, finder),
    )


def _owner(found: Found, finder: Finder) -> tuple[str, str] | None:
    owner = owner_of(found, finder)
    return (owner.name, owner.version) if owner else None


def owner_of(found: Found, finder: Finder) -> InstalledDistribution | None:
    """Returns the installed distribution of a module."""
    if not isinstance(found, ThirdParty):
        return None
    return InstalledDistributions(finder.interpreter.site).owner(found.file)


def _mentions(resolution: Resolution, name: str) -> Iterator[Mention]:
    environment = environment_of(resolution.interpreter)
    for module in resolution.modules:
        yield from find_mentions(module, _source(module), name, environment)


def _source(module: Module) -> bytes:
    if module.content is not None:
        return module.content
    if module.file is None or module.sha256 is None:
        return b""
    try:
        return module.file.read_bytes()
    except OSError:  # it existed a moment ago
        return b""


def _hidden(name: str, finder: Finder) -> Iterator[tuple[Path, str]]:
    """Yields the files that would be the module if nothing came before them on the path."""
    for entry in finder.path:
        alone = Finder((entry,), finder.interpreter, finder.directories)
        found = alone.find(name)
        if isinstance(found, (FirstParty, ThirdParty)) and found.entry == entry:
            yield Path(found.file), _taken(name, entry, finder)


def _taken(name: str, entry: str, finder: Finder) -> str:
    """Returns what hides the nearest ancestor of `name` under `entry`."""
    for ancestor in with_ancestors(name):
        match finder.find(ancestor):
            case FirstParty(entry=other, file=file) | ThirdParty(entry=other, file=file) if other != entry:
                return file
            case StandardLibrary():
                return f"`{ancestor}` of the standard library"
            case _:
                continue
    return "another file"


def name_under(file: str, finder: Finder) -> tuple[str, str] | None:
    """Returns the deepest entry of the path that holds `file`, and its dotted name; None if none does."""
    held = [entry for entry in finder.path if file.startswith(entry.rstrip(os.sep) + os.sep)]
    if not held:
        return None
    entry = max(held, key=len)
    name = os.path.relpath(file, entry).removesuffix(".py").removesuffix(f"{os.sep}__init__")
    return entry, name.replace(os.sep, ".")


def _names_of(files: Iterable[str], finder: Finder) -> Iterator[str]:
    """Yields the names under which Python finds `files`."""
    for file in files:
        _, name = name_under(file, finder) or ("", "")
        found = finder.find(name) if name else NotFound()
        if isinstance(found, FirstParty) and found.file == file:
            yield name


def _siblings(name: str, finder: Finder) -> Iterator[str]:
    """Yields the names beside `name`; a misspelt parent is replaced by the most similar one."""
    parent, _, _ = name.rpartition(".")
    if not parent:
        yield from _top_level(finder)
        return
    if isinstance(finder.find(parent), (NotFound, StandardLibrary)):
        parents = get_close_matches(parent, list(_siblings(parent, finder)), 1)
        if not parents:
            return
        parent = parents[0]
    if isinstance(finder.find(parent), (FirstParty, Namespace)):
        yield from finder.submodules(parent)


def _top_level(finder: Finder) -> Iterator[str]:
    for entry in finder.path:
        listing = finder.directories.list(entry)
        names = {
            file.partition(".")[0] for file in listing.files if file.endswith(finder.interpreter.suffixes)
        }
        yield from (each for each in names | listing.directories if each.isidentifier())
