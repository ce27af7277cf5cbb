"""Understands which modules an expression means: names, imported packages, and those that a walk visits."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING

from raybundle.dotted import absolute
from raybundle.resolve.evaluate.calls import argument_of
from raybundle.resolve.evaluate.chains import split_chain
from raybundle.resolve.evaluate.name_values import ANY, Text
from raybundle.resolve.evaluate.parsing import walk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from raybundle.resolve.evaluate.calls import Calls
    from raybundle.resolve.evaluate.name_values import NameValues

IMPORTERS = frozenset(
    [
        *("importlib.import_module", "importlib.__import__", "__import__", "builtins.__import__"),
        *("lazy_loader.load", "runpy.run_module"),
    ]
)


@dataclass(frozen=True, slots=True)
class ModuleNames:
    """The modules that the expressions of one file mean."""

    calls: Calls
    names: NameValues

    def absolute(self, text: Text, call: ast.Call) -> Iterator[str]:
        """Yields the name that `text` means. A name relative to the file's own package keeps its dots."""
        if text.own:
            known = text.value[:1] in {"", "."}
            yield (text.value or ".") if known else ANY
        elif not text.value.startswith("."):
            yield text.value or ANY
        else:
            for package in self.names.texts(argument_of(call, 1, "package")):
                if package == Text("", own=True):
                    yield text.value
                else:
                    known = package.whole and not package.own
                    yield (absolute(text.value, package.value) if known else None) or ANY

    def walked(self, node: ast.expr | None, depth: int = 0) -> Iterator[str]:
        """Yields the packages whose `__path__` or directory `node` has. `.` is the package of the file."""
        for each in walk(node) if node is not None else ():
            match each:
                case ast.Name(id="__path__" | "__file__"):
                    yield "."
                case ast.Attribute(value=value, attr="__path__" | "__file__"):
                    yield from self.of(value)
                case ast.Name(id=name) if depth == 0:
                    for bound in self.names.bindings(name):
                        yield from self.walked(bound, 1)
                case _:
                    continue

    def of(self, node: ast.expr) -> Iterator[str]:
        """Yields the modules that a name, or a chain of attributes, may mean."""
        base, _ = split_chain(node)
        if not isinstance(base, ast.Name):
            yield from (["."] if ast.unparse(base) == "sys.modules[__name__]" else [])
            return
        if base.id in self.calls.bindings:
            yield from self.calls.qualified(node)
            return
        for bound in self.names.bindings(base.id):
            match bound:
                case ast.Name(id=name) if name in self.calls.bindings:
                    yield from self.calls.qualified(bound)
                case ast.Subscript():
                    yield from self.of(bound)
                case ast.Call() if not self.calls.qualified(bound.func).isdisjoint(IMPORTERS):
                    for text in self.names.texts(argument_of(bound, 0, "name")):
                        yield from (each for each in self.absolute(text, bound) if ANY not in each)
                case _:
                    continue
