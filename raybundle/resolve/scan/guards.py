"""Tells what surrounds a statement: whether it runs as its module loads, and who catches its failure."""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import TYPE_CHECKING

from raybundle.resolve.evaluate.conditions import asks_for_module, mode_of
from raybundle.resolve.facts import Guard, Remark

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_UNPARSED = frozenset({"SyntaxError", "RecursionError", "MemoryError"})
"""Exceptions that an import raises if the source is not for this Python, or too complex for it."""
_FORGIVING = frozenset({"ImportError", "ModuleNotFoundError", "Exception", "BaseException"})
"""Exceptions whose handlers catch a failing import."""
_NOT_INSTALLED = _FORGIVING | {"PackageNotFoundError", "DistributionNotFound"}
"""Exceptions whose handlers catch that a distribution is not installed."""


def in_function(guard: Guard) -> Guard:
    """Returns the guard of a function's body, which runs when called, outside of the `try` around it."""
    if guard.deferred == "function" and not guard.optional:
        return guard
    return Guard(False, guard.instead_of, guard.only, "function")  # noqa: FBT003 - `replace` takes five times as long


def in_branch(guard: Guard) -> Guard:
    """Returns the guard of a branch whose condition cannot be decided."""
    return guard if guard.deferred else replace(guard, deferred="branch")


def branches_of(test: ast.expr, guard: Guard, *, may_ask: bool) -> tuple[Guard, Guard]:
    """Returns the guards of both branches of a test that cannot be decided."""
    modes = mode_of(test)
    if all(modes):  # `__name__ == "__main__"`: how each module runs is known
        return replace(guard, only=modes[0]), replace(guard, only=modes[1])
    other = in_branch(guard)
    inner = replace(other, only=modes[0]) if modes[0] else other
    return (replace(inner, optional=True) if may_ask and asks_for_module(test) else inner), other


def tried_in(body: list[ast.stmt]) -> Iterable[str]:
    """Yields the modules that the statements of a `try` import."""
    for statement in body:
        if isinstance(statement, ast.Import):
            yield from (alias.name for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom):
            yield "." * statement.level + (statement.module or "")


def catches(handler: ast.ExceptHandler) -> bool:
    """Returns whether a handler catches a failing import."""
    return _is_import_error(handler.type)


def catches_unparsed(handler: ast.ExceptHandler) -> bool:
    """Returns whether a handler catches the import of a source that this Python cannot compile."""
    return _is_import_error(handler.type, _UNPARSED)


def gives_up(handler: ast.ExceptHandler) -> bool:
    """Returns whether a handler ends with another error: the import is not optional."""
    return isinstance(handler.body[-1], ast.Raise)


def _is_import_error(node: ast.expr | None, forgiving: frozenset[str] = _FORGIVING) -> bool:
    match node:
        case None:
            return True
        case ast.Tuple(elts=elements):
            return any(_is_import_error(each, forgiving) for each in elements)
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name in forgiving
        case _:
            return False


def unforgiven(tree: ast.Module, asked: Iterable[ast.expr]) -> Iterator[Remark]:
    """Yields a remark for each expression around which nothing catches that a distribution is absent."""
    for expression in asked:
        around = (each for each in ast.walk(tree) if isinstance(each, (ast.Try, ast.With)))
        caught = [
            each
            for each in around
            if each.lineno <= expression.lineno <= (each.body[-1].end_lineno or 0) and _forgives(each)
        ]
        if not caught:
            yield Remark(expression.lineno, "distribution", ast.unparse(expression))


def _forgives(node: ast.Try | ast.With) -> bool:
    if isinstance(node, ast.With):
        return any(suppresses(each.context_expr, _NOT_INSTALLED) for each in node.items)
    return any(_is_import_error(each.type, _NOT_INSTALLED) for each in node.handlers)


def suppresses(node: ast.expr, forgiving: frozenset[str] = _FORGIVING) -> bool:
    """Returns whether a context manager is `suppress` of a failing import, or of what `forgiving` names."""
    match node:
        case ast.Call(func=ast.Name(id="suppress") | ast.Attribute(attr="suppress"), args=arguments):
            return any(_is_import_error(each, forgiving) for each in arguments)
        case _:
            return False
