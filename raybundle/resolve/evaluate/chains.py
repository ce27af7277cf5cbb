"""Takes apart chains of attributes, `a.b.c` and `f().g`, and follows names that are given to modules."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_FULL = frozenset(
    [
        *("importlib.import_module", "importlib.__import__", "__import__", "builtins.__import__"),
        "lazy_loader.load",
    ]
)
_IMPORTERS = frozenset(name.rpartition(".")[2] for name in _FULL)
_DEPTH = 4
"""Assignments that a chain is followed through."""
_OWN = "self"


def split_chain(node: ast.expr) -> tuple[ast.expr, list[str]]:
    """Returns what a chain begins with, and its attributes."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return node, names[::-1]


def last_name(function: ast.expr) -> str:
    """Returns the name that a call has for its function, without what it is an attribute of."""
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


@dataclass(slots=True)
class Aliases:
    """The assignments of one source whose value may be a module. Scopes are not told apart."""

    values: dict[str, list[tuple[str, tuple[str, ...]]]] = field(default_factory=dict)
    """By name: the first name and the attributes of each value. `self.x` is a name too."""
    calls: dict[str, ast.Call] = field(default_factory=dict)
    """Calls that import, by a name of their own, which no source can have."""

    def may_mean(self, name: str) -> bool:
        """Returns whether `targets` has an answer for chains that begin with `name`."""
        return name in self.values or name in self.calls or name == _OWN

    def add(self, target: ast.expr, value: ast.expr) -> None:
        """Keeps an assignment, if its value may be a module."""
        base, names = split_chain(value)
        if type(base) is ast.Call:
            match base:
                case ast.Call(func=ast.Name(id="getattr"), args=[inner, ast.Constant(value=str(name)), *_]):
                    base, before = split_chain(inner)
                    names = [*before, name, *names]
                case _:
                    pass
        start = base.id if isinstance(base, ast.Name) else self.of_call(base)
        if not start:
            return
        match target:
            case ast.Name(id=name):
                self.values.setdefault(name, []).append((start, tuple(names)))
            case ast.Attribute(value=ast.Name(id="self"), attr=name):
                self.values.setdefault(f"{_OWN}.{name}", []).append((start, tuple(names)))
            case _:
                return

    def of_call(self, node: ast.expr) -> str:
        """Returns the name for a call that imports a module by a literal name; empty for anything else."""
        if type(node) is ast.Call and last_name(node.func) in _IMPORTERS:
            match node.args:
                case [ast.Constant(value=str(name)), *_]:
                    self.calls[f"({name})"] = node
                    return f"({name})"
                case _:
                    pass
        return ""

    def renamed(self) -> Iterator[tuple[str, str]]:
        """Yields the names that are assigned another name as it is."""
        for name, values in self.values.items():
            yield from ((name, start) for start, rest in values if not rest and start != name)

    def targets(
        self, name: str, attributes: tuple[str, ...], bindings: Mapping[str, set[str]]
    ) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Yields the modules that a chain of attributes begins with, and the other attributes."""
        return self._targets(name, attributes, bindings, _DEPTH, {})

    def _targets(
        self,
        name: str,
        attributes: tuple[str, ...],
        bindings: Mapping[str, set[str]],
        depth: int,
        seen: dict[tuple[str, tuple[str, ...]], int],
    ) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Yields those that it has not seen yet: hundreds of names may be assigned hundreds of others."""
        if seen.get((name, attributes), -1) >= depth:
            return
        seen[name, attributes] = depth
        if name in self.calls:
            function, inner = split_chain(self.calls[name].func)
            bound = function.id if isinstance(function, ast.Name) else ""
            if not _FULL.isdisjoint(".".join([each, *inner]) for each in bindings.get(bound, {bound})):
                yield name[1:-1], attributes
            return
        if name == _OWN and attributes:
            name, attributes = f"{_OWN}.{attributes[0]}", attributes[1:]
        for start, names in self.values.get(name, ()) if depth else ():
            chain = (*names, *attributes)
            for module in bindings.get(start, ()) if chain else ():
                yield module, chain
            yield from self._targets(start, chain, bindings, depth - 1, seen)
