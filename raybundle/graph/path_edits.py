"""Evaluates the edits of `sys.path` at the top of a driver from its tree; nothing of the user's runs."""

# Why strings: paths here are the strings that `sys.path` holds; pathlib would cost ten times as much.
# ruff: noqa: PTH118, PTH120

from __future__ import annotations

import ast
import os
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import TYPE_CHECKING, Union

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

Value = Union[str, int, PurePath, "list[Value]"]


class CannotEvaluateError(Exception):
    """An expression that only the running program knows; never leaves this module."""


@dataclass(frozen=True, slots=True)
class Edit:
    """One directory that the driver puts on `sys.path`."""

    directory: str
    """Absolute."""
    index: int | None
    """As given to `insert`; None at the end."""
    line: int
    unless_present: bool = False


@dataclass(frozen=True, slots=True)
class Edits:
    """What the driver does to `sys.path`, in order."""

    edits: tuple[Edit, ...] = ()
    lines: frozenset[int] = frozenset()
    """Lines that were understood, also where they edit nothing."""


def evaluate(tree: ast.Module, file: str, cwd: str) -> Edits:
    """Return the edits at the top level of `tree`, the source of `file`, run in directory `cwd`."""
    driver = _Driver(cwd, {"__file__": file, "__name__": "__main__"})
    driver.run(tree.body)
    return Edits(tuple(driver.edits), frozenset(driver.lines))


def edited(path: Sequence[str], edits: Iterable[Edit]) -> list[str]:
    """Return `path` after `edits`; of a directory that is there twice, the first counts."""
    result = list(path)
    for edit in edits:
        if edit.unless_present and edit.directory in result:
            continue
        result.insert(len(result) if edit.index is None else edit.index, edit.directory)
    return list(dict.fromkeys(result))


@dataclass(slots=True)
class _Driver:
    cwd: str
    names: dict[str, Value]
    modules: dict[str, str] = field(default_factory=dict)
    """What imported names stand for: `osp` for `os.path`."""
    edits: list[Edit] = field(default_factory=list)
    lines: set[int] = field(default_factory=set)

    def run(self, body: Iterable[ast.stmt], *, unless_present: bool = False) -> None:
        for statement in body:
            try:
                self._run(statement, unless_present)
            except CannotEvaluateError:  # noqa: PERF203 - each statement stands for itself
                continue

    def _run(  # noqa: C901 - one case per form of statement
        self, statement: ast.stmt, unless_present: bool
    ) -> None:
        match statement:
            case ast.Import(names=names):
                for alias in names:
                    bound = alias.asname or alias.name.partition(".")[0]
                    self.modules[bound] = alias.name if alias.asname else bound
            case ast.ImportFrom(module=str(module), names=names, level=0):
                for alias in names:
                    self.modules[alias.asname or alias.name] = f"{module}.{alias.name}"
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                self._assign(name, value)
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                self._assign(name, value)
            case ast.AugAssign(target=target, op=ast.Add(), value=value) if (
                self._dotted(target) == "sys.path"
            ):
                self._extend(self._value(value), statement.lineno, unless_present)
            case ast.Expr(value=ast.Call() as call):
                self._call(call, unless_present)
            case ast.If(test=test, body=body):
                self._if(test, body, unless_present)
            case ast.For(target=ast.Name(id=name), iter=values, body=body):
                self._for(name, values, body, unless_present)
            case ast.Try(body=body) | ast.With(body=body):
                self.run(body, unless_present=unless_present)
            case _:
                return

    def _assign(self, name: str, node: ast.expr) -> None:
        self.names.pop(name, None)
        self.names[name] = self._value(node)

    def _call(self, call: ast.Call, unless_present: bool) -> None:
        match self._dotted(call.func), call.args:
            case "sys.path.append" | "site.addsitedir", [directory]:
                self._edit(self._value(directory), None, call.lineno, unless_present)
            case "sys.path.extend", [directories]:
                self._extend(self._value(directories), call.lineno, unless_present)
            case "sys.path.insert", [position, directory]:
                index = self._value(position)
                if not isinstance(index, int):
                    raise CannotEvaluateError
                self._edit(self._value(directory), index, call.lineno, unless_present)
            case _:
                return

    def _if(self, test: ast.expr, body: list[ast.stmt], unless_present: bool) -> None:
        match test:
            case ast.Compare(ops=[ast.NotIn()], comparators=[right]) if self._dotted(right) == "sys.path":
                self.run(body, unless_present=True)
            case ast.Compare(left=ast.Name(id="__name__"), ops=[ast.Eq()]):
                self.run(body, unless_present=unless_present)
            case _:
                return

    def _for(self, name: str, values: ast.expr, body: list[ast.stmt], unless_present: bool) -> None:
        directories = self._value(values)
        if not isinstance(directories, list):
            raise CannotEvaluateError
        for each in directories:
            self.names[name] = each
            self.run(body, unless_present=unless_present)

    def _extend(self, directories: Value, line: int, unless_present: bool) -> None:
        if not isinstance(directories, list):
            raise CannotEvaluateError
        for each in directories:
            self._edit(each, None, line, unless_present)

    def _edit(self, directory: Value, index: int | None, line: int, unless_present: bool) -> None:
        if not isinstance(directory, (str, PurePath)):
            raise CannotEvaluateError
        absolute = os.path.normpath(os.path.join(self.cwd, directory))
        self.lines.add(line)
        self.edits.append(Edit(absolute, index, line, unless_present))

    def _dotted(self, node: ast.expr) -> str:
        names: list[str] = []
        while isinstance(node, ast.Attribute):
            names.insert(0, node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return ""
        return ".".join([self.modules.get(node.id, node.id), *names])

    def _value(self, node: ast.expr) -> Value:  # noqa: C901 - one case per form of expression
        match node:
            case ast.Constant(value=str() | int() as value):
                return value
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int(value))):
                return -value
            case ast.Name(id=name) if name in self.names:
                return self.names[name]
            case ast.List(elts=elements) | ast.Tuple(elts=elements):
                return [self._value(each) for each in elements]
            case ast.JoinedStr(values=parts):
                return "".join(str(self._value(each)) for each in parts)
            case ast.FormattedValue(value=value, conversion=-1, format_spec=None):
                return self._value(value)
            case ast.BinOp(left=left, op=op, right=right):
                return _combined(op, self._value(left), self._value(right))
            case ast.Attribute():
                return self._attribute(node)
            case ast.Subscript(value=ast.Attribute(value=path, attr="parents"), slice=index):
                return _parent_at(self._path(path), self._value(index))
            case ast.Call(func=function, args=arguments, keywords=[]):
                return self._function(function, [self._value(each) for each in arguments])
            case _:
                raise CannotEvaluateError

    def _attribute(self, node: ast.Attribute) -> Value:
        constants = {"os.pardir": os.pardir, "os.curdir": os.curdir, "os.sep": os.sep, "os.path.sep": os.sep}
        dotted = self._dotted(node)
        if dotted in constants:
            return constants[dotted]
        if node.attr == "parent":
            return self._path(node.value).parent
        raise CannotEvaluateError

    def _function(self, function: ast.expr, arguments: list[Value]) -> Value:
        known = self._known_functions().get(self._dotted(function))
        if known is None and isinstance(function, ast.Attribute):
            return self._method(self._path(function.value), function.attr, arguments)
        if known is None or not all(isinstance(each, (str, PurePath)) for each in arguments):
            raise CannotEvaluateError
        try:
            return known(*arguments)
        except (TypeError, ValueError) as error:
            raise CannotEvaluateError from error

    def _known_functions(self) -> dict[str, Callable[..., Value]]:
        return {
            "os.path.join": lambda *parts: os.path.join(*map(str, parts)),
            "os.path.dirname": lambda path: os.path.dirname(str(path)),
            "os.path.normpath": lambda path: os.path.normpath(str(path)),
            "os.path.abspath": self._absolute,
            "os.path.realpath": lambda path: os.path.realpath(self._absolute(path)),
            "os.getcwd": lambda: self.cwd,
            "os.fspath": str,
            "str": str,
            "pathlib.Path": PurePath,
            "pathlib.PurePath": PurePath,
            "pathlib.Path.cwd": lambda: PurePath(self.cwd),
        }

    def _absolute(self, path: str | PurePath) -> str:
        return os.path.normpath(os.path.join(self.cwd, path))

    def _method(self, path: PurePath, name: str, arguments: list[Value]) -> Value:
        match name, arguments:
            case "resolve", []:
                return PurePath(os.path.realpath(self._absolute(path)))
            case "absolute", []:
                return PurePath(self.cwd) / path
            case "as_posix" | "__str__", []:
                return str(path)
            case "joinpath", _ if all(isinstance(each, (str, PurePath)) for each in arguments):
                return path.joinpath(*map(str, arguments))
            case _:
                raise CannotEvaluateError

    def _path(self, node: ast.expr) -> PurePath:
        value = self._value(node)
        if not isinstance(value, PurePath):
            raise CannotEvaluateError
        return value


def _combined(op: ast.operator, left: Value, right: Value) -> Value:
    match op, left, right:
        case ast.Div(), PurePath(), (str() | PurePath()):
            return left / right
        case ast.Div(), str(), PurePath():
            return left / right
        case ast.Add(), str(), str():
            return left + right
        case ast.Add(), list(), list():
            return left + right
        case _:
            raise CannotEvaluateError


def _parent_at(path: PurePath, index: Value) -> PurePath:
    parents = path.parents
    if not isinstance(index, int) or not 0 <= index < len(parents):
        raise CannotEvaluateError
    return parents[index]
