"""Reads scripts of shells and makefiles: the programs, scripts and files that their commands name."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from raybundle.resolve.evaluate.calls import Calls
from raybundle.resolve.evaluate.name_values import ANY, NameValues
from raybundle.resolve.facts import Import, ModuleText, ProgramName
from raybundle.resolve.scan.commands.commands import Commands
from raybundle.resolve.scan.commands.shell import word_of

if TYPE_CHECKING:
    from collections.abc import Iterator

_VARIABLE = re.compile(r"\$\{(\w+)(?::?[-=]([^{}]*))?\}|\$(\w+)")
_EXPANSION = re.compile(r"\$\{[^{}]*\}|\$\([^()]*\)|\$[@*#?<^]|`[^`]*`")
"""What only a shell knows."""
_SETS = re.compile(r"\s*(?:export |readonly |local |declare )?\s*(\w+)=([\"']?)([^\"'\s;]*)\2\s*(?:[;#]|\Z)")
_RULE = re.compile(r"[^\t#:=\s][^#:=]*::?(?!=)([^=#]*)")
_VARIABLE_OF_MAKE = re.compile(r"\s*(?:export )?\s*(\w+)\s*[:?+!]{0,2}=\s*([^#]*)")
_INCLUDE = re.compile(r"-?include\s")
_MAKEFILES = ("Makefile", "makefile", "GNUmakefile")
_FUNCTION = re.compile(r"^\s*(?:function\s+)?([\w-]+)\s*\(\s*\)", re.MULTILINE)
_SHEBANG = re.compile(rb"#!.*\b(?:ba|da|z|k)?sh\b")


def script_in(source: bytes, file: str) -> str | None:
    """Returns a file as the text of a shell, if it is a script of one, or a makefile."""
    name = file.rpartition("/")[2]
    text = source.decode("utf-8", "replace")
    if name in _MAKEFILES or name.endswith(".mk"):
        return "\n".join(map(_as_shell, _whole_lines(text)))
    return text if name.endswith((".sh", ".bash")) or _SHEBANG.match(source) else None


def _as_shell(line: str) -> str:
    """Returns a line of a makefile as a line of a shell: what a target needs is read by a command `:`."""
    line = re.sub(r"\$\((\w+)\)", r"${\1}", line).replace("$$", "$")
    if line.startswith("\t"):
        return line.strip().lstrip("@-+")
    if _INCLUDE.match(line):
        return f": {line.partition(' ')[2]}"
    if found := _VARIABLE_OF_MAKE.fullmatch(line):
        value = found[2].strip()
        return f": {value}" if " " in value else f"{found[1]}={value}"
    found = _RULE.fullmatch(line.partition(";")[0])
    return f": {found[1]}" if found else ""


def _whole_lines(text: str) -> list[str]:
    """Returns lines of a makefile; one that goes on has the next in it, and an empty one in its place."""
    return [each for _, line in _numbered(text) for each in line.split("\n")]


def commands_of_shell(text: str) -> Commands:
    """Returns what a script of a shell starts, with the values that it gives to variables."""
    calls, names = Calls(frozenset()), NameValues(ast.Module([], []), {}, is_package=False)
    found: list[Import] = []

    def take(place: ast.expr, word: ast.expr) -> None:
        texts = (each.value for each in names.texts(word) if each.whole)
        found.extend(Import(place.lineno, ModuleText(each, is_listed=True)) for each in texts)

    commands = Commands(calls, names, take, lambda _place, _code: None, found, is_shell=True)
    values: dict[str, str] = {}
    for number, line in _numbered(text):
        if not line.lstrip().startswith("#"):
            place = ast.Call(ast.Name("run"), [], [], lineno=number, col_offset=0)
            expanded = _expanded(line, values)
            if sets := _SETS.match(expanded):
                values[sets[1]] = sets[3]
            commands.shell(place, word_of(expanded, place))
    own = set(_FUNCTION.findall(text))
    found[:] = (each for each in found if not isinstance(each.form, ProgramName) or each.form.name not in own)
    return commands


def _expanded(line: str, values: dict[str, str]) -> str:
    """Returns a line with the values of its variables, and `*` for what only a shell knows."""
    before, after = line, _VARIABLE.sub(lambda each: values.get(each[1] or each[3]) or each[2] or ANY, line)
    while before != after:
        before, after = after, _EXPANSION.sub(ANY, after)
    return after


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
