"""Sweeps once over the tree of a source: its imports, calls, chains of attributes, and what guards each."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from raybundle.resolve.evaluate.calls import Calls
from raybundle.resolve.evaluate.chains import Aliases, last_name, split_chain
from raybundle.resolve.evaluate.conditions import cases_of, decide
from raybundle.resolve.evaluate.files.reading import READING
from raybundle.resolve.evaluate.targets import pairs
from raybundle.resolve.facts import PLAIN, Attributes, Guard, Import, ModuleText, Statement
from raybundle.resolve.scan import references
from raybundle.resolve.scan.calls import import_calls
from raybundle.resolve.scan.guards import (
    branches_of,
    catches,
    catches_unparsed,
    gives_up,
    in_branch,
    in_function,
    suppresses,
    tried_in,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from raybundle.resolve.interpreter.markers import Environment

_CHAIN_LIMIT = 6
"""Attributes kept of one chain. Deeper packages are not reached as attributes."""

_NEVER_CODE = frozenset(
    [
        *(
            "ctx",
            "op",
            "ops",
            "id",
            "attr",
            "arg",
            "name",
            "names",
            "asname",
            "module",
            "level",
            "kind",
            "rest",
        ),
        *("type_comment", "type_ignores", "annotation", "returns"),
    ]
)
"""Fields of tree nodes that hold neither statements nor expressions. Annotations load nothing."""

_EXPORTS = "__all__"

_TELLING = frozenset({"getattr", "append", "insert", "extend"})
"""Calls that may change `__all__`, or get an attribute by its name."""
_LOGGERS = frozenset({"getLogger", "get_logger"})
"""Calls whose dotted argument names a logger, not a module."""

_CODE_FIELDS = {
    kind: tuple(name for name in kind._fields if name not in _NEVER_CODE)
    for kind in vars(ast).values()
    if isinstance(kind, type) and issubclass(kind, ast.AST) and kind is not ast.Constant
} | {ast.arguments: ("kw_defaults", "defaults")}  # the other fields hold only annotations


def sweep(
    tree: ast.Module, environment: Environment, literals: Mapping[str, str], *, may_ask: bool
) -> _Sweep:
    """Returns what one pass over `tree` finds on the target.

    Args:
        tree: a whole source.
        environment: the target.
        literals: strings of the source that may name modules, and the names in them.
        may_ask: whether a test may ask if a module is installed.
    """
    found = _Sweep(environment, literals, may_ask)
    found.run(tree)
    return found


@dataclass(slots=True)
class _Sweep:
    """One pass over a tree, with a stack of its own: expressions nest deeper than Python's recursion goes."""

    environment: Environment
    literals: Mapping[str, str]
    may_ask: bool
    strings: set[tuple[int, str]] = field(default_factory=set)
    """Those of them that are values, with their line."""
    imports: list[Import] = field(default_factory=list)
    exports: list[ast.expr] = field(default_factory=list)
    """What `__all__` is made of."""
    path_targets: list[ast.expr] = field(default_factory=list)
    chains: dict[tuple[str, tuple[str, ...]], int] = field(default_factory=dict)
    aliases: Aliases = field(default_factory=Aliases)
    """Names that assignments give to modules."""
    calls: Calls = field(
        default_factory=lambda: Calls(import_calls.LAST_NAMES | references.LAST_NAMES, READING)
    )
    stack: list[ast.AST] = field(default_factory=list)
    """Nodes under the current guard."""
    guarded: dict[Guard, list[Any]] = field(default_factory=dict)
    """Nodes under other guards, for later."""

    def run(self, tree: ast.Module) -> None:
        self.guarded[PLAIN] = [tree]
        while self.guarded:
            guard, self.stack = self.guarded.popitem()
            self._sweep(guard)

    def _sweep(self, guard: Guard) -> None:
        """Visits the nodes on the stack. A cold start spends most of its time in this loop."""
        stack = self.stack
        visitors, inner = (_VISITORS_OF_STRINGS, _WITH_STRINGS) if self.literals else (_VISITORS, _INNER)
        while stack:
            node = stack.pop()
            kind = type(node)
            visit = visitors.get(kind)
            if visit is None or visit(self, node, guard):
                for name in _CODE_FIELDS.get(kind, ()):
                    value = getattr(node, name)
                    if type(value) is list:
                        for each in value:  # most lists are short: a comprehension takes longer
                            if type(each) in inner:
                                stack.append(each)
                    elif type(value) in inner:
                        stack.append(value)

    def named_in_strings(self, known: Collection[tuple[int, str]], left: Collection[int]) -> Iterable[Import]:
        """Yields the strings that may name modules, but not those that are `known` or on lines `left` out."""
        for line, name in self.strings:
            if (line, name) not in known and line not in left:
                yield Import(line, ModuleText(name))

    def submodules(self) -> Iterable[Import]:
        """Yields the chains of attributes on imported names: `import a` and `a.b.f()` reach `a.b`."""
        for (name, attributes), line in self.chains.items():
            for target in self.calls.bindings.get(name, ()):
                yield Import(line, Attributes(target, attributes[:_CHAIN_LIMIT]))
            if self.aliases.may_mean(name):
                for target, rest in self.aliases.targets(name, attributes, self.calls.bindings):
                    yield Import(line, Attributes(target, rest[:_CHAIN_LIMIT]))

    def renames(self) -> Iterable[tuple[str, str]]:
        """Yields the names that the source gives to what has another one: `import a.b as c`, `c = a`."""
        bindings = self.calls.bindings
        for name, targets in bindings.items():
            yield from ((name, each) for each in targets if each.rpartition(".")[2] != name)
        for name, start in self.aliases.renamed():
            yield from ((name, each) for each in bindings.get(start, ()))

    def visit_import(self, node: ast.Import, guard: Guard) -> bool:
        self.calls.bind_all(node)
        for alias in node.names:
            self.imports.append(Import(node.lineno, Statement(alias.name), guard))
        return False

    def visit_import_from(self, node: ast.ImportFrom, guard: Guard) -> bool:
        if node.module != "__future__":
            self.calls.bind_all(node)
            name = "." * node.level + (node.module or "")
            members = tuple(alias.name for alias in node.names)
            self.imports.append(Import(node.lineno, Statement(name, members), guard))
        return False

    def _later(self, nodes: Iterable[ast.AST], guard: Guard) -> None:
        self.guarded.setdefault(guard, []).extend(nodes)

    def visit_if(self, node: ast.If, guard: Guard) -> bool:
        holds = decide(node.test, self.environment)
        self.stack.append(node.test)
        if holds is not None:
            _keep(node, holds=holds)
            self.stack += node.body if holds else node.orelse
            return False
        under = branches_of(node.test, guard, may_ask=self.may_ask)
        for nodes, inner in zip((node.body, node.orelse), under, strict=True):
            if inner is guard:
                self.stack += nodes
            else:
                self._later(nodes, inner)
        return False

    def visit_branches(self, node: ast.While | ast.IfExp, guard: Guard) -> bool:
        """`while` and `a if b else c`: a part that may not run is a branch."""
        holds = decide(node.test, self.environment)
        if holds is not None and isinstance(node, ast.IfExp):
            node.body = node.orelse = node.body if holds else node.orelse
            self.stack += [node.test, node.body]
            return False
        if guard.deferred:
            return True
        self.stack.append(node.test)
        for part, runs in ((node.body, holds), (node.orelse, None if holds is None else not holds)):
            nodes = part if isinstance(part, list) else [part]
            if runs:
                self.stack += nodes
            elif runs is None:
                self._later(nodes, in_branch(guard))
        return False

    def visit_alternatives(self, node: ast.BoolOp | ast.Match, guard: Guard) -> bool:
        """`a and b`, `match a`: only the first part is certain to be evaluated."""
        first: ast.expr
        rest: Sequence[ast.AST]
        if isinstance(node, ast.Match):
            node.cases = list(cases_of(node, self.environment))
            first, rest = node.subject, node.cases
        elif guard.deferred:
            return True
        else:
            first, *rest = node.values
        self.stack.append(first)
        self._later(rest, in_branch(guard))
        return False

    def visit_try(self, node: ast.Try, guard: Guard) -> bool:
        catching = [each for each in node.handlers if catches(each)]
        tried = tuple(tried_in(node.body)) if catching else ()
        for handler in node.handlers:
            instead = replace(guard, instead_of=(*guard.instead_of, *tried))
            self._later(handler.body, instead if tried and handler in catching else in_branch(guard))
        self.stack += node.finalbody
        if not catching:
            if any(map(catches_unparsed, node.handlers)):
                self._later([*node.body, *node.orelse], in_branch(guard))
            else:
                self.stack += [*node.body, *node.orelse]
            return False
        if all(map(gives_up, catching)):
            self._later([*node.body, *node.orelse], in_branch(guard))
            return False
        self._later(node.body, replace(guard, optional=True))
        self._later(node.orelse, replace(guard, optional=guard.optional or bool(tried)))
        return False

    def visit_with(self, node: ast.With | ast.AsyncWith, guard: Guard) -> bool:
        if not any(suppresses(item.context_expr) for item in node.items):
            return True
        self._later(node.body, replace(guard, optional=True))
        return False

    def visit_function(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda, guard: Guard) -> bool:
        """A guard around a definition does not guard its calls."""
        inner = in_function(guard)
        if inner is guard:
            return True
        self._later(node.body if isinstance(node.body, list) else [node.body], inner)
        self.stack += [*getattr(node, "decorator_list", ()), node.args]
        return False

    def visit_call(self, node: ast.Call, guard: Guard) -> bool:
        self.calls.add(node, guard)
        name = last_name(node.func)
        if name in _TELLING:
            self._told(node, name)
        if self.literals and name in _LOGGERS:
            self.stack.append(node.func)
            return False
        return True

    def _told(self, node: ast.Call, called: str) -> None:
        """Takes what a call says of `__all__`, and the attribute that it gets by name."""
        match node:
            case ast.Call(func=ast.Name(), args=[value, ast.Constant(value=str(name)), *_]):
                if called == "getattr":
                    self._chain(value, name, node.lineno)
            case ast.Call(func=ast.Attribute(value=ast.Name(id="__all__")), args=values) if (
                called != "getattr"
            ):
                self.exports += values if called == "extend" else [ast.List(values[-1:])]
            case _:
                return

    def visit_constant(self, node: ast.Constant, _: Guard) -> bool:
        if isinstance(node.value, str) and node.value in self.literals:
            self.strings.add((node.lineno, self.literals[node.value]))
        return False

    def visit_expression(self, node: ast.Expr, _: Guard) -> bool:
        """A string on its own is a docstring and names nothing."""
        return not isinstance(node.value, ast.Constant)

    def visit_attribute(self, node: ast.Attribute, _: Guard) -> bool:
        base = self._chain(node.value, node.attr, node.lineno)
        if not isinstance(base, ast.Name):
            self.stack.append(base)
        return False

    def _chain(self, value: ast.expr, attribute: str, line: int) -> ast.expr:
        """Notes a chain of attributes, and returns what it begins with."""
        base, names = split_chain(value)
        start = base.id if isinstance(base, ast.Name) else self.aliases.of_call(base)
        if start:
            chain = (start, (*names, attribute))
            self.chains[chain] = min(line, self.chains.get(chain, line))
        return base

    def visit_assignment(self, node: ast.Assign | ast.AugAssign | ast.AnnAssign, _: Guard) -> bool:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        value = node.value
        if len(targets) == 1 and value is not None:
            self.aliases.add(targets[0], value)
        for target in targets:
            if type(target) is ast.Name:
                if target.id == _EXPORTS and value is not None:
                    self.exports.append(value)
            elif type(target) is not ast.Attribute or target.attr == "path":
                self._part(target, value)
        return True

    def _part(self, target: ast.expr, value: ast.expr | None) -> None:
        """Keeps `a, __all__ = …` and `globals()["__all__"] = …`, and what may be `sys.path`."""
        for each, given in pairs(target, value):
            match each:
                case ast.Name(id=name) | ast.Subscript(slice=ast.Constant(value=name)) if name == _EXPORTS:
                    self.exports += filter(None, [given or value])
                case _:
                    self._path_target(each)

    def visit_delete(self, node: ast.Delete, _: Guard) -> bool:
        for target in node.targets:
            self._path_target(target)
        return True

    def _path_target(self, target: ast.expr) -> None:
        """Keeps what may be `sys.path` under another name, until all bindings of the file are known."""
        match target:
            case ast.Tuple(elts=elements) | ast.List(elts=elements):
                for each in elements:
                    self._path_target(each)
            case ast.Subscript(value=ast.Attribute(attr="path") | ast.Name() as base) | (
                ast.Attribute(attr="path") as base
            ):
                self.path_targets.append(base)
            case _:
                return


def _keep(node: ast.If, *, holds: bool) -> None:
    """Takes the branch that never runs on the target from the tree: nobody reads it."""
    if holds:
        node.orelse = []
    else:
        node.body = [ast.copy_location(ast.Pass(), node)]


_VISITORS: dict[type[ast.AST], Callable[[_Sweep, Any, Guard], bool]] = {
    ast.Attribute: _Sweep.visit_attribute,
    ast.Import: _Sweep.visit_import,
    ast.ImportFrom: _Sweep.visit_import_from,
    ast.If: _Sweep.visit_if,
    ast.Try: _Sweep.visit_try,
    getattr(ast, "TryStar", ast.Try): _Sweep.visit_try,  # Python 3.11, same fields
    ast.With: _Sweep.visit_with,
    ast.AsyncWith: _Sweep.visit_with,
    ast.While: _Sweep.visit_branches,
    ast.IfExp: _Sweep.visit_branches,
    ast.BoolOp: _Sweep.visit_alternatives,
    ast.Match: _Sweep.visit_alternatives,
    ast.Lambda: _Sweep.visit_function,
    ast.FunctionDef: _Sweep.visit_function,
    ast.AsyncFunctionDef: _Sweep.visit_function,
    ast.Call: _Sweep.visit_call,
    ast.Assign: _Sweep.visit_assignment,
    ast.AugAssign: _Sweep.visit_assignment,
    ast.AnnAssign: _Sweep.visit_assignment,
    ast.Delete: _Sweep.visit_delete,
}
"""What to do with a node. A visitor that returns True leaves its children to the loop."""

_VISITORS_OF_STRINGS: dict[type[ast.AST], Callable[[_Sweep, Any, Guard], bool]] = {
    **_VISITORS,
    ast.Constant: _Sweep.visit_constant,
    ast.Expr: _Sweep.visit_expression,
}
"""The same for the few sources whose strings may name modules. Most nodes are constants."""

_INNER = _VISITORS.keys() | {
    kind for kind, names in _CODE_FIELDS.items() if names
}  # neither names nor constants
_WITH_STRINGS = _INNER | _VISITORS_OF_STRINGS.keys()
