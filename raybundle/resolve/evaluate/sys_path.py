"""Recognises expressions, functions and files that change `sys.path`."""

# Why strings: paths here are the strings that `sys.path` holds; pathlib would cost ten times as much.
# ruff: noqa: PTH110, PTH112, PTH118, PTH208

from __future__ import annotations

import ast
import os
from pathlib import Path
from typing import TYPE_CHECKING

from raybundle.resolve.evaluate.chains import last_name
from raybundle.resolve.evaluate.parsing import walk
from raybundle.resolve.evaluate.path_values import CannotEvaluateError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from raybundle.resolve.evaluate.path_values import Scope, Value


def around(node: ast.expr, scope: Scope) -> tuple[list[Value], list[Value]]:
    """Returns what a new value of `sys.path` has before and after the old one.

    Raises:
        CannotEvaluateError: only the running program knows.
    """
    match node:
        case ast.Attribute() | ast.Name() if scope.dotted(node) == "sys.path":
            return [], []
        case ast.Call(func=ast.Name(id="list"), args=[inner], keywords=[]):
            return around(inner, scope)
        case ast.BinOp(left=left, op=ast.Add(), right=right) if _mentions_path(right, scope):
            before, after = around(right, scope)
            return [*scope.list_of(left), *before], after
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            before, after = around(left, scope)
            return before, [*after, *scope.list_of(right)]
        case ast.List(elts=elements):
            return _around_star(elements, scope)
        case _:
            raise CannotEvaluateError


def _around_star(elements: list[ast.expr], scope: Scope) -> tuple[list[Value], list[Value]]:
    for position, each in enumerate(elements):
        if isinstance(each, ast.Starred):
            before, after = around(each.value, scope)
            first = [scope.value(other) for other in elements[:position]]
            last = [scope.value(other) for other in elements[position + 1 :]]
            return [*first, *before], [*after, *last]
    raise CannotEvaluateError


def _mentions_path(node: ast.expr, scope: Scope) -> bool:
    names = (each for each in walk(node) if isinstance(each, (ast.Attribute, ast.Name)))
    return any(scope.dotted(each) == "sys.path" for each in names)


def patched(call: ast.Call) -> ast.expr | None:
    """Returns the value that a call gives `sys.path` for a while: `patch.object(sys, "path", [...])`."""
    match call.args:
        case [ast.Name(id="sys"), ast.Constant(value="path"), value, *_]:
            return value
        case [ast.Constant(value="sys.path"), value, *_]:
            return value
        case _:
            return None


OF_TEMPORARY = (b" sys ", b" syspath_prepend ")
"""One of these words is in each source that has a temporary change."""


def is_temporary(call: ast.Call) -> bool:
    """Returns whether a call changes `sys.path` until a test or a block ends."""
    return last_name(call.func) == "syspath_prepend" or patched(call) is not None


def adders_in(tree: ast.Module) -> dict[str, frozenset[int]]:
    """Returns the functions and classes of a module that change `sys.path`, and the lines that do."""
    found = {}
    for each in tree.body:
        if isinstance(each, (ast.FunctionDef, ast.ClassDef)):
            lines = frozenset(filter(None, map(_line_of_path, walk(each))))
            if lines:
                found[each.name] = lines
    return found


def _line_of_path(node: ast.AST) -> int:
    match node:
        case ast.Attribute(value=ast.Name(id="sys"), attr="path"):
            return node.lineno
        case _:
            return 0


def is_context(mark: ast.expr) -> bool:
    """Returns whether a decorator makes a context manager of a function, whose body `with` runs."""
    return last_name(mark) == "contextmanager"


def named_in_path_files(directory: str) -> Iterator[str]:
    """Yields the directories that the `.pth` files of `directory` name, as `site.addpackage` adds them.

    Raises:
        CannotEvaluateError: a line of them runs code.
        OSError: a file cannot be read.
    """
    names = sorted(os.listdir(directory)) if os.path.isdir(directory) else []
    for name in names:
        if name.endswith(".pth") and not name.startswith("."):
            text = Path(directory, name).read_text("utf-8", "replace")
            for line in text.splitlines():
                if line.startswith(("import ", "import\t")):
                    raise CannotEvaluateError
                named = os.path.normpath(os.path.join(directory, line.rstrip()))
                if line.strip() and not line.startswith("#") and os.path.exists(named):
                    yield named
