"""Splits the text that a shell is given into the words of its commands."""

from __future__ import annotations

import ast
import re
import shlex
from itertools import takewhile
from typing import TYPE_CHECKING

from raybundle.resolve.evaluate.name_values import ANY

if TYPE_CHECKING:
    from collections.abc import Iterator

_ENDS = frozenset(["&", "&&", "|", "||", "|&", ";", ";;", "(", ")", "{", "}", "!"])
"""What is between commands."""
_KEYWORDS = frozenset(["if", "then", "else", "elif", "fi", "while", "until", "do", "done", "exec", "command"])
"""Words of the shell that come before a command."""
OUTPUT = ">"
"""Begins the pair of words that stands for a file which a command writes."""
_REDIRECTS = re.compile(r"\d*[<>]+[&>|]?")
_SETS = re.compile(r"[A-Za-z_]\w*=.*", re.DOTALL)
_CONTINUED = re.compile(r"\\\n\s*")


def commands_in(text: str) -> Iterator[list[str]]:
    """Yields the words of each command, with the files that it reads; then `[">", file]` for what it writes.

    The variables that a command sets are a command `export` of their own.
    """
    for line in _CONTINUED.sub(" ", text).splitlines():
        yield from _in_line(line)


def _in_line(line: str) -> Iterator[list[str]]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] = []
    written: list[str] = []
    redirect = ""
    try:
        for word in lexer:
            if word in _ENDS:
                yield from _named(words)
                words = []
            elif _REDIRECTS.fullmatch(word):
                words = words[:-1] if words and words[-1].isdigit() else words
                redirect = word
            else:
                if not redirect or redirect == "<":
                    words.append(word)
                elif ">" in redirect and not redirect.endswith("&"):
                    written.append(word)
                redirect = ""
    except ValueError:
        return  # a quotation that goes on in the next line
    yield from _named(words)
    yield from ([OUTPUT, each] for each in written)


def _named(words: list[str]) -> Iterator[list[str]]:
    while words and words[0] in _KEYWORDS:
        words = words[1:]
    given = len([*takewhile(_SETS.fullmatch, words)])
    if given:
        yield ["export", *words[:given]]
        yield from _named(words[given:])
    elif words:
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
