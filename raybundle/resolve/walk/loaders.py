"""Finds modules that calls name by one word, if their function imports what it is given."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from raybundle.resolve.walk.edges import Row

_IGNORE = b"raybundle: ignore"


class Word(NamedTuple):
    """A word that is the first argument of a call."""

    importer: str
    file: str
    line: int
    text: str


@dataclass(slots=True)
class Loaders:
    """The functions that import what they are given, and the calls of them."""

    source_of: Callable[[str], bytes]
    functions: dict[str, frozenset[str]] = field(default_factory=dict)
    """Their names, by a module that has them."""
    searched: dict[str, frozenset[str]] = field(default_factory=dict)
    """The same by a file whose calls of them are known."""

    def words(self, edges: Iterable[Row]) -> Iterator[Word]:
        """Yields the words in modules that import one of the functions, each once."""
        imports = [each for each in edges if each[4] != "config-file"] if self.functions else []
        queue = list(self.functions)
        while queue:
            module = queue.pop()
            names = self.functions[module]
            for importer, imported, file, *_ in imports:
                if imported != module or names <= self.searched.get(file, frozenset()):
                    continue
                source = self.source_of(file)
                self.searched[file] = names | self.searched.get(file, frozenset())
                if any(name.encode() in source for name in names):
                    self.functions[importer] = names | self.functions.get(importer, frozenset())
                    queue.append(importer)
                    yield from _words(importer, file, source, names)

    def own_words(self, module: str, file: str, functions: Iterable[str]) -> Iterator[Word]:
        """Notes the functions of a module, and yields the words in its own calls of them."""
        names = self.functions[module] = frozenset(functions)
        yield from _words(module, file, self.source_of(file), names)


def _words(module: str, file: str, source: bytes, names: Iterable[str]) -> Iterator[Word]:
    functions = "|".join(map(re.escape, sorted(names))).encode()
    form = rb"\b(?:" + functions + rb")\(\s*(?:\w+\s*=\s*)?(['\"])([A-Za-z_]\w*)\1\s*[,)]"
    for found in re.finditer(form, source):
        end = source.find(b"\n", found.end())
        if _IGNORE not in source[found.end() : end if end >= 0 else None]:
            yield Word(module, file, source.count(b"\n", 0, found.start()) + 1, found[2].decode())
