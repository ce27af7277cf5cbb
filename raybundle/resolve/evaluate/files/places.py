"""Says which path a value is, from which directory, and which values parameters have."""

# Why strings: paths here are compared with those of the finder; pathlib would cost ten times as much.

from __future__ import annotations

import ast
import os
import re
from pathlib import PurePath
from typing import TYPE_CHECKING

from raybundle.resolve.evaluate.files.vocabulary import TAKES_NO_PATH, is_output
from raybundle.resolve.evaluate.name_values import ANY
from raybundle.resolve.evaluate.parsing import walk
from raybundle.resolve.evaluate.symbolic import HERE, START
from raybundle.resolve.facts import EVERYTHING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from raybundle.resolve.evaluate.path_values import Value
    from raybundle.resolve.evaluate.symbolic import SymbolicScope
    from raybundle.resolve.facts import PathStart

_LONGEST = 250
_FILE_LIKE = re.compile(r"/|\.[A-Za-z0-9_]{1,10}\Z")
_IMPOSSIBLE = re.compile(r"[\n\r\t\0\ud800-\udfff\\^$|<>\"'`,;:=]|\A[/~#@.-]*\Z|\A/")
"""Matches a string that is not a path relative to a directory."""
_UNNAMED = re.compile(r"[\0-\2\ud800-\udfff]")
"""Matches what no path has that is known and that a manifest can name."""
_DATABASE_URL = re.compile(r"\A(?:sqlite|duckdb)(?:\+\w+)?:///")
_RELATIVE_URL = re.compile(r"\Afile:(?://)?(?=[^/]|/[\1\2])")
"""Begins the place of hydra's configuration, or the URL of a file in a known directory."""
_OF_QUERY = re.compile(r"(?i)(?:\b(?:from|join)\s+|\b(?:read|scan)_\w+\s*\(\s*\[?\s*)'([^'\n]+\.\w+)'")
"""A file as DuckDB and polars take it in the place of a table."""
_HOLE = re.compile(r"\{[^{}]*\}|%[-\d.]*[sdif]")


def inside(scope: SymbolicScope, arguments: ast.arguments) -> SymbolicScope:
    """Returns a scope in which parameters have their defaults; callers may give others."""
    inner = scope.state()
    for each in walk(arguments):
        if isinstance(each, ast.arg):
            inner.unbind(each.arg)
    for parameter, default in defaults(arguments):
        values = [each for each in scope.ways(default) if each is None or isinstance(each, (str, PurePath))]
        inner.bind(parameter.arg, values)
    return inner


def defaults(arguments: ast.arguments) -> Iterator[tuple[ast.arg, ast.expr]]:
    """Yields the parameters that have a default, with it."""
    positional = [*arguments.posonlyargs, *arguments.args]
    yield from zip(positional[::-1], arguments.defaults[::-1], strict=False)
    named = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    yield from ((parameter, default) for parameter, default in named if default is not None)


def takes_path(parameter: ast.arg) -> bool:
    """Returns whether a parameter is annotated as a path."""
    return parameter.annotation is not None and "Path" in ast.unparse(parameter.annotation)


def given_paths(node: ast.Call, last: str) -> Iterator[ast.expr]:
    """Yields the arguments of a call, and the items of those that are lists: each may be a path."""
    for each in node.args:
        if isinstance(each, (ast.List, ast.Tuple)) and last != "join":
            yield from each.elts
        else:
            yield each


def may_be_folder(given: ast.expr | ast.keyword, last: str, scope: SymbolicScope) -> bool:
    """Returns whether an argument is a path with a folder in it, and the call `last` may read below that."""
    if (
        last in TAKES_NO_PATH
        or is_output(last)
        or (isinstance(given, ast.keyword) and is_output(given.arg or ""))
    ):
        return False
    match given.value if isinstance(given, ast.keyword) else given:
        case ast.Constant(value=str(text)):
            return "/" in text
        case ast.Name(id=name):
            return "/" in str(scope.names.get(name, ""))
        case _:
            return False


def may_hold_folder(name: str, value: ast.AST) -> bool:
    """Returns whether a variable or a key has a path inside the project, below which a call may read."""
    match value:
        case ast.Constant(value=str(text)) if name and "/" in text and not text.startswith(("/", "../")):
            return not is_output(name)
        case _:
            return False


def places(value: Value, *, wide: bool = True, whole: bool = False) -> Iterator[tuple[PathStart, str]]:
    """Yields where a path begins, and the path. With `whole`, it may be the source's directory itself."""
    if not isinstance(value, (str, PurePath)):
        return
    text = _RELATIVE_URL.sub("", _DATABASE_URL.sub("", str(value)))
    bases: tuple[tuple[PathStart, str], ...] = (("here", HERE), ("start", START))
    for place, base in bases:
        if text.startswith(base[:2]):
            path = os.path.relpath(os.path.normpath(_HOLE.sub(ANY, text)), base)
            if not _UNNAMED.search(path) and (whole or path != "."):
                yield place, path
            return
    relative = relative_path(text, wide=wide)
    if relative is not None:
        yield "start", relative
        if text.startswith("./") and "/" not in relative and relative.endswith(".py"):
            yield "here", relative  # `_base_ = "./base.py"` of a configuration in Python


def everything_in(node: ast.Call, last: str, scope: SymbolicScope) -> Iterator[tuple[PathStart, str]]:
    """Yields what a call lists of the directory in which the job runs, or of that of the source."""
    receiver = scope.values(node.func.value) if isinstance(node.func, ast.Attribute) else []
    given = node.args[0] if node.args else ast.Constant(".")
    pattern = given.value if isinstance(given, ast.Constant) and isinstance(given.value, str) else ""
    match last:
        case "listdir" | "scandir":
            directories, pattern = scope.values(given), "*"
        case "iterdir":
            directories, pattern = receiver, "*"
        case "walk":
            directories, pattern = receiver or scope.values(given), "**/*"
        case "glob" | "iglob" | "rglob":
            directories, pattern = receiver or [""], f"**/{pattern}" if last == "rglob" else pattern
        case _:
            return
    if "*" in pattern and not pattern.strip("./*"):
        starts: tuple[tuple[PathStart, str], ...] = (("start", "."), ("start", START), ("here", HERE))
        for place, base in starts:
            if any(os.path.normpath(str(each)) == base for each in directories):
                yield place, EVERYTHING["**" in pattern]


def files_of_query(value: str | PurePath) -> list[str]:
    """Returns the files that a query in SQL reads: `select * from 'data/*.csv'`."""
    return _OF_QUERY.findall(value) if isinstance(value, str) and "'" in value else []


def means_path(value: Value) -> bool:
    """Returns whether a value is a path or the URL of one, and not only a string that looks like one."""
    return isinstance(value, PurePath) or (isinstance(value, str) and _RELATIVE_URL.match(value) is not None)


def is_found(value: Value) -> bool:
    """Returns whether a value is known well enough: which file it is, or its directory."""
    if not isinstance(value, (str, PurePath)):
        return isinstance(value, list)
    text = _HOLE.sub(ANY, str(value))
    for base in (HERE, START):
        if text.startswith(base[:2]):
            text = os.path.relpath(os.path.normpath(text), base)
    if ANY not in text or "://" in text or text.startswith("/"):
        return True
    return bool(text.partition(ANY)[0].strip("./")) and relative_path(text, wide=True) is not None


def relative_path(text: str, *, wide: bool) -> str | None:
    """Returns a string as a relative path, or None if it does not look like a path."""
    if len(text) > _LONGEST or "://" in text:
        return None
    text = _HOLE.sub(ANY, text)
    if _IMPOSSIBLE.search(text) or not (wide or (_FILE_LIKE.search(text) and not text.startswith(ANY))):
        return None
    path = os.path.normpath(text)
    return path if path.strip("./*") else None
