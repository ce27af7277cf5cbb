"""Reads what a file does to two lists: the names in `__all__`, and the lines that change `sys.path`."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from raybundle.resolve.evaluate.chains import last_name
from raybundle.resolve.evaluate.parsing import walk
from raybundle.resolve.evaluate.sys_path import OF_TEMPORARY, is_temporary
from raybundle.resolve.facts import Exports
from raybundle.resolve.scan.calls.import_calls import PATH_EDITS
from raybundle.resolve.scan.tables import ATTACHES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from raybundle.resolve.scan.calls.import_calls import DynamicImports

_ALIAS = re.compile(rb"=\s*sys\.path\s*($|[#;])", re.MULTILINE)
_CHANGES = frozenset({"append", "insert", "extend", "remove", "pop", "clear", "reverse", "__setitem__"})
_OF_PLACE = frozenset({"__file__", "__path__", "__spec__"})
"""What a module knows of its folder."""
_LISTS = frozenset(
    [
        *("glob", "iglob", "rglob", "listdir", "scandir", "iterdir", "walk", "contents", "files"),
        *("iter_modules", "walk_packages"),
    ]
)
"""Last names of calls that list a folder."""
_PLAIN = frozenset({"inspect", "itertools", "functools", "operator", "re", "sys", "string", "enum", "types"})
"""Modules whose functions list no folder."""
_GROWS = frozenset({"append", "extend", "insert", "add", "update"})


def exported(parts: Iterable[ast.expr], dynamic: DynamicImports) -> Exports:
    """Returns what the parts of `__all__` name."""
    queue, names, computed, calls = list(parts), set[str](), list[ast.AST](), dynamic.calls
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
            case ast.Call(func=function) if last_name(function) in ATTACHES:
                continue  # its tables are read
            case other:
                computed.append(other)
    is_listed = bool(computed) and _Origins(dynamic).list_a_folder(computed)
    return Exports(tuple(sorted(names)), tuple(sorted(modules)), bool(computed), is_listed)


class _Origins:
    """What the values of one file are made of."""

    def __init__(self, dynamic: DynamicImports) -> None:
        self._dynamic = dynamic
        self._parts: dict[str, list[ast.AST]] = {}
        for name, part in _parts(dynamic.names.tree):
            self._parts.setdefault(name, []).append(part)

    def list_a_folder(self, nodes: Iterable[ast.AST]) -> bool:
        """Returns whether `nodes`, or what their names are made of, may list a folder."""
        queue, seen = list(nodes), set[str]()
        while queue:
            for node in walk(queue.pop()):
                match node:
                    case ast.Name(id=name) if name in _OF_PLACE:
                        return True
                    case ast.Call() if self._may_list(node):
                        return True
                    case ast.Name(id=name) if name not in seen:
                        seen.add(name)
                        bound = (each for each in self._dynamic.names.bindings(name) if each is not None)
                        queue += [*self._parts.get(name, ()), *bound]
                    case _:
                        continue
        return False

    def _may_list(self, call: ast.Call) -> bool:
        """Returns whether a call lists a folder. Functions of other modules may, except well-known ones."""
        base = call.func
        while isinstance(base, ast.Attribute):
            base = base.value
        names = self._dynamic.calls.bindings.get(base.id, ()) if isinstance(base, ast.Name) else ()
        return last_name(call.func) in _LISTS or any(name.partition(".")[0] not in _PLAIN for name in names)


def _parts(tree: ast.Module) -> Iterator[tuple[str, ast.AST]]:
    """Yields each function, and what a name gets besides what is assigned to it."""
    for node in walk(tree):
        match node:
            case ast.FunctionDef(name=name):
                yield name, node
            case (
                ast.AugAssign(target=ast.Name(id=name), value=value)
                | ast.withitem(optional_vars=ast.Name(id=name), context_expr=value)
            ):
                yield name, value
            case ast.Assign(targets=[ast.Tuple(elts=parts) | ast.List(elts=parts)], value=value):
                yield from ((each.id, value) for each in parts if isinstance(each, ast.Name))
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=attribute)) if attribute in _GROWS:
                yield from ((name, each) for each in node.args)
            case _:
                continue


def path_edits(source: bytes, words: bytes, targets: Iterable[ast.expr], dynamic: DynamicImports) -> set[int]:
    """Returns the lines that change `sys.path`, under any name that the file gives it."""
    calls = dynamic.calls
    lines = {call.lineno for call, _, names in calls.with_meaning() if not PATH_EDITS.isdisjoint(names)}
    if any(word in words for word in OF_TEMPORARY):
        lines |= {call.lineno for call, _ in calls.seen if is_temporary(call)}
    lines |= {each.lineno for each in targets if "sys.path" in calls.qualified(each)}
    if b"sys.path" in source and _ALIAS.search(source):
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
