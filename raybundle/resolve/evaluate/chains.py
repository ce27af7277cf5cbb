"""Takes apart chains of attributes: `a.b.c` and `f().g`."""

from __future__ import annotations

import ast


def split_chain(node: ast.expr) -> tuple[ast.expr, list[str]]:
    """Return what a chain begins with, and its attributes."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return node, names[::-1]


def last_name(function: ast.expr) -> str:
    """Return the name that a call has for its function, without what it is an attribute of."""
    match function:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""
