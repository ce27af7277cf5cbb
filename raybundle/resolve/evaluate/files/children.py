"""Evaluates the directories in which child processes look for modules. No user code runs.

They are in `PYTHONPATH`, or the directory of a `python -m`.
"""

# Why strings: paths here are the strings that `sys.path` holds; pathlib would cost ten times as much.
# ruff: noqa: PTH117

from __future__ import annotations

import ast
import os
from typing import TYPE_CHECKING

from raybundle.resolve.evaluate.edits import Edit
from raybundle.resolve.evaluate.parsing import walk
from raybundle.resolve.evaluate.path_values import CannotEvaluateError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from raybundle.resolve.evaluate.path_values import Scope

_UNKNOWN = "\0"
"""Stands for a part that only the running program knows."""


def paths_of_children(tree: ast.AST, scope: Scope) -> Iterator[Edit]:
    """Yields the directories that are known; `scope` has the names of the source or of a function in it."""
    for line, value in _values(tree):
        for each in _text(value, scope).split(os.pathsep):
            if each and _UNKNOWN not in each and (scope.cwd is not None or os.path.isabs(each)):
                yield Edit(os.path.normpath(scope.absolute(each)), None, line)


def _values(tree: ast.AST) -> Iterator[tuple[int, ast.expr]]:
    """Yields what `PYTHONPATH` gets, and the directories of commands, with the line of each name."""
    for node in walk(tree):
        match node:
            case ast.Dict(keys=keys, values=values):
                pairs = zip(keys, values, strict=True)
                yield from ((key.lineno, value) for key, value in pairs if key and _is_name(key))
            case ast.keyword(arg="PYTHONPATH" | "cwd", value=value):
                yield node.lineno, value
            case (
                ast.Assign(targets=[ast.Subscript(slice=key)], value=value)
                | ast.Call(func=ast.Attribute(attr="setdefault" | "putenv"), args=[key, value])
            ) if _is_name(key):
                yield key.lineno, value
            case _:
                continue


def _is_name(key: ast.expr) -> bool:
    return isinstance(key, ast.Constant) and key.value == "PYTHONPATH"


def _text(node: ast.expr, scope: Scope) -> str:
    """Returns the value of an expression, with marks for its unknown parts."""
    if scope.dotted(node) == "os.pathsep":
        return os.pathsep
    try:
        return str(scope.value(node))
    except CannotEvaluateError:
        pass
    match node:
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _text(left, scope) + _text(right, scope)
        case ast.JoinedStr(values=parts):
            return "".join(_text(each, scope) for each in parts)
        case ast.FormattedValue(value=value):
            return _text(value, scope)
        case ast.IfExp(body=one, orelse=other):
            return f"{_text(one, scope)}{os.pathsep}{_text(other, scope)}"
        case ast.Call(func=ast.Name(id="str"), args=[value]):
            return _text(value, scope)
        case ast.Call(func=ast.Attribute(value=between, attr="join"), args=[parts]):
            return _joined(_text(between, scope), parts, scope)
        case _:
            return _UNKNOWN


def _joined(between: str, parts: ast.expr, scope: Scope) -> str:
    if isinstance(parts, (ast.List, ast.Tuple)):
        return between.join(_text(each, scope) for each in parts.elts)
    try:
        return between.join(map(str, scope.list_of(parts)))
    except CannotEvaluateError:
        return _UNKNOWN
