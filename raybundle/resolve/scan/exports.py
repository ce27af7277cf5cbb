"""Judges what a file does to two lists: what `__all__` exports, and the lines that change `sys.path`."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from raybundle.resolve.scan.calls import Calls, DynamicImports

ELSEWHERE = "="
"""Before the name of a module whose `__all__` is part of this one."""

COMPUTED = "*"

_ALIAS = re.compile(rb"=\s*sys\.path\s*($|[#;])", re.MULTILINE)
_CHANGES = frozenset({"append", "insert", "extend", "remove", "pop", "clear", "reverse", "__setitem__"})


def exported(parts: Iterable[ast.expr], calls: Calls) -> set[str]:
    """Return the literal names in parts of `__all__`, `=pkg.mod` for that of a module, `*` for the rest."""
    names = {name for part in parts for name in _exported(part, calls)}
    for target in calls.bindings.get("__all__", ()):
        names.add(ELSEWHERE + (target.removesuffix("__all__").removesuffix(".") or "."))
    return names


def _exported(node: ast.expr, calls: Calls) -> Iterator[str]:
    match node:
        case ast.Constant(value=str(value)):
            yield value
        case ast.List(elts=elements) | ast.Tuple(elts=elements) | ast.Set(elts=elements):
            for each in elements:
                yield from _exported(each, calls)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            yield from _exported(left, calls)
            yield from _exported(right, calls)
        case ast.Starred(value=value):
            yield from _exported(value, calls)
        case ast.Call(func=ast.Name(id="list" | "tuple" | "sorted" | "set"), args=[inner]):
            yield from _exported(inner, calls)
        case ast.Attribute(value=ast.Name(id=name) as module, attr="__all__") if name in calls.bindings:
            yield from (ELSEWHERE + each for each in calls.qualified(module))
        case _:
            yield COMPUTED


def path_edits(source: bytes, targets: Iterable[ast.expr], dynamic: DynamicImports) -> set[int]:
    """Return the lines that change `sys.path`, by whatever name the file has for it."""
    calls = dynamic.calls
    lines = set(calls.path_edits())
    lines |= {each.lineno for each in targets if "sys.path" in calls.qualified(each)}
    if _ALIAS.search(source):
        lines |= {each.lineno for each in targets if _is_alias(each, dynamic)}
        lines |= {
            call.lineno
            for call, _ in calls.seen
            if isinstance(call.func, ast.Attribute)
            and call.func.attr in _CHANGES
            and _is_alias(call.func.value, dynamic)
        }
    return lines


def _is_alias(node: ast.expr, dynamic: DynamicImports) -> bool:
    if not isinstance(node, ast.Name):
        return False
    values = dynamic.names.bindings(node.id)
    return any(value is not None and "sys.path" in dynamic.calls.qualified(value) for value in values)
