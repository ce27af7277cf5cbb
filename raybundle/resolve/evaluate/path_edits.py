"""Evaluates the edits of `sys.path` in the tree of a module. No user code runs."""

# Why strings: paths here are the strings that `sys.path` holds; pathlib would cost ten times as much.
# ruff: noqa: PTH112, PTH118

from __future__ import annotations

import ast
import os
from dataclasses import dataclass, field
from itertools import count
from pathlib import PurePath
from typing import TYPE_CHECKING

from raybundle.resolve.evaluate.chains import last_name
from raybundle.resolve.evaluate.edits import AbsenceTest, Edit, Edits
from raybundle.resolve.evaluate.parsing import nodes_of, walk
from raybundle.resolve.evaluate.path_values import FIRST, CannotEvaluateError, Scope
from raybundle.resolve.evaluate.sys_path import adders_in, around, is_context, named_in_path_files, patched
from raybundle.resolve.evaluate.targets import changed_anywhere, pairs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from raybundle.resolve.evaluate.path_values import Value

_MOST_CALLS = 64
"""Calls of own functions that are evaluated, with those in their bodies."""
_KNOWN_MODULES = frozenset({"sys", "os", "pathlib", "site"})
"""Modules whose members may get another name: `insert = sys.path.insert`."""


def evaluate(
    tree: ast.Module, file: str, cwd: str, version: tuple[int, ...] = (), first: str | None = None
) -> Edits:
    """Returns the edits at the top level of the driver's `tree`, runs as `file` in directory `cwd`.

    `first` is the first entry of the path before any edit.
    """
    names: dict[str, Value] = {"__file__": file, "__name__": "__main__"}
    scope = Scope(cwd, names if first is None else {**names, FIRST: first}, version=version)
    statements = Statements(scope, changed_anywhere(tree), adders=frozenset(adders_in(tree)))
    statements.run(tree.body)
    return edits_of(tree, statements)


def edits_of(tree: ast.Module, run: Statements) -> Edits:
    """Returns what the statements of `tree`, which are in `run`, did to `sys.path`."""
    names = {getattr(each, "attr", getattr(each, "name", None)) for each in walk(tree)}
    of_adders = (lines for name, lines in adders_in(tree).items() if name in run.followed)
    understood = frozenset(run.lines - run.doubted).union(*of_adders)
    return Edits(
        tuple(run.edits),
        understood,
        tuple(run.scope.followed),
        reads_files="addsitedir" in names,
        possible=frozenset(each for each in _possible(tree, run) if each[0] not in understood),
    )


def _possible(tree: ast.Module, run: Statements) -> Iterator[tuple[int, str]]:
    """Yields line and directory of the edits in functions and branches, as if each ran at the end."""
    for node in walk(tree):
        bodies = [getattr(node, name, []) for name in ("body", "orelse") if node is not tree]
        scope = run.scope.copy()
        for each in walk(node.args) if isinstance(node, ast.FunctionDef) else ():
            if isinstance(each, ast.arg):
                scope.unbind(each.arg)
        for body in (each for each in bodies if isinstance(each, list)):
            inner = Statements(scope, run.volatile)
            inner.run(body)
            yield from ((edit.line, edit.directory) for edit in inner.edits)


class _Returned(Exception):  # noqa: N818 - a jump, not an error
    """A function returns. It does not leave the evaluation of a call."""


@dataclass(slots=True)
class Statements:
    """Runs the statements of a module for their effect on `sys.path`."""

    scope: Scope
    volatile: frozenset[str] = frozenset()
    """Names that may change at any time."""
    adders: frozenset[str] = frozenset()
    """Functions and classes, also of other modules, that put what they are given on `sys.path`."""
    followed: set[str] = field(default_factory=set)
    """Those of them that got a directory."""
    edits: list[Edit] = field(default_factory=list)
    lines: set[int] = field(default_factory=set)
    relative: set[int] = field(default_factory=set)
    """Lines that add a directory relative to the current one."""
    doubted: set[int] = field(default_factory=set)
    unless: AbsenceTest | None = None
    numbers: Iterator[int] = field(default_factory=count)
    functions: dict[str, ast.FunctionDef] = field(default_factory=dict)
    """Functions of the module that its later statements may call."""
    depth: int = 0
    """Calls around the current statement."""
    calls: int = 0
    """Calls of these functions until now."""

    def run(self, body: Iterable[ast.stmt]) -> bool:
        """Runs a body. Returns whether all its statements are assignments that were understood."""
        assigned = True
        for statement in body:
            assigned = assigned and isinstance(statement, (ast.Assign, ast.AnnAssign, ast.AugAssign))
            try:
                self._run(statement)
            except CannotEvaluateError:
                self._forget(statement)
                assigned = False
        return assigned

    def _forget(self, *statements: ast.AST) -> None:
        """Forgets the names that `statements` bind, and the current directory if they may change it."""
        for statement in statements:
            for node in nodes_of(statement):
                match node:
                    case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
                        self.scope.unbind(name)
                    case (
                        ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name)
                    ):
                        self.scope.unbind(name)
                    case ast.Call(func=function) if self.scope.dotted(function) == "os.chdir":
                        self._change_directory(None)

    def _change_directory(self, directory: str | None) -> None:
        self.scope.cwd = directory
        self.doubted |= self.relative  # they mean the current directory at the time of each import

    def _run(self, statement: ast.stmt) -> None:  # noqa: C901, PLR0912 - one case per form of statement
        match statement:
            case ast.Import() | ast.ImportFrom(level=0):
                self.scope.bind_imported(statement)
            case ast.Assign(targets=targets, value=value):
                self._assign(targets, value)
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                self._assign([target], value)
            case ast.AugAssign(target=target, op=ast.Add(), value=value) if (
                self.scope.dotted(target) == "sys.path"
            ):
                self._extend(self.scope.list_of(value), statement.lineno)
            case ast.AugAssign(target=ast.Name(id=name) as target, op=op, value=value):
                self._assign([target], ast.BinOp(ast.Name(name, ast.Load()), op, value))
            case ast.Expr(value=ast.Call() as call):
                self._call(call)
            case ast.FunctionDef(name=name, decorator_list=marks) if all(map(is_context, marks)):
                self._forget(statement)
                self.functions[name] = statement
            case ast.Delete(targets=[ast.Subscript(value=path)]) if self.scope.dotted(path) == "sys.path":
                self._take_back(statement.lineno)
            case ast.Return() if self.depth:
                raise _Returned
            case ast.If(test=test, body=body, orelse=otherwise):
                self._if(test, body, otherwise)
            case ast.For(target=target, iter=values, body=body, orelse=[]):
                self._for(target, values, body)
            case ast.Try(body=body, handlers=handlers, orelse=otherwise, finalbody=final):
                if not self.run(body):
                    self._forget(*handlers)
                self.run([*otherwise, *final])
            case ast.With(items=items, body=body):
                self._forget(*items)
                self.run([*(ast.Expr(each.context_expr) for each in items), *body])
            case _:
                self._forget(statement)

    def _assign(self, targets: list[ast.expr], node: ast.expr) -> None:
        match targets:
            case [ast.Attribute() as target] if self.scope.dotted(target) == "sys.path":
                self._rearrange(node)
            case [ast.Subscript(value=value, slice=index)] if self.scope.dotted(value) == "sys.path":
                self._assign_item(index, node)
            case _ if all(isinstance(target, ast.Name) for target in targets):
                names = [target.id for target in targets if isinstance(target, ast.Name)]
                self._assign_names(names, node)
            case [ast.Tuple() | ast.List() as target]:
                self._assign_parts(target, node)
            case _:
                raise CannotEvaluateError

    def _assign_names(self, names: list[str], node: ast.expr) -> None:
        try:
            value = self.scope.value(node)
        except CannotEvaluateError:
            dotted = self.scope.dotted(node)
            if dotted.partition(".")[0] not in _KNOWN_MODULES:
                raise
            for name in names:
                self.scope.bind_module(name, dotted)
            return
        for name in names:
            self.scope.unbind(name)
            if name not in self.volatile:
                self.scope.names[name] = value

    def _assign_parts(self, target: ast.Tuple | ast.List, node: ast.expr) -> None:
        """Runs `a, b = x, y`. All values are known before the first name is bound."""
        values = {}
        for each, given in pairs(target, node):
            if not isinstance(each, ast.Name):
                raise CannotEvaluateError
            values[each.id] = None if given is None else self._value_if_known(given)
        for name, value in values.items():
            self.scope.unbind(name)
            if value is not None and name not in self.volatile:
                self.scope.names[name] = value

    def _value_if_known(self, node: ast.expr) -> Value | None:
        try:
            return self.scope.value(node)
        except CannotEvaluateError:
            return None

    def _assign_item(self, index: ast.expr, node: ast.expr) -> None:
        """Runs `sys.path[:0] = […]`, `sys.path[:] = […, *sys.path]` or `sys.path[0] = …`."""
        match index:
            case ast.Slice(lower=None, upper=None, step=None):
                self._rearrange(node)
            case ast.Slice(lower=None, upper=ast.Constant(value=0), step=None):
                self._insert_all(self.scope.list_of(node), node.lineno)
            case ast.Slice(
                lower=ast.Constant(value=int(place)), upper=ast.Constant(value=int(end)), step=None
            ) if place == end:
                self._insert_all(self.scope.list_of(node), node.lineno, place)
            case ast.Slice():
                raise CannotEvaluateError
            case _:
                self._edit(self.scope.value(node), self.scope.integer(index), node.lineno, replaces=True)

    def _rearrange(self, node: ast.expr) -> None:
        """Runs `sys.path = a + sys.path + b`, whose parts are lists, or the same with stars."""
        before, after = around(node, self.scope)
        self._insert_all(before, node.lineno)
        self._extend(after, node.lineno)

    def _call(self, call: ast.Call) -> None:
        match self.scope.dotted(call.func), call.args:
            case "sys.path.append", [directory]:
                self._edit(self.scope.value(directory), None, call.lineno)
            case "site.addsitedir", [directory]:
                self._add_site(str(self.scope.value(directory)), call.lineno)
            case "sys.path.extend", [directories]:
                self._extend(self.scope.list_of(directories), call.lineno)
            case "sys.path.insert", [position, directory]:
                self._edit(self.scope.value(directory), self.scope.integer(position), call.lineno)
            case "os.chdir", [directory]:
                self._change_directory(self.scope.absolute(str(self.scope.value(directory))))
            case "sys.path.remove" | "sys.path.pop", _:
                self._take_back(call.lineno)
            case name, _ if name in self.functions and self.calls < _MOST_CALLS:
                self._call_own(self.functions[name], call)
            case _:
                self._enter(call)

    def _take_back(self, line: int) -> None:
        """Lets a directory that was added stay: it does no harm that later imports find it as well."""
        if not self.edits:
            raise CannotEvaluateError
        self.lines.add(line)

    def _enter(self, call: ast.Call) -> None:
        """Runs what changes the path for a while, or puts on it what it is given."""
        match last_name(call.func), call.args:
            case "enter_context", [ast.Call() as inner]:
                self._call(inner)
            case "syspath_prepend", [directory]:
                self._edit(str(self.scope.value(directory)), 0, call.lineno)
            case name, _ if name in self.adders:
                self._give(name, call)
            case _ if value := patched(call):
                self._rearrange(value)
                self.lines.add(call.lineno)
            case _:
                return

    def _give(self, adder: str, call: ast.Call) -> None:
        """Adds the directories that a call gives."""
        given = (self._value_if_known(each) for each in (*call.args, *(each.value for each in call.keywords)))
        for each in (one for value in given for one in (value if isinstance(value, list) else [value])):
            if isinstance(each, (str, PurePath)):
                directory = self.scope.absolute(each)
                self.scope.followed.append(directory)
                if os.path.isdir(directory):
                    self.edits.append(Edit(directory, 0, call.lineno, given=True))
                    self.followed.add(adder)

    def _call_own(self, function: ast.FunctionDef, call: ast.Call) -> None:
        """Runs the body of a function of the module with the arguments of a call."""
        values = dict(self._arguments(function.args, call))
        names, modules = dict(self.scope.names), dict(self.scope.modules)
        for name, value in values.items():
            self.scope.unbind(name)
            if value is not None:
                self.scope.names[name] = value
        self.depth, self.calls = self.depth + 1, self.calls + 1
        try:
            self.run(function.body)
        except _Returned:
            pass
        finally:
            self.depth -= 1
            self.scope.names, self.scope.modules = names, modules

    def _arguments(self, taken: ast.arguments, call: ast.Call) -> Iterator[tuple[str, Value | None]]:
        if taken.vararg or taken.kwarg or any(isinstance(each, ast.Starred) for each in call.args):
            raise CannotEvaluateError
        plain = [each.arg for each in (*taken.posonlyargs, *taken.args)]
        defaults = [*zip(plain[len(plain) - len(taken.defaults) :], taken.defaults, strict=True)]
        defaults += [
            (each.arg, value)
            for each, value in zip(taken.kwonlyargs, taken.kw_defaults, strict=True)
            if value is not None
        ]
        given = [
            *zip(plain, call.args, strict=False),
            *((each.arg or "", each.value) for each in call.keywords),
        ]
        for name, node in (*defaults, *given):
            yield name, self._value_if_known(node)

    def _add_site(self, directory: str, line: int) -> None:
        """Adds `directory` if it is not there, then what its `.pth` files name (`site.addpackage`)."""
        absolute = os.path.normpath(self.scope.absolute(directory))
        try:
            added = [absolute, *named_in_path_files(absolute)]
        except OSError as error:
            raise CannotEvaluateError from error
        for each in added:
            self.edits.append(Edit(each, None, line, self.unless or AbsenceTest(each, next(self.numbers))))
        self.lines.add(line)

    def _if(self, test: ast.expr, body: list[ast.stmt], otherwise: list[ast.stmt]) -> None:
        match test:
            case ast.Compare(left=left, ops=[ast.NotIn()], comparators=[right]) if (
                self.scope.dotted(right) == "sys.path" and self.unless is None
            ):
                directory = os.path.join(self.scope.cwd or "", str(self.scope.value(left)))
                self.unless = AbsenceTest(directory, next(self.numbers))
                try:
                    self.run(body)
                finally:  # also if the body returns from a function of the module
                    self.unless = None
                self._forget(*body, *otherwise)
            case ast.Compare(
                left=ast.Name(id="__name__"), ops=[ast.Eq()], comparators=[ast.Constant(value=name)]
            ):
                runs = name == self.scope.names.get("__name__")
                skipped = otherwise if runs else body if name == "__main__" else []
                self.lines |= {getattr(each, "lineno", 0) for one in skipped for each in walk(one)}
                self.run(body if runs else otherwise)
            case _:
                raise CannotEvaluateError

    def _for(self, target: ast.expr, values: ast.expr, body: list[ast.stmt]) -> None:
        rounds = self.scope.list_of(values)
        if any(isinstance(each, (ast.Break, ast.Continue)) for one in body for each in nodes_of(one)):
            raise CannotEvaluateError
        for each in rounds:
            self._bind(target, each)
            self.run(body)

    def _bind(self, target: ast.expr, value: Value) -> None:
        """Binds the names of a loop to the values of one round."""
        match target, value:
            case ast.Name(id=name), _:
                self.scope.unbind(name)
                self.scope.names[name] = value
            case ast.Tuple(elts=names), list() if len(names) == len(value):
                for each, part in zip(names, value, strict=True):
                    self._bind(each, part)
            case _:
                raise CannotEvaluateError

    def _extend(self, directories: list[Value], line: int) -> None:
        for each in directories:
            self._edit(each, None, line)

    def _insert_all(self, directories: list[Value], line: int, place: int = 0) -> None:
        for position, each in enumerate(directories, place):
            self._edit(each, position, line)

    def _edit(self, directory: Value, index: int | None, line: int, *, replaces: bool = False) -> None:
        """Notes one edit. Python looks for modules only in entries that are strings, not in a `Path`."""
        if not isinstance(directory, str):
            raise CannotEvaluateError
        absolute = self.scope.absolute(directory)
        if absolute != directory:
            self.relative.add(line)
        self.lines.add(line)
        if index == 0 and FIRST in self.scope.names:
            self.scope.names[FIRST] = directory
        self.edits.append(Edit(absolute, index, line, self.unless, replaces))
