"""Reads what a file does to two lists: the names in `__all__`, and the lines that change `sys.path`."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from raybundle.resolve.facts import Exports
from raybundle.resolve.scan.calls import lines_of_path_edits

if TYPE_CHECKING:
    from collections.abc import Iterable

    from raybundle.resolve.evaluate.calls import Calls
    from raybundle.resolve.scan.calls import DynamicImports

_ALIAS = re.compile(rb"=\s*sys\.path\s*($|[#;])", re.MULTILINE)
_CHANGES = frozenset({"append", "insert", "extend", "remove", "pop", "clear", "reverse", "__setitem__"})


def exported(parts: Iterable[ast.expr], calls: Calls) -> Exports:
    """Return what the parts of `__all__` name."""
    queue, names, is_computed = list(parts), set[str](), False
    modules = {
        target.removesuffix("__all__").removesuffix(".") or "."
        for target in calls.bindings.get("__all__", ())
    }
    while queue:
        match queue.pop():
            case ast.Constant(value=str(value)):
                names.add(value)
            case ast.List(elts=elements) | ast.Tuple(elts=elements) | ast.Set(elts=elements):
                queue += elements
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                queue += [left, right]
            case (
                ast.Starred(value=inner)
                | ast.Call(func=ast.Name(id="list" | "tuple" | "sorted" | "set"), args=[inner])
            ):
                queue.append(inner)
            case ast.Attribute(value=ast.Name(id=name) as module, attr="__all__") if name in calls.bindings:
                modules |= calls.qualified(module)
            case _:
                is_computed = True
    return Exports(tuple(sorted(names)), tuple(sorted(modules)), is_computed)


def path_edits(source: bytes, targets: Iterable[ast.expr], dynamic: DynamicImports) -> set[int]:
    """Return the lines that change `sys.path`, under any name that the file gives it."""
    calls = dynamic.calls
    lines = set(lines_of_path_edits(calls))
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
