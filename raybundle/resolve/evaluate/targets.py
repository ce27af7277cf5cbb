"""Takes apart the targets of an assignment: `a, (b, c) = x, pair`."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from raybundle.resolve.evaluate.parsing import walk

if TYPE_CHECKING:
    from collections.abc import Iterator


def pairs(target: ast.expr, value: ast.expr | None) -> Iterator[tuple[ast.expr, ast.expr | None]]:
    """Yields each part of `target` and what it is assigned, or None if only the running program knows."""
    match target:
        case ast.Tuple(elts=parts) | ast.List(elts=parts):
            for part, each in zip(parts, _values(value, parts), strict=True):
                yield from pairs(part, each)
        case ast.Starred(value=rest):
            yield from pairs(rest, None)
        case _:
            yield target, value


def _values(value: ast.expr | None, parts: list[ast.expr]) -> list[ast.expr] | list[None]:
    match value:
        case ast.Tuple(elts=values) | ast.List(elts=values) if len(values) == len(parts):
            starred = any(isinstance(each, ast.Starred) for each in (*parts, *values))
            return [None] * len(parts) if starred else values
        case _:
            return [None] * len(parts)


def changed_anywhere(tree: ast.Module) -> frozenset[str]:
    """Returns the names that functions (`global`) and expressions (`:=`) may change at any time."""
    names: set[str] = set()
    for node in walk(tree):
        if isinstance(node, ast.Global):
            names.update(node.names)
        elif isinstance(node, ast.NamedExpr):
            names.add(node.target.id)
    return frozenset(names)
