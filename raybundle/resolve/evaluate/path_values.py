"""Evaluates the expressions that name directories and modules. No user code runs."""

# Why strings: paths here are the strings that `sys.path` holds; pathlib would cost ten times as much.
# ruff: noqa: PTH112, PTH207, PTH117, PTH118, PTH119, PTH120

from __future__ import annotations

import ast
import os
import re
from dataclasses import dataclass, field
from glob import glob
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, ClassVar, Union

from raybundle.resolve.evaluate.chains import split_chain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

Value = Union[str, int, PurePath, "list[Value]", "dict[str, Value]"]


FIRST = "sys.path[0]"
"""Is the name of the first entry of the path, if it is known."""


class Version(list[Value]):
    """`sys.version_info`; texts that are filled in name its fields."""

    @property
    def major(self) -> Value:
        """3."""
        return self[0]

    @property
    def minor(self) -> Value:
        """Of Python 3.11, 11."""
        return self[1]


class CannotEvaluateError(Exception):
    """Only the running program knows the value. This error does not leave the evaluation of edits."""


@dataclass(slots=True)
class Scope:
    """The known names of a module at one point of its run."""

    cwd: str | None
    """None after a change of directory that cannot be evaluated."""
    names: dict[str, Value]
    modules: dict[str, str] = field(default_factory=dict)
    """What imported names mean, such as `os.path` for `osp`."""
    followed: list[str] = field(default_factory=list)
    """Paths whose links were resolved."""
    version: tuple[int, ...] = ()
    """Of the target's Python. Empty if it must not count."""

    def copy(self) -> Scope:
        """Returns a scope that knows the same names."""
        return Scope(self.cwd, dict(self.names), dict(self.modules), version=self.version)

    def unbind(self, name: str) -> None:
        """Forgets what `name` means."""
        self.names.pop(name, None)
        self.modules.pop(name, None)

    def bind_module(self, name: str, stands_for: str) -> None:
        """Lets `name` mean the module or member `stands_for`."""
        self.unbind(name)
        self.modules[name] = stands_for

    def bind_imported(self, statement: ast.Import | ast.ImportFrom) -> None:
        """Lets names mean what a statement imports."""
        for alias in statement.names:
            if isinstance(statement, ast.ImportFrom):
                self.bind_module(alias.asname or alias.name, f"{statement.module}.{alias.name}")
            else:
                bound = alias.asname or alias.name.partition(".")[0]
                self.bind_module(bound, alias.name if alias.asname else bound)

    def list_of(self, node: ast.expr) -> list[Value]:
        """Returns the value of `node`, which must be a list or a tuple."""
        value = self.value(node)
        if not isinstance(value, list):
            raise CannotEvaluateError
        return value

    def integer(self, node: ast.expr) -> int:
        """Returns the value of `node`, which must be an integer."""
        value = self.value(node)
        if not isinstance(value, int):
            raise CannotEvaluateError
        return value

    def dotted(self, node: ast.expr) -> str:
        """Returns what a name or chain of attributes means, such as `os.path.join`, or nothing."""
        start, names = split_chain(node)
        match start:
            case ast.Name(id=name):
                return ".".join([self.modules.get(name, name), *names])
            case ast.Call(func=ast.Name(id="__import__"), args=[ast.Constant(value=str(name))]):
                return ".".join([name.partition(".")[0], *names])
            case _:
                return ""

    def value(self, node: ast.expr) -> Value:
        """Returns what `node` evaluates to.

        Raises:
            CannotEvaluateError: only the running program knows.
        """
        evaluate = self.forms.get(type(node))
        if evaluate is None:
            raise CannotEvaluateError
        return evaluate(self, node)

    def _constant(self, node: ast.Constant) -> Value:
        if isinstance(node.value, (str, int)):
            return node.value
        raise CannotEvaluateError

    def _name(self, node: ast.Name) -> Value:
        if node.id in self.names:
            return self.names[node.id]
        raise CannotEvaluateError

    def _negative(self, node: ast.UnaryOp) -> Value:
        match node:
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int(value))):
                return -value
            case _:
                raise CannotEvaluateError

    def _list(self, node: ast.List | ast.Tuple) -> Value:
        return [value for each in node.elts for value in self._element(each)]

    def _comprehension(self, node: ast.ListComp | ast.GeneratorExp) -> Value:
        if len(node.generators) != 1:
            raise CannotEvaluateError
        return self._of_each(node.generators[0], node.elt)

    def _dictionary(self, node: ast.Dict) -> Value:
        if None in node.keys:
            raise CannotEvaluateError
        pairs = zip(node.keys, node.values, strict=True)
        return {str(self.value(key)): self.value(value) for key, value in pairs if key is not None}

    def _joined_text(self, node: ast.JoinedStr) -> Value:
        return "".join(str(self.value(each)) for each in node.values)

    def _formatted_value(self, node: ast.FormattedValue) -> Value:
        if node.conversion != -1 or node.format_spec is not None:
            raise CannotEvaluateError
        return self.value(node.value)

    def _operation(self, node: ast.BinOp) -> Value:
        return combined(node.op, self.value(node.left), self.value(node.right))

    def _subscript(self, node: ast.Subscript) -> Value:
        match node:
            case ast.Subscript(value=ast.Attribute(value=path, attr="parents"), slice=index):
                return _parent_at(self._path(path), self.value(index))
            case ast.Subscript() if FIRST in self.names and ast.unparse(node) == FIRST:
                return self.names[FIRST]
            case ast.Subscript(value=values, slice=ast.Slice(lower=None, upper=ast.expr() as end, step=None)):
                return self.list_of(values)[: self.integer(end)]
            case _:
                return _item_at(self.list_of(node.value), self.value(node.slice))

    def _call(self, node: ast.Call) -> Value:
        if node.keywords:
            raise CannotEvaluateError
        return self._function(node.func, [self.value(each) for each in node.args])

    def _of_each(self, loop: ast.comprehension, part: ast.expr) -> list[Value]:
        """Returns the values of `part` in a loop over a known list."""
        if loop.ifs or not isinstance(loop.target, ast.Name):
            raise CannotEvaluateError
        names, values = self.names, list[Value]()
        try:
            for each in self.list_of(loop.iter):
                self.names = {**names, loop.target.id: each}
                values.append(self.value(part))
        finally:
            self.names = names
        return values

    def _element(self, node: ast.expr) -> list[Value]:
        return self.list_of(node.value) if isinstance(node, ast.Starred) else [self.value(node)]

    def _attribute(self, node: ast.Attribute) -> Value:
        dotted = self.dotted(node)
        if dotted in _CONSTANTS:
            return _CONSTANTS[dotted]
        if self.version and dotted == "sys.version_info":
            return Version(self.version)
        if self.version and dotted.startswith("sys.version_info.m"):
            return self.version[("major", "minor", "micro").index(node.attr)]
        if node.attr == "parent":
            return self._path(node.value).parent
        raise CannotEvaluateError

    def _function(self, function: ast.expr, arguments: list[Value]) -> Value:
        match self.dotted(function), function, arguments:
            # The finder knows the other places of such a package.
            case "list" | "tuple" | "sorted" | "pkgutil.extend_path" as name, _, [list() as values, *_]:
                return sorted(values, key=str) if name == "sorted" else list(values)
            case _, ast.Attribute(value=table, attr="items" | "values" | "keys" as part), []:
                return _items_of(self.value(table), part)
            case "enumerate" | "zip" as name, _, [list(), *_]:
                lists = [each for each in arguments if isinstance(each, list)]
                return [
                    [*row]
                    for row in (enumerate(lists[0]) if name == "enumerate" else zip(*lists, strict=False))
                ]
            case _, ast.Attribute(value=ast.Constant(value=str(form)), attr="format"), _:
                return _formatted(form, arguments)
            case dotted, _, _:
                known = self._known_function(dotted)
        if known is None and isinstance(function, ast.Attribute):
            if function.attr in _SPLITS and isinstance(text := self.value(function.value), str):
                return _split(text, function.attr, arguments)
            return self._method(self._path(function.value), function.attr, arguments)
        if known is None or not all(isinstance(each, (str, PurePath)) for each in arguments):
            raise CannotEvaluateError
        try:
            return known(*arguments)
        except (TypeError, ValueError) as error:
            raise CannotEvaluateError from error

    def _known_function(self, dotted: str) -> Callable[..., Value] | None:
        match dotted:
            case "os.path.abspath":
                return lambda path: os.path.normpath(self.absolute(path))
            case "os.path.realpath":
                return self._real
            case "os.getcwd":
                return self._directory
            case "pathlib.Path.cwd":
                return lambda: PurePath(self._directory())
            case "os.listdir":
                return lambda path: [each.name for each in self._directories(str(path), "*")]
            case "glob.glob":
                return lambda form: [*map(str, self._directories("", str(form)))]
            case _:
                return _FUNCTIONS.get(dotted)

    def absolute(self, path: str | PurePath) -> str:
        """Returns `path` from the current directory on, with links and `..`."""
        if os.path.isabs(path):
            return str(path)
        return os.path.join(self._directory(), path)

    def _real(self, path: str | PurePath) -> str:
        self.followed.append(self.absolute(path))  # `..` after a link leads up from the link's target
        return os.path.realpath(self.absolute(path))

    def _directory(self) -> str:
        if self.cwd is None:
            raise CannotEvaluateError
        return self.cwd

    def _method(self, path: PurePath, name: str, arguments: list[Value]) -> Value:
        match name, arguments:
            case "resolve", []:
                return PurePath(self._real(path))
            case "absolute", []:
                return PurePath(self._directory()) / path
            case "as_posix" | "__str__", []:
                return str(path)
            case "iterdir", []:
                return [*self._directories(str(path), "*")]
            case "glob", [str(pattern)]:
                return [*self._directories(str(path), pattern)]
            case "joinpath", _ if all(isinstance(each, (str, PurePath)) for each in arguments):
                return path.joinpath(*map(str, arguments))
            case _:
                raise CannotEvaluateError

    def _directories(self, base: str, pattern: str) -> Iterator[PurePath]:
        """Yields the directories that match, in order: nothing else in a listing is a place for modules."""
        whole = self.absolute(os.path.join(base, pattern))
        fixed = re.split(r"[*?\[]", whole, maxsplit=1)[0].rpartition("/")[0]
        if not os.path.isdir(fixed) or "**" in pattern:
            raise CannotEvaluateError
        yield from (PurePath(each) for each in sorted(glob(whole)) if os.path.isdir(each))

    def _path(self, node: ast.expr) -> PurePath:
        value = self.value(node)
        if not isinstance(value, PurePath):
            raise CannotEvaluateError
        return value

    forms: ClassVar[Mapping[type[ast.expr], Callable[[Any, Any], Value]]] = {
        ast.Constant: _constant,
        ast.Name: _name,
        ast.UnaryOp: _negative,
        ast.List: _list,
        ast.Tuple: _list,
        ast.ListComp: _comprehension,
        ast.GeneratorExp: _comprehension,
        ast.Dict: _dictionary,
        ast.JoinedStr: _joined_text,
        ast.FormattedValue: _formatted_value,
        ast.BinOp: _operation,
        ast.Attribute: _attribute,
        ast.Subscript: _subscript,
        ast.Call: _call,
    }
    """How each form of expression is evaluated. A `match` over all takes longer than most evaluations."""


_CONSTANTS = {"os.pardir": os.pardir, "os.curdir": os.curdir, "os.sep": os.sep, "os.path.sep": os.sep}
_FUNCTIONS: dict[str, Callable[..., Value]] = {
    "os.path.join": lambda *parts: os.path.join(*map(str, parts)),
    "os.path.dirname": lambda path: os.path.dirname(str(path)),
    "os.path.basename": lambda path: os.path.basename(str(path)),
    "os.path.split": lambda path: list(os.path.split(str(path))),
    "os.path.normpath": lambda path: os.path.normpath(str(path)),
    "os.fspath": str,
    "str": str,
    "pathlib.Path": PurePath,
    "pathlib.PurePath": PurePath,
}
"""Functions whose value depends on their arguments alone."""

_SPLITS = frozenset({"split", "rsplit", "partition", "rpartition"})


def _split(text: str, method: str, arguments: list[Value]) -> list[Value]:
    """Returns the parts of a text."""
    try:
        return [*getattr(text, method)(*arguments)]
    except (TypeError, ValueError) as error:
        raise CannotEvaluateError from error


def combined(op: ast.operator, left: Value, right: Value) -> Value:
    """Returns the sum of two values, the path of two parts, or a format that is filled.

    Raises:
        CannotEvaluateError: the operator means something else for them.
    """
    match op, left, right:
        case ast.Mod(), str(), (str() | int() | list()):
            return _filled(left, right)
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


def _formatted(form: str, values: list[Value]) -> str:
    try:
        return form.format(*values)
    except (LookupError, ValueError, AttributeError, TypeError) as error:
        raise CannotEvaluateError from error


def _filled(form: str, values: str | int | list[Value]) -> str:
    try:
        return form % (tuple(values) if isinstance(values, list) else values)
    except (TypeError, ValueError) as error:
        raise CannotEvaluateError from error


def _items_of(value: Value, part: str) -> list[Value]:
    if not isinstance(value, dict):
        raise CannotEvaluateError
    if part == "items":
        return [[key, each] for key, each in value.items()]
    return [*value.values()] if part == "values" else [*value]


def _item_at(values: list[Value], index: Value) -> Value:
    if not isinstance(index, int) or not -len(values) <= index < len(values):
        raise CannotEvaluateError
    return values[index]


def _parent_at(path: PurePath, index: Value) -> PurePath:
    parents = path.parents
    if not isinstance(index, int) or not 0 <= index < len(parents):
        raise CannotEvaluateError
    return parents[index]
