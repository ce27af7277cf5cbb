"""Reads the scripts of shells: the programs, scripts and files that their commands name."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from raybundle.resolve.evaluate.calls import Calls
from raybundle.resolve.evaluate.name_values import ANY, NameValues
from raybundle.resolve.facts import Import, ModuleText
from raybundle.resolve.scan.commands.commands import Commands
from raybundle.resolve.scan.commands.shell import word_of

if TYPE_CHECKING:
    from collections.abc import Iterator

_EXPANSION = re.compile(r"\$\{[^{}]*\}|\$\([^()]*\)|\$[\w@*#?]+|`[^`]*`")
"""What only a shell knows."""


def commands_of_shell(text: str) -> Commands:
    """Returns what a script of a shell starts; variables in it are unknown."""
    calls, names = Calls(frozenset()), NameValues(ast.Module([], []), {}, is_package=False)
    found: list[Import] = []

    def take(place: ast.expr, word: ast.expr) -> None:
        texts = (each.value for each in names.texts(word) if each.whole)
        found.extend(Import(place.lineno, ModuleText(each, is_listed=True)) for each in texts)

    commands = Commands(calls, names, take, lambda _place, _code: None, found, is_shell=True)
    for number, line in _numbered(text):
        if not line.lstrip().startswith("#"):
            place = ast.Call(ast.Name("run"), [], [], lineno=number, col_offset=0)
            commands.shell(place, word_of(_EXPANSION.sub(ANY, line), place))
    return commands


def _numbered(text: str) -> Iterator[tuple[int, str]]:
    """Yields the lines of a script with the number of each; one that goes on is one with the next."""
    start, whole = 1, ""
    for number, line in enumerate(text.splitlines(), 1):
        start = start if whole else number
        whole += line
        if not line.endswith("\\"):
            yield start, whole
            whole = ""
        else:
            whole = whole[:-1]
