"""Splits the text that a shell is given into the words of its commands."""

from __future__ import annotations

import ast
import re
import shlex
from typing import TYPE_CHECKING

from raybundle.resolve.evaluate.name_values import ANY

if TYPE_CHECKING:
    from collections.abc import Iterator

_ENDS = frozenset(["&", "&&", "|", "||", "|&", ";", ";;", "(", ")", "{", "}", "!"])
"""What is between commands."""
_KEYWORDS = frozenset(["if", "then", "else", "elif", "fi", "while", "until", "do", "done", "exec", "command"])
"""Words of the shell that come before a command."""
_REDIRECTS = re.compile(r"\d*[<>]+[&>|]?")
_SETS = re.compile(r"[A-Za-z_]\w*=.*", re.DOTALL)
_CONTINUED = re.compile(r"\\\n\s*")


def commands_in(text: str) -> Iterator[list[str]]:
    """Yields the words of each command, without redirections and the variables that it sets."""
    for line in _CONTINUED.sub(" ", text).splitlines():
        yield from _in_line(line)


def _in_line(line: str) -> Iterator[list[str]]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] = []
    skip = False
    try:
        for word in lexer:
            if word in _ENDS:
                yield from _named(words)
                words = []
            elif _REDIRECTS.fullmatch(word):
                words = words[:-1] if words and words[-1].isdigit() else words
                skip = True
            elif skip:
                skip = False
            else:
                words.append(word)
    except ValueError:
        return  # a quotation that goes on in the next line
    yield from _named(words)


def _named(words: list[str]) -> Iterator[list[str]]:
    while words and (_SETS.fullmatch(words[0]) or words[0] in _KEYWORDS):
        words = words[1:]
    if words:
        yield words


def word_of(text: str, place: ast.expr) -> ast.expr:
    """Returns an expression whose value is a word of a shell; its unknown parts are no names."""
    if ANY not in text:
        return ast.copy_location(ast.Constant(text), place)
    split = re.split(r"(\*)", text)
    parts: list[ast.expr] = [
        ast.FormattedValue(ast.Constant(0), -1) if each == ANY else ast.Constant(each) for each in split
    ]
    return ast.copy_location(ast.JoinedStr(parts), place)
