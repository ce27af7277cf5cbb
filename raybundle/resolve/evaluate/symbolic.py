"""Evaluates paths from unknown directories: that of the file, and the one where the job starts."""

# Why strings: paths here are compared with those of the finder; pathlib would cost ten times as much.
# ruff: noqa: PTH118

from __future__ import annotations

import ast
import os
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING

from raybundle.resolve.evaluate.name_values import ANY
from raybundle.resolve.evaluate.path_edits import Statements
from raybundle.resolve.evaluate.path_values import CannotEvaluateError, Scope

if TYPE_CHECKING:
    from raybundle.resolve.evaluate.path_values import Value

_DEEP = 24
"""Directories above a file that an expression may climb."""
HERE = "/\x01" * _DEEP
"""Stands for the directory of the file."""
START = "/\x02" * _DEEP
"""Stands for the directory in which the job runs."""


class BothBranches(Statements):
    """Runs both branches of a condition, and the body of a loop. All their paths may be read."""

    def _for(self, target: ast.expr, values: ast.expr, body: list[ast.stmt]) -> None:
        """Run a body in which the names of the loop have any value."""
        try:
            is_text = all(isinstance(each, str) for each in self.scope.list_of(values))
        except CannotEvaluateError:
            is_text = False
        self._forget(target)
        if is_text and isinstance(target, ast.Name):
            self.scope.names[target.id] = ANY
        self.run(body)

    def _call_own(self, function: ast.FunctionDef, call: ast.Call) -> None:
        """Do nothing: bodies of functions are visited by themselves."""

    def _forget(self, *statements: ast.AST) -> None:
        for each in statements:
            match each:
                case ast.If(body=body, orelse=otherwise) | ast.For(body=body, orelse=otherwise):
                    self.run([*body, *otherwise])
                case (
                    ast.Assign(targets=[ast.Name(id=name)])
                    | ast.FunctionDef(name=name)
                    | ast.ClassDef(name=name)
                ):
                    self.scope.unbind(name)
                case _:
                    continue


@dataclass(slots=True)
class SymbolicScope(Scope):
    """Names with paths from unknown directories, and `*` for each part that only the running program knows.

    The disk is not touched, and no link is followed: nodes have none.
    """

    def value(self, node: ast.expr) -> Value:
        """Return what `node` evaluates to, as `Scope` does."""
        match node:
            case ast.FormattedValue(value=inner):
                return self._text(inner)
            case ast.BinOp(left=left, op=ast.Div() | ast.Add() | ast.Mod() as op, right=right):
                return self._joined(node, self.value(left), op, right)
            case ast.Call(func=ast.Attribute(value=receiver, attr=method), args=arguments) if (
                method in _METHODS
            ):
                return self._called(node, receiver, method, arguments)
            case ast.Call(func=function, args=[first, *parts]) if self.dotted(function) == "os.path.join":
                return os.path.join(str(self.value(first)), *map(self._text, parts))
            case _:
                # Slots make a new class, which `super()` does not find.
                return super(SymbolicScope, self).value(node)

    def _joined(self, node: ast.BinOp, left: Value, op: ast.operator, right: ast.expr) -> Value:
        match left, op:
            case PurePath(), ast.Div():
                return left / self._text(right)
            case str(), ast.Add():
                return left + self._text(right)
            case str(), ast.Mod():
                return left
            case _:
                return super(SymbolicScope, self).value(node)

    def _called(self, node: ast.Call, receiver: ast.expr, method: str, arguments: list[ast.expr]) -> Value:
        match method, self.value(receiver), list(map(self._text, arguments)):
            case "format", str(form), _:
                return form
            case "glob", PurePath() as path, [pattern, *_]:
                return path / pattern
            case "rglob", PurePath() as path, [pattern, *_]:
                return path / "**" / pattern
            case "joinpath", PurePath() as path, parts:
                return path.joinpath(*parts)
            case "with_name", PurePath() as path, [name]:
                return path.parent / name
            case "resolve" | "absolute" | "expanduser", PurePath() as path, _:
                return PurePath(self._real(path)) if HERE in str(path) else path
            case _:
                return super(SymbolicScope, self).value(node)

    def _text(self, node: ast.expr) -> str:
        try:
            value = self.value(node)
        except CannotEvaluateError:
            return ANY
        return str(value) if isinstance(value, (str, PurePath)) else ANY

    def _real(self, path: str | PurePath) -> str:
        return os.path.normpath(self.absolute(path))


_METHODS = frozenset(
    ["format", "glob", "rglob", "joinpath", "with_name", "resolve", "absolute", "expanduser"]
)
