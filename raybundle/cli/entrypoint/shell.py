"""Splits a shell line into simple commands, and finds what only a shell can carry out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_PIECE = re.compile(
    r"""  (?P<joined>\\\n)
        | (?P<end>&&|;|\n)
        | (?P<blank>[ \t\r]+)
        | (?P<single>'[^']*')
        | (?P<double>"(?:[^"\\]|\\.)*")
        | (?P<escaped>\\.)
        | (?P<syntax>\$(?:\w+|[{(?@*\#!$-]) | ` | \|\|? | & | \d*[<>] | [()*?['"]
            | \{[^\s{}]*(?:,|\.\.)[^\s{}]*\})
        | (?P<plain>.)
    """,
    re.VERBOSE | re.DOTALL,
)
"""The pieces of a line (POSIX shell language, 2.2 Quoting and 2.3 Token Recognition)."""
_EXPANDED = re.compile(r"\$(?:\w+|[{(?@*#!$-])|`")
"""Text that a shell expands, even in double quotes."""
_RESERVED = frozenset(
    ["if", "then", "else", "elif", "fi", "for", "while", "until", "do", "done", "case", "esac", "{", "}", "!"]
)
ALL_ARGUMENTS = '"$@"'


@dataclass(frozen=True, slots=True)
class Simple:
    """A simple command."""

    words: tuple[str, ...]
    syntax: str = ""
    """The first piece that only a shell can carry out; empty if there is none."""
    text: str = ""
    end: str = ""
    """The separator before the next command."""


@dataclass(slots=True)
class _Reader:
    arguments: Sequence[str] | None
    commands: list[Simple]
    words: list[str]
    word: str | None = None
    syntax: str = ""
    start: int = 0

    def end_word(self) -> None:
        if self.word is not None:
            if not self.words and self.word in _RESERVED:
                self.syntax = self.syntax or self.word
            self.words.append(self.word)
        self.word = None

    def end_command(self, text: str, position: int, end: int) -> None:
        self.end_word()
        if self.words or self.syntax:
            part = text[self.start : position].strip()
            self.commands.append(Simple(tuple(self.words), self.syntax, part, text[position:end]))
        self.words, self.syntax, self.start = [], "", end


def split_commands(text: str, arguments: Sequence[str] | None = None) -> list[Simple]:
    """Returns the simple commands of a shell text, in order; `&&`, `;` and line ends separate them.

    Args:
        text: a line or a script.
        arguments: the value of `"$@"`; None if a shell would have none.
    """
    reader, position = _Reader(arguments, [], []), 0
    while position < len(text):
        if text[position] == "#" and reader.word is None:
            newline = text.find("\n", position)
            position = len(text) if newline < 0 else newline
            continue
        found = _PIECE.match(text, position)
        if found is None:
            raise AssertionError(text)
        kind, piece = str(found.lastgroup), found[0]
        position = found.end()
        if kind == "end":
            reader.end_command(text, found.start(), position)
        elif kind == "blank":
            reader.end_word()
        elif piece == ALL_ARGUMENTS and reader.word is None and arguments is not None:
            reader.words += arguments
        elif kind != "joined":
            _take(reader, kind, piece)
    reader.end_command(text, len(text), len(text))
    return reader.commands


def _take(reader: _Reader, kind: str, piece: str) -> None:
    """Adds a piece to the current word."""
    if kind == "syntax" or (piece == "~" and reader.word is None):
        reader.syntax = reader.syntax or piece.strip()
    if kind == "single":
        piece = piece[1:-1]
    elif kind == "escaped":
        piece = piece[1:]
    elif kind == "double":
        inner = piece[1:-1]
        expanded = _EXPANDED.search(re.sub(r"\\.", "", inner, flags=re.DOTALL))
        reader.syntax = reader.syntax or (expanded[0] if expanded else "")
        piece = re.sub(r'\\([$`"\\])', r"\1", inner.replace("\\\n", ""))
    reader.word = (reader.word or "") + piece
