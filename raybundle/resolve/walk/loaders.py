"""Follows the calls of functions that import what they are given."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from raybundle.dotted import absolute
from raybundle.errors import BundleError
from raybundle.resolve.scan.calls.given import given

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from raybundle.resolve.facts import Loader, Walks
    from raybundle.resolve.walk.edges import Row


class Word(NamedTuple):
    """A module that a call may give to a function which imports it, or walks over it."""

    importer: str
    file: str
    line: int
    name: str
    walks: Walks
    home: str
    """The module that has the function."""


@dataclass(slots=True)
class Loaders:
    """The functions that import what they are given, and the calls of them."""

    source_of: Callable[[str], bytes]
    functions: dict[str, dict[str, tuple[str, Loader]]] = field(default_factory=dict)
    """By a module that has or imports them, and by name: the module that has the function."""
    files: dict[str, str] = field(default_factory=dict)
    """Of the modules that have them."""
    searched: dict[str, frozenset[str]] = field(default_factory=dict)
    """Names of the functions by a file whose calls of them are known."""
    called: set[str] = field(default_factory=set)
    """Modules with a function of which a call is followed."""
    doubted: set[str] = field(default_factory=set)
    """Those that something gives what is not known."""

    def words(self, edges: Iterable[Row]) -> Iterator[Word]:
        """Yields what modules give that import one of the functions, each once."""
        imports = [each for each in edges if each[4] != "config-file"] if self.functions else []
        queue = list(self.functions)
        while queue:
            module = queue.pop()
            own = self.functions[module]
            for importer, imported, file, *_ in imports:
                if imported != module or own.keys() <= self.searched.get(file, frozenset()):
                    continue
                source = self.source_of(file)
                self.searched[file] = frozenset(own) | self.searched.get(file, frozenset())
                if any(name.encode() in source for name in own):
                    self.functions[importer] = own | self.functions.get(importer, {})
                    queue.append(importer)
                    yield from self._given(importer, file, own)

    def own_words(self, module: str, file: str, functions: Iterable[Loader]) -> Iterator[Word]:
        """Notes the functions of a module, and yields what its own calls of them give."""
        own = self.functions[module] = {each.name: (module, each) for each in functions}
        self.files[module] = file
        if any(not each.lines for _, each in own.values()):
            self.doubted.add(module)
        yield from self._given(module, file, own)

    def _given(self, module: str, file: str, functions: Mapping[str, tuple[str, Loader]]) -> Iterator[Word]:
        package = module if file.endswith("__init__.py") else module.rpartition(".")[0]
        try:
            calls, is_clear = given(
                self.source_of(file), file, {n: each for n, (_, each) in functions.items()}
            )
        except BundleError:  # the walk says that it is not Python
            calls, is_clear = [], False
        self.doubted |= set() if is_clear else {home for home, _ in functions.values()}
        for call in calls:
            home, loader = functions[call.function]
            self.doubted |= set() if call.known else {home}
            for name in call.names:
                whole = absolute(name, package if module != "__main__" else None)
                yield Word(module, file, call.line, whole or "", loader.walks, home)

    def note(self, word: Word, *, is_known: bool) -> None:
        """Notes whether the module that a word names is known."""
        (self.called if is_known else self.doubted).add(word.home)

    def settled(self) -> Iterator[tuple[str, int]]:
        """Yields file and line of each import that calls decide which are all known."""
        for home in self.called - self.doubted:
            for _, loader in self.functions[home].values():
                yield from ((self.files[home], line) for line in loader.lines)
