"""Runs the statements of a source for the values that names may have, whichever branches run."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from raybundle.resolve.evaluate.chains import last_name
from raybundle.resolve.evaluate.name_values import ANY
from raybundle.resolve.evaluate.path_edits import Statements
from raybundle.resolve.evaluate.symbolic import SymbolicScope

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from raybundle.resolve.evaluate.path_values import Value


_FEW = 16
"""Items of a list that count one by one in a loop; more may be added to it anywhere."""


class BothBranches(Statements):
    """Runs all branches of a condition, and the body of a loop. All their paths may be read."""

    scope: SymbolicScope

    def _run(self, statement: ast.stmt) -> None:
        match statement:
            case ast.Expr(value=ast.Call(func=ast.Attribute(attr="add_argument")) as call):
                self._option(call)
            case ast.Expr(value=ast.Call() as call):
                self._variables(call)
                super()._run(statement)
            case ast.If(body=body, orelse=otherwise):
                self._either(body, otherwise)
            case ast.Match(cases=cases):
                self._either([], *(each.body for each in cases))
            case ast.While(body=body, orelse=otherwise):
                self._either([], body)
                self.run(otherwise)
            case ast.Try(body=body, handlers=handlers, orelse=otherwise, finalbody=final):
                self.run([*body, *otherwise])
                self._either([], *(each.body for each in handlers))
                self.run(final)
            case _:
                super()._run(statement)

    def _option(self, call: ast.Call) -> None:
        """Notes the default of an option of the job, which the arguments have as an attribute."""
        for name, default in default_of_option(call):
            self.scope.add_member(name, self.scope.ways(default))

    def _variables(self, call: ast.Call) -> None:
        """Notes the variables of the environment that a call sets, and their values."""
        match self.scope.dotted(call.func), call.args:
            case "os.environ.setdefault" | "os.putenv", [name, value]:
                self._variable(name, value)
            case "os.environ.update", [ast.Dict(keys=keys, values=values)]:
                for key, value in zip(keys, values, strict=True):
                    self._variable(key or ast.Name(""), value)
            case "os.environ.update", []:
                for each in call.keywords:
                    self._variable(ast.Constant(each.arg), each.value)
            case _:
                return

    def _variable(self, name: ast.expr, value: ast.expr) -> None:
        if isinstance(name, ast.Constant) and isinstance(name.value, str):
            self.scope.add_member(f"${name.value}", self.scope.ways(value))

    def _either(self, *bodies: list[ast.stmt]) -> None:
        """Runs bodies of which one runs: a name has all values that any of them leaves it with."""
        before, ends = self.scope.state(), list[SymbolicScope]()
        for body in bodies:
            self.scope.restore(before)
            self.run(body)
            ends.append(self.scope.state())
        for name in dict.fromkeys(name for end in ends for name in end.names):
            if any(end.differs(before, name) for end in ends):
                values: list[Value | None] = []
                for end in ends:
                    values += [each for each in end.ways_of(name) if each not in values]
                self.scope.bind(name, values)

    def _assign_names(self, names: list[str], node: ast.expr) -> None:
        values = self.scope.ways(node)
        if all(each is None for each in values):
            super()._assign_names(names, node)
            return
        for name in names:
            self.scope.bind(name, [] if name in self.volatile else values)

    def _assign(self, targets: list[ast.expr], node: ast.expr) -> None:
        match targets:
            case [ast.Attribute(value=ast.Name(id="self" | "cls"), attr=name)]:
                self.scope.add_member(name, self.scope.ways(node))
            case [ast.Subscript(value=table, slice=name)] if self.scope.dotted(table) == "os.environ":
                self._variable(name, node)
            case _:
                super()._assign(targets, node)

    def _for(self, target: ast.expr, values: ast.expr, body: list[ast.stmt]) -> None:
        """Runs a body in which the names of the loop have any value."""
        bind_items(self.scope, target, values)
        self._either([], body)

    def _call_own(self, function: ast.FunctionDef, call: ast.Call) -> None:
        """Does nothing: bodies of functions are visited by themselves."""

    def _forget(self, *statements: ast.AST) -> None:
        for each in statements:
            match each:
                case ast.For(body=body, orelse=otherwise):
                    self._either([], [*body, *otherwise])
                case (
                    ast.Assign(targets=[ast.Name(id=name)])
                    | ast.AnnAssign(target=ast.Name(id=name))
                    | ast.FunctionDef(name=name)
                    | ast.ClassDef(name=name)
                ):
                    self.scope.unbind(name)
                case _:
                    continue


def bind_items(scope: SymbolicScope, target: ast.expr, values: ast.expr) -> None:
    """Lets the names of a loop have the items of a list or the keys of a table."""
    items: list[Value] = []
    for each in scope.values(values):
        items += each if isinstance(each, (list, dict)) else []
    _bind_each(scope, target, items)


def _bind_each(scope: SymbolicScope, target: ast.expr, items: list[Value]) -> None:
    match target:
        case ast.Name(id=name):
            is_text = items and all(isinstance(each, str) for each in items)
            few = items if len(items) <= _FEW else []
            scope.bind(name, [*([ANY] if is_text else []), *few])
        case ast.Tuple(elts=parts) | ast.List(elts=parts):
            rows = [each for each in items if isinstance(each, list) and len(each) == len(parts)]
            for number, part in enumerate(parts):
                _bind_each(scope, part, [row[number] for row in rows])
        case _:
            pass


def returning(statements: Iterable[ast.stmt]) -> Iterator[tuple[str, ast.FunctionDef]]:
    """Yields the functions that only return a value, also those that `partial` makes."""
    for each in statements:
        match each:
            case ast.Assign(
                targets=[ast.Name(id=name)],
                value=ast.Call(func=function, args=[called, *values], keywords=[]),
            ) if last_name(function) == "partial":
                rest = ast.arguments([], [], ast.arg("rest"), [], [], None, [])
                parts = [*values, ast.Starred(ast.Name("rest", ast.Load()), ast.Load())]
                yield name, ast.FunctionDef(name, rest, [ast.Return(ast.Call(called, parts, []))], [])
            case (
                ast.FunctionDef(name=name, decorator_list=[], body=[ast.Return()])
                | ast.FunctionDef(name=name, decorator_list=[], body=[ast.Expr(ast.Constant()), ast.Return()])
            ):
                yield name, each
            case _:
                continue


def default_of_option(call: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    """Yields the names that an option of argparse or click has in the code, and its default."""
    if isinstance(call, ast.Call):
        names = [str(each.value) for each in call.args if isinstance(each, ast.Constant)]
        for default in (each.value for each in call.keywords if each.arg == "default"):
            yield from ((name.lstrip("-").replace("-", "_"), default) for name in names)
