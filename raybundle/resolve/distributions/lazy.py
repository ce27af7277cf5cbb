"""Finds definitions of imported distributions that import what does not travel when they are called.

The sources are read by lines and indentation: a parser takes a second for one library.
"""

# Why strings: paths here are the strings that `sys.path` holds; pathlib would cost ten times as much.
# ruff: noqa: PTH123

from __future__ import annotations

import builtins
import io
import re
from bisect import bisect_left
from dataclasses import dataclass, field
from itertools import takewhile
from typing import TYPE_CHECKING, NamedTuple

from raybundle.resolve.distributions.values import LazyUse

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from raybundle.resolve.distributions.values import LazyKind

_HEAD = re.compile(r"(?m)^([ \t]*)(?:async[ \t]+)?(def|class)[ \t]+(\w+)")
_WORDS = re.compile(r"[A-Za-z][a-z]+")
_PLAIN = frozenset(
    [
        *(
            "all",
            "base",
            "complete",
            "core",
            "default",
            "dev",
            "extra",
            "extras",
            "full",
            "optional",
            "other",
        ),
        *("output", "recommended", "standard", "test", "tests", "tests", "tools", "utils"),
    ]
)
"""Words of extras that say nothing about what they are for."""
_CONSTRUCTORS = frozenset({"__init__", "__new__", "__post_init__"})
"""Methods that run when a class is used."""
_COMMON = frozenset(
    [
        *(name for kind in vars(builtins).values() if isinstance(kind, type) for name in dir(kind)),
        *dir(io.BytesIO),
        *(
            "apply",
            "build",
            "call",
            "create",
            "data",
            "dump",
            "dumps",
            "fit",
            "get",
            "load",
            "loads",
            "main",
            "plot",
            "predict",
            "put",
        ),
        *("reset", "run", "save", "send", "set", "setup", "start", "step", "stop", "train", "transform"),
    ]
)
"""Names of so many methods that a call does not tell whose it is."""


class Candidate(NamedTuple):
    """An installed distribution that does not travel, and what one of its possible users says of it."""

    name: str
    version: str
    module: str
    extras: tuple[str, ...] = ()


class _Definition(NamedTuple):
    name: str
    is_inner: bool
    """It is a method, or in a branch or a function."""
    start: int
    end: int
    text: str
    """Of a class: without its methods, except those that run when it is made."""


def find_lazy_uses(user: str, files: Iterable[str], candidates: Collection[Candidate]) -> Iterator[LazyUse]:
    """Yield the definitions of `user` that use candidates, by name.

    Args:
        user: a distribution that first-party code imports.
        files: its modules that load when it is imported.
        candidates: what does not travel, with the extras of `user` that name it.
    """
    sources = _Sources({file: _read(file) for file in files if file.endswith(".py")})
    for each in candidates:
        distinct = set(sources.speaking_of(each))
        found = {name for name in sources.importing(each) if sources.always(name, each)}
        for name in sorted(distinct | found):
            kind: LazyKind = "distinctive" if name in distinct else sources.kind(name)
            if not name.startswith("_") and not (kind == "method" and name in _COMMON):
                extra = next((one for one in each.extras if _shares(name, _words_in(one))), "")
                yield LazyUse(name, user, each.name, each.version, each.module, kind, extra)


@dataclass(slots=True)
class _Sources:
    """The sources of one distribution; each is taken apart once, if a question is about it."""

    texts: dict[str, str]
    by_name: dict[str, list[str]] = field(default_factory=dict)
    """The files that define a name."""
    _definitions: dict[str, list[_Definition]] = field(default_factory=dict)
    _importing: dict[tuple[str, str], list[_Definition]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for file, text in self.texts.items():
            for name in dict.fromkeys(found[3] for found in _HEAD.finditer(text)):
                self.by_name.setdefault(name, []).append(file)

    def speaking_of(self, each: Candidate) -> Iterator[str]:
        """Yield names that share a word with an extra, of definitions whose text has the candidate."""
        words = _words_of(each)
        for name in [name for name in self.by_name if _shares(name, words)]:
            if any(_speaks_of(one, each) for one in self._of_name(name)):
                yield name

    def importing(self, each: Candidate) -> set[str]:
        """Return the names of definitions that import the candidate."""
        files = [file for file, text in self.texts.items() if each.module in text]
        return {one.name for file in files for one in self._importing_in(file, each)}

    def always(self, name: str, each: Candidate) -> bool:
        """Return whether all definitions of a name import the candidate, call another one, or are stubs."""
        for file in self.by_name[name]:
            using = {id(one) for one in self._importing_in(file, each)}
            for one in self._all(file):
                if one.name == name and id(one) not in using:
                    body = one.text.partition("\n")[2]
                    if not (f"{name}(" in body or body.rstrip().endswith("...")):
                        return False
        return True

    def kind(self, name: str) -> LazyKind:
        """Return `method` if a name has no definition at the top level of a module."""
        return "method" if all(one.is_inner for one in self._of_name(name)) else "member"

    def _of_name(self, name: str) -> Iterator[_Definition]:
        return (one for file in self.by_name[name] for one in self._all(file) if one.name == name)

    def _all(self, file: str) -> list[_Definition]:
        if file not in self._definitions:
            self._definitions[file] = _definitions(self.texts[file])
        return self._definitions[file]

    def _importing_in(self, file: str, each: Candidate) -> list[_Definition]:
        """Return what imports the candidate, or uses what the module tries to import of it."""
        key = (file, each.module)
        if key not in self._importing:
            self._importing[key] = []
            text, imports = self.texts[file], re.compile(_imports(each))
            lines = {_line_at(text, found.end()) for found in imports.finditer(text)}
            if lines:
                aliases = "|".join(map(re.escape, sorted(_aliases(each, lines))))
                uses = rf"(?<![\w.\"'`])(?:{aliases})(?:\.\w| is |\()"
                either = re.compile(f"{imports.pattern}|{uses}") if aliases else imports
                places = [found.end() for found in either.finditer(text)]
                self._importing[key] = [
                    one
                    for one in self._all(file)
                    if bisect_left(places, one.start) < bisect_left(places, one.end)
                    and either.search(one.text)
                ]
        return self._importing[key]


def _words_of(each: Candidate) -> set[str]:
    """Return the words that tell what a candidate is for; none if no extra names it."""
    words = {word for extra in each.extras for word in _words_in(extra)}
    return {*words, each.module.lower()} if each.extras else set()


def _words_in(extra: str) -> set[str]:
    return {*re.findall(r"[a-z]{3,}", extra.lower())} - _PLAIN


def _shares(name: str, words: set[str]) -> bool:
    return not words.isdisjoint(map(str.lower, _WORDS.findall(name)))


def _speaks_of(one: _Definition, each: Candidate) -> bool:
    """Return whether the code or the docstring names the candidate."""
    names = f"{re.escape(each.module)}|{re.escape(each.name)}"
    return re.search(rf"(?i)\b(?:{names})\b", one.text.partition("\n")[2]) is not None


def _imports(each: Candidate) -> str:
    name = re.escape(each.module)
    return rf"(?m:^[ \t]*(?:from|import)[ \t]+{name}\b)|import\w*\(\s*(?:name=)?[\"']{name}[\"'.]"


def _line_at(text: str, position: int) -> str:
    return text[text.rfind("\n", 0, position) + 1 : text.find("\n", position)]


def _aliases(each: Candidate, lines: Iterable[str]) -> Iterator[str]:
    """Yield the names that a branch at the top level of a module imports from the candidate."""
    name = re.escape(each.module)
    plain = re.compile(rf" {{4}}import {name}(?:[.\w]*)(?: as (\w+))?[ \t]*(?:#.*)?$")
    members = re.compile(rf" {{4}}from {name}(?:[.\w]*) import ([\w, ]+)")
    call = re.compile(rf"(\w+) = .*import\w*\([\"']{name}[\"'.]")
    for line in lines:
        if found := plain.match(line):
            yield found[1] or each.module
        elif found := members.match(line):
            yield from (part.split()[-1] for part in found[1].split(",") if part.split())
        elif found := call.match(line):
            yield found[1]


def _definitions(source: str) -> list[_Definition]:
    """Return the functions and classes of a source, in its order."""
    spans = [
        _Span(found[3], found[2] == "class", found.start(), _end(source, len(found[1]), found.end()))
        for found in _HEAD.finditer(source)
    ]
    return [
        _Definition(
            each.name,
            source[each.start] in " \t",
            each.start,
            each.end,
            _own_text(source, each, spans[position + 1 :]),
        )
        for position, each in enumerate(spans)
    ]


class _Span(NamedTuple):
    name: str
    is_class: bool
    start: int
    end: int


def _own_text(source: str, each: _Span, after: Iterable[_Span]) -> str:
    if not each.is_class:
        return source[each.start : each.end]
    methods = list(takewhile(lambda inner: inner.start < each.end, after))
    made = "".join(source[one.start : one.end] for one in methods if one.name in _CONSTRUCTORS)
    kept = _CONSTRUCTORS.union(re.findall(r"\bself\.(_\w+)\(", made))
    parts, last = [], each.start
    for inner in methods:
        if inner.start >= last and inner.name not in kept:
            parts.append(source[last : inner.start])
            last = inner.end
    return "".join([*parts, source[last : each.end]])


def _end(source: str, indent: int, start: int) -> int:
    """Return where the block of a definition ends: at the next statement that is not indented more."""
    found = re.compile(rf"(?m)^[ \t]{{0,{indent}}}[A-Za-z_@]").search(source, start)
    return found.start() if found else len(source)


def _read(file: str) -> str:
    try:
        with open(file, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except OSError:
        return ""
