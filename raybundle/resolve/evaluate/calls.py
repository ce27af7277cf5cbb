"""Collects the calls of one source, and tells which imported functions they call."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from raybundle.resolve.evaluate.chains import split_chain

if TYPE_CHECKING:
    from raybundle.resolve.facts import Guard

_BUILTINS = frozenset({"__import__", "exec", "eval", "getattr"})
"""Functions that need no import."""


@dataclass(slots=True)
class Calls:
    """The calls of one file, and what the names in them mean."""

    names: frozenset[str]
    """The last names of the functions that matter. Calls of others are dropped."""
    reads: frozenset[str] = frozenset()
    """Last names of functions that read files."""
    bindings: dict[str, set[str]] = field(default_factory=dict)
    seen: list[tuple[ast.Call, Guard]] = field(default_factory=list)
    reading: list[ast.Call] = field(default_factory=list)
    """Calls that may read a file."""
    _meant: list[tuple[ast.Call, Guard, set[str]]] | None = field(default=None, init=False)

    def bind(self, name: str, target: str) -> None:
        """Notes that an import binds `name` to the dotted `target`."""
        self.bindings.setdefault(name, set()).add(target)

    def bind_all(self, node: ast.Import | ast.ImportFrom) -> None:
        """Notes what an import statement binds."""
        for alias in node.names:
            match node:
                case ast.Import():
                    top = alias.name.partition(".")[0]
                    self.bind(alias.asname or top, alias.name if alias.asname else top)
                case ast.ImportFrom(module=module, level=level):
                    name = "." * level + (module or "")
                    inside = name if name.endswith(".") else f"{name}."
                    self.bind(alias.asname or alias.name, f"{inside}{alias.name}")

    def add(self, call: ast.Call, guard: Guard) -> None:
        """Keeps `call` until all bindings of the file are known, if it may be of interest."""
        function = call.func
        if not isinstance(function, ast.Attribute):
            self.seen.append((call, guard))
            if type(function) is ast.Name and function.id in self.reads:
                self.reading.append(call)
            return
        if function.attr in self.names:
            self.seen.append((call, guard))
        if function.attr in self.reads:
            self.reading.append(call)

    def qualified(self, function: ast.expr) -> set[str]:
        """Returns the dotted names that `function` may mean."""
        start, names = split_chain(function)
        match start:
            case ast.Name(id=name):
                bases = self.bindings.get(name, {name})
            case ast.Call(func=ast.Name(id="__import__"), args=[ast.Constant(value=str(name)), *_]):
                bases = {name}
            case ast.Call(func=ast.Name(id="getattr"), args=[module, ast.Constant(value=str(name)), *_]):
                bases = {f"{each}.{name}" for each in self.qualified(module)}
            case _:
                bases = set()
        return {".".join([base, *names]) for base in bases}

    def with_meaning(self) -> list[tuple[ast.Call, Guard, set[str]]]:
        """Returns the calls whose function is imported or built in, with its dotted names.

        Most calls have another one. All bindings of the file must be known.
        """
        if self._meant is None:
            known = self.bindings.keys() | _BUILTINS
            self._meant = [
                (call, guard, self.qualified(call.func))
                for call, guard in self.seen
                if type(call.func) is not ast.Name or call.func.id in known
            ]
        return self._meant


def argument_of(call: ast.Call, position: int, keyword: str) -> ast.expr | None:
    """Returns an argument by its position or its name."""
    if len(call.args) > position:
        return call.args[position]
    return next((each.value for each in call.keywords if each.arg == keyword), None)
