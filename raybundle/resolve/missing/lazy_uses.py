"""Warns of first-party code that calls what imports an installed distribution that does not travel."""

from __future__ import annotations

import ast
import json
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from raybundle.errors import RaybundleError
from raybundle.model import Warning
from raybundle.resolve.evaluate.chains import split_chain
from raybundle.resolve.find.finder import FirstParty
from raybundle.resolve.missing.addresses import find_addressed
from raybundle.resolve.missing.settled_imports import is_among
from raybundle.resolve.scan.strings import CONFIG_LIMIT, is_config

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from raybundle.resolve.distributions.values import LazyUse, LazyUser, Needed
    from raybundle.resolve.walk.reached import Closure

_WORD = re.compile(r"\w+")


class Texts(NamedTuple):
    """What is read."""

    read: Callable[[str], bytes]
    """Returns the source of a module, or configuration."""
    find: Callable[[LazyUser, Iterable[str]], Iterable[LazyUse]]
    """Returns the definitions of a library that import what stays and are among words."""
    configs: Iterable[str]
    """Files that travel; configuration among them may have addresses."""


def warn_about_lazy_uses(
    needed: Needed, closure: Closure, texts: Texts, optional: Iterable[str]
) -> Iterator[Warning]:
    """Yields a warning for each definition of a library that is used and can import what stays.

    And one for each scheme of an address that a library opens with what stays.

    Args:
        needed: what travels, and the libraries.
        closure: the first-party modules.
        texts: what is read.
        optional: modules that the job does without.
    """
    if not needed.lazy:
        return
    without = tuple(optional)
    sources = {file: _read(texts.read, file) for file in sorted(_files(closure))}
    configs = {file: _read(texts.read, file) for file in texts.configs if _is_small(file)}
    uses = [
        *_defined(needed, sources, texts, without),
        *find_addressed(needed.lazy, {**sources, **configs}),
    ]
    found: dict[tuple[str, str], tuple[list[LazyUse], str, int]] = {}
    for use, file, line in uses:
        if not is_among(use.module, without):
            found.setdefault((use.user, use.name), ([], file, line))[0].append(use)
    for _, (same, file, line) in sorted(found.items()):
        yield _warning(same, file, line)


def _is_small(file: str) -> bool:
    """Returns whether a file is configuration, and no data in the same format."""
    with suppress(OSError):
        return is_config(Path(file).name) and Path(file).stat().st_size <= CONFIG_LIMIT
    return False


def _defined(
    needed: Needed, sources: Mapping[str, bytes], texts: Texts, without: Iterable[str]
) -> Iterator[tuple[LazyUse, str, int]]:
    """Yields the definitions that sources use, and the first place of each."""
    words = {file: set(_WORD.findall(source.decode("utf-8", "replace"))) for file, source in sources.items()}
    all_words = set().union(*words.values())
    by_name: dict[str, list[LazyUse]] = {}
    for library in needed.lazy:
        for use in texts.find(library, all_words):
            if not is_among(use.module, without):
                by_name.setdefault(use.name, []).append(use)
    tops = _top_levels(needed)
    found: dict[tuple[str, str], tuple[str, int]] = {}
    for file, source in sources.items():
        for place in _used(source, words[file].intersection(by_name)):
            for use in by_name[place.name]:
                if place.shows(use, tops.get(use.user, frozenset())):
                    found.setdefault((use.user, use.name), (file, place.line))
    for (user, name), (file, line) in found.items():
        yield from ((each, file, line) for each in by_name[name] if each.user == user)


@dataclass(frozen=True, slots=True)
class _Place:
    """The first use of a name in one way."""

    name: str
    line: int
    base: str
    """The top-level module that the name, or what it is an attribute of, is from; empty if unknown."""
    is_attribute: bool
    imported: frozenset[str]
    """The top-level modules that the file imports."""

    def shows(self, use: LazyUse, tops: frozenset[str]) -> bool:
        """Returns whether this is a use of a definition of a distribution with these top-level modules."""
        match use.kind:
            case "distinctive":
                return True
            case "method":
                return self.is_attribute and not tops.isdisjoint(self.imported)
            case "member":
                return self.base in tops


def _files(closure: Closure) -> Iterator[str]:
    for each in closure.reached.values():
        if isinstance(each.found, FirstParty) and each.found.is_source:
            yield each.found.file


def _top_levels(needed: Needed) -> Mapping[str, frozenset[str]]:
    return {
        each.name: frozenset(module.partition(".")[0] for module in each.modules)
        for each in needed.distributions
    }


def _read(read: Callable[[str], bytes], file: str) -> bytes:
    try:
        return read(file)
    except RaybundleError:
        return b""


def _used(source: bytes, wanted: set[str]) -> Iterator[_Place]:
    """Yields those of the names that a source uses and does not define itself, each with its first line."""
    try:
        tree = ast.parse(source) if wanted else ast.Module([], [])
    except (SyntaxError, ValueError):
        return
    bound = dict(_bound(tree))
    places: dict[tuple[str, str, bool], int] = {}
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                wanted.discard(name)
            case ast.Attribute(attr=name) | ast.Name(id=name) if name in wanted:
                start, _ = split_chain(node)
                base = bound.get(start.id, "") if isinstance(start, ast.Name) else ""
                key = (name, base, isinstance(node, ast.Attribute))
                places[key] = min(node.lineno, places.get(key, node.lineno))
            case _:
                continue
    imported = frozenset(bound.values())
    for (name, base, is_attribute), line in places.items():
        if name in wanted:
            yield _Place(name, line, base, is_attribute, imported)


def _bound(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yields the names that imports bind, and the top-level module of each."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (
                    (each.asname or each.name.partition(".")[0], each.name.partition(".")[0])
                    for each in names
                )
            case ast.ImportFrom(names=names, module=str(module), level=0):
                yield from ((each.asname or each.name, module.partition(".")[0]) for each in names)
            case _:
                continue


def _warning(uses: list[LazyUse], file: str, line: int) -> Warning:
    named = ", ".join(dict.fromkeys(f"{each.distribution} {each.version}" for each in uses))
    include = json.dumps(sorted({each.distribution for each in uses}))
    without = json.dumps(sorted({each.module for each in uses}))
    return Warning(
        f"`{uses[0].name}` of {uses[0].user} can use {named}, installed here but not bundled",
        Path(file),
        line,
        f"`include = {include}` in [tool.raybundle] bundles it; if the job does without it, "
        f"`optional = {without}` there",
    )
