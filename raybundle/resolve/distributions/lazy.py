"""Finds definitions of imported distributions that import what does not travel when they are called.

The sources are read by lines and indentation: a parser takes a second for one library.
"""

from __future__ import annotations

import builtins
import io
import re
from bisect import bisect_left
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from raybundle.resolve.distributions.top_level import read_source
from raybundle.resolve.distributions.values import LazyUse

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from raybundle.resolve.distributions.values import LazyImport, LazyKind, LazyUser

_HEADS = (re.compile(rb"def[ \t]+(\w+)"), re.compile(rb"class[ \t]+(\w+)"))
"""Each begins with a word, which a search finds four times as fast as one of both, or a line's first."""
_IMPORTS = re.compile(rb"(?:\n[ \t]*(?:from|import)[ \t]+|import\w*\(\s*(?:name=)?[\"'])\Z")
"""What is before the name of a module that is imported."""
_IF_LOADED = (
    rb"\bif [^\n]*[\"']%b[\"'] in sys\.modules\b[^\n]*\n"
    rb"(?:[ \t]*(?:from|import)[ \t][^\n]*\n)*[ \t]*(?:from|import)[ \t]+\Z"
)
"""Begins a branch that imports a module which the job has already imported, or never imports."""
_BEFORE = 120
"""Bytes to look at for it; a call may have the name in its second line."""
_BOUND = re.compile(
    rb" {4}import ([.\w]+)(?: as (\w+))?[ \t]*(?:#.*)?$"
    rb"| {4}from [.\w]+ import ([\w, ]+)|(\w+) = .*import\w*\("
)
"""A line that binds names to what it imports, in the first column or in a branch there."""
_WORDS = re.compile(r"[A-Za-z][a-z]+")
_PLAIN = frozenset(
    (
        *("all", "base", "complete", "core", "default", "extra", "extras", "full", "optional", "other"),
        *("output", "recommended", "standard", "tools", "utils"),
    )
)
"""Words of extras that say nothing about what they are for: `read_all` has nothing to do with `lib[all]`."""
_CONSTRUCTORS = {"__init__", "__new__", "__post_init__"}
"""Methods that run when a class is used."""
_COMMON = frozenset(
    (
        *(name for kind in vars(builtins).values() if isinstance(kind, type) for name in dir(kind)),
        *dir(io.BytesIO),
        *("apply", "build", "call", "create", "data", "dump", "dumps", "fit", "get", "load", "loads", "main"),
        *("plot", "predict", "put", "reset", "run", "save", "send", "set", "setup", "start", "step", "stop"),
        *("train", "transform"),
    )
)
"""Methods that many libraries have. The type of `x` in `x.fit()` is not known, so these say nothing."""


class _Head(NamedTuple):
    """The first line of a function or class."""

    start: int
    """Of its line."""
    end: int
    name: str
    indent: int
    is_class: bool


class Source:
    """The definitions of a module, found by lines that start with `def` or `class`."""

    def __init__(self, text: bytes) -> None:
        self.text = b"\n" + text
        self._heads: dict[int, _Head | None] = {}
        self._ends: dict[_Head, int] = {}
        self._made: dict[_Head, str] = {}

    @cached_property
    def _found(self) -> list[re.Match[bytes]]:
        """What may be heads, in order."""
        found = [each for pattern in _HEADS for each in pattern.finditer(self.text)]
        return sorted(found, key=re.Match.start)

    def named(self, name: str) -> list[_Head]:
        """Returns the definitions of a name."""
        word = name.encode()
        places = (place for place, each in enumerate(self._found) if each[1] == word)
        return [head for place in places if (head := self._head(place))]

    def importing(self, module: str) -> set[_Head]:
        """Returns the definitions that import a module, or use what the top level tries to import of it."""
        found: set[_Head] = set()
        aliases: set[bytes] = set()
        name = re.escape(module.encode())
        loaded = re.compile(_IF_LOADED % name)
        for each in re.finditer(rb"%b\b" % name, self.text):
            start, end = max(0, each.start() - _BEFORE), each.start()
            if _IMPORTS.search(self.text, start, end) and not loaded.search(
                self.text, max(0, start - _BEFORE), end
            ):
                around = self._around(each.start())
                found.update(around)
                if not around:
                    aliases.update(_names_bound(self._line(each.start())))
        for alias in aliases:
            last = 0
            for each in re.finditer(rb"%b(?<![\w.\"'`]%b)(?:\.\w| is |\()" % (alias, alias), self.text):
                if each.start() >= last:
                    around = self._around(each.start())
                    found.update(around)
                    last = self._end(around[0]) if around and not around[0].is_class else 0
        return found

    def body(self, head: _Head) -> bytes:
        """Returns a definition without its first line."""
        return self.text[head.end : self._end(head)].partition(b"\n")[2]

    def _line(self, position: int) -> bytes:
        return self.text[self.text.rfind(b"\n", 0, position) + 1 :].partition(b"\n")[0]

    def _head(self, place: int) -> _Head | None:
        if place not in self._heads:
            found = self._found[place]
            start = self.text.rfind(b"\n", 0, found.start()) + 1
            before = self.text[start : found.start()]
            words = before.lstrip()
            self._heads[place] = (
                _Head(start, found.end(), found[1].decode(), len(before) - len(words), found[0][:1] == b"c")
                if words.rstrip() in (b"", b"async")
                else None
            )
        return self._heads[place]

    def _around(self, position: int) -> list[_Head]:
        """Returns the definitions around a position; a class only if making an instance runs it."""
        found: list[_Head] = []
        inner: set[str] = set()
        indent = len(self.text)
        place = bisect_left(self._found, position, key=re.Match.start)
        while place and indent:
            place -= 1
            head = self._head(place)
            if head and head.indent < indent:
                indent = head.indent
                if position < self._end(head):
                    if not head.is_class or self._runs(head, inner):
                        found.append(head)
                    inner.add(head.name)
        return found

    def _runs(self, head: _Head, inner: set[str]) -> bool:
        """Returns whether making an instance of a class runs its methods of these names."""
        others = inner - _CONSTRUCTORS
        return all(name.startswith("_") and f"self.{name}(" in self._constructors(head) for name in others)

    def _constructors(self, head: _Head) -> str:
        """Returns the text of the methods that run when an instance of a class is made."""
        if head not in self._made:
            first, last = (
                bisect_left(self._found, at, key=re.Match.start) for at in (head.end, self._end(head))
            )
            inside = (self._head(place) for place in range(first, last))
            made = (self.body(each) for each in inside if each and each.name in _CONSTRUCTORS)
            self._made[head] = b"".join(made).decode("utf-8", "replace")
        return self._made[head]

    def _end(self, head: _Head) -> int:
        """Returns where the block of a definition ends: at the next statement that is not indented more."""
        if head not in self._ends:
            indent = re.compile(rb"\n[ \t]{0,%d}[A-Za-z_@]" % head.indent)
            found = indent.search(self.text, head.end)
            self._ends[head] = found.start() if found else len(self.text)
        return self._ends[head]


def _names_bound(line: bytes) -> Iterator[bytes]:
    found = _BOUND.match(line)
    if found and found[3]:
        yield from (part.split()[-1] for part in found[3].split(b",") if part.split())
    elif found:
        yield found[2] or found[4] or found[1].partition(b".")[0]


def names_that_matter(user: LazyUser, words: Iterable[str]) -> list[str]:
    """Returns those of the words in first-party code that definitions of `user` to look at may have."""
    importing = {name for each in user.imports for name in each.names}
    of_extras = set[str]().union(*map(_words_of, user.imports))
    return sorted(word for word in words if word in importing or _shares(word, of_extras))


def find_uses(user: LazyUser, names: Iterable[str]) -> Iterator[LazyUse]:
    """Yields the definitions of these names that use what does not travel."""
    texts = {file: read_source(file) for file in user.files}
    sources: dict[str, Source] = {}
    for name in names:
        defined = (b"def " + name.encode(), b"class " + name.encode())
        files = [file for file, text in texts.items() if any(each in text for each in defined)]
        sources.update((file, Source(texts[file])) for file in files if file not in sources)
        found = [(sources[file], sources[file].named(name)) for file in files]
        is_method = all(head.indent for _, heads in found for head in heads)
        if any(heads for _, heads in found) and not (is_method and name in _COMMON):
            for each in user.imports:
                if kind := _kind(name, found, each, is_method=is_method):
                    yield LazyUse(name, user.name, each.distribution, each.version, each.module, kind)


def _kind(
    name: str, found: list[tuple[Source, list[_Head]]], each: LazyImport, *, is_method: bool
) -> LazyKind | None:
    """Returns how a use is recognised; None if not all definitions of the name use the import."""
    if _shares(name, _words_of(each)):
        spoken = re.compile(rf"(?i)\b(?:{re.escape(each.module)}|{re.escape(each.distribution)})\b".encode())
        if any(spoken.search(source.body(head)) for source, heads in found for head in heads):
            return "distinctive"
    if name not in each.names:
        return None
    for source, heads in found:
        for head in set(heads) - source.importing(each.module):
            body = source.body(head)
            if f"{name}(".encode() not in body and not body.rstrip().endswith(b"..."):  # it is no stub
                return None
    return "method" if is_method else "member"


def _words_of(each: LazyImport) -> set[str]:
    """Returns the words that tell what an import is for; none if no extra names it."""
    words = {word for extra in each.extras for word in re.findall(r"[a-z]{3,}", extra.lower())}
    return {*words - _PLAIN, each.module.lower()} if each.extras else set()


def _shares(name: str, words: set[str]) -> bool:
    return not words.isdisjoint(map(str.lower, _WORDS.findall(name)))
