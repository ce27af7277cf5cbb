"""Evaluates paths from unknown directories: that of the file, and the one where the job starts."""

# Why strings: paths here are compared with those of the finder; pathlib would cost ten times as much.
# ruff: noqa: PTH118, PTH120

from __future__ import annotations

import ast
import os
import re
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, ClassVar

from raybundle.resolve.evaluate.calls import argument_of
from raybundle.resolve.evaluate.chains import last_name
from raybundle.resolve.evaluate.name_values import ANY
from raybundle.resolve.evaluate.path_values import CannotEvaluateError, Scope, combined

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from raybundle.resolve.evaluate.path_values import Value

_DEEP = 24
"""Directories above a file that an expression may climb."""
_DEFAULTS = frozenset({"Field", "field", "Option", "Argument"})
"""Calls that mean the default of an attribute or a parameter."""
_DEPTH = 3
"""Calls of own functions, one in the other."""
_MOST = 64
"""Values that an expression may have."""
HERE = "/\x01" * _DEEP
"""Stands for the directory of the file."""
START = "/\x02" * _DEEP
"""Stands for the directory in which the job runs."""


@dataclass(slots=True)
class SymbolicScope(Scope):
    """Names with paths from unknown directories, and `*` for each part that only the running program knows.

    The disk is not touched, and no link is followed: nodes have none. Where an expression may have one of
    several values, `value` returns the one that `ways` asks for, else the first.
    """

    others: dict[str, tuple[Value | None, ...]] = field(default_factory=dict)
    """Further values that a name may have. None means those that only the running program knows."""
    members: dict[str, list[Value | None]] = field(default_factory=dict)
    """Values that classes of the file, and their methods, give to attributes; the same for all scopes."""
    functions: dict[str, ast.FunctionDef] = field(default_factory=dict)
    """Functions of the file that only return a value; the same for all scopes."""
    _depth: int = 0
    """Calls of these functions around the current expression."""
    _asked: tuple[int, ...] = ()
    """The alternatives to take, in the order in which they are met."""
    _met: list[int] = field(default_factory=list)
    """How many alternatives there were at each place."""

    def ways(self, node: ast.expr) -> list[Value | None]:
        """Returns all that `node` may evaluate to; None means what only the running program knows."""
        found: list[Value | None] = []
        waiting: list[tuple[int, ...]] = [()]
        for _ in range(_MOST):
            if not waiting:
                break
            self._asked, self._met = waiting.pop(), []
            try:
                value: Value | None = self.value(node)
            except CannotEvaluateError:
                value = None
            if value not in found:
                found.append(value)
            for place in range(len(self._asked), len(self._met)):
                before = (*self._asked, *[0] * (place - len(self._asked)))
                waiting += [(*before, choice) for choice in range(1, self._met[place])]
        self._asked, self._met = (), []
        return found if not waiting else [*found, None]

    def values(self, node: ast.expr) -> list[Value]:
        """Returns the known values that `node` may have."""
        return [each for each in self.ways(node) if each is not None]

    def ways_of(self, name: str) -> tuple[Value | None, ...]:
        """Returns all values of a name."""
        return (self.names[name], *self.others.get(name, ())) if name in self.names else (None,)

    def differs(self, before: SymbolicScope, name: str) -> bool:
        """Returns whether a name was bound since an earlier state."""
        return self.names.get(name) is not before.names.get(name) or self.others.get(
            name, ()
        ) is not before.others.get(name, ())

    def bind(self, name: str, values: Iterable[Value | None]) -> None:
        """Lets `name` have one of some values."""
        self.unbind(name)
        ordered = sorted(values, key=lambda each: each is None)
        if ordered and ordered[0] is not None:
            self.names[name], self.others[name] = ordered[0], tuple(ordered[1:_MOST])

    def unbind(self, name: str) -> None:
        """Forgets what `name` means."""
        Scope.unbind(self, name)  # slots make a new class, which `super()` does not find
        self.others.pop(name, None)

    def add_member(self, name: str, values: Iterable[Value | None]) -> None:
        """Notes values that an attribute may have."""
        known = self.members.setdefault(name, [])
        known += [each for each in values if each not in known]

    def state(self) -> SymbolicScope:
        """Returns a scope of its own with the same names."""
        names, modules = dict(self.names), dict(self.modules)
        others, members, functions = dict(self.others), self.members, self.functions
        return SymbolicScope(
            self.cwd, names, modules, others=others, members=members, functions=functions, _depth=self._depth
        )

    def restore(self, before: SymbolicScope) -> None:
        """Returns to the names of an earlier state."""
        state = before.state()
        self.names, self.modules, self.others = state.names, state.modules, state.others

    def _one_of(self, values: Sequence[Value | None]) -> Value:
        value = values[self._choice(len(values))] if values else None
        if value is None:
            raise CannotEvaluateError
        return value

    def _choice(self, number: int) -> int:
        place = len(self._met)
        self._met.append(number)
        return self._asked[place] if place < len(self._asked) else 0

    def _constant(self, node: ast.Constant) -> Value:
        if isinstance(node.value, bytes):
            return os.fsdecode(node.value)
        return super(SymbolicScope, self)._constant(node)

    def _name(self, node: ast.Name) -> Value:
        if self.others.get(node.id):
            return self._one_of(self.ways_of(node.id))
        return super(SymbolicScope, self)._name(node)  # slots make a new class, which `super()` does not find

    def _alternative(self, node: ast.IfExp) -> Value:
        return self.value([node.body, node.orelse][self._choice(2)])

    def _first_true(self, node: ast.BoolOp) -> Value:
        if not isinstance(node.op, ast.Or):
            raise CannotEvaluateError
        return self.value(node.values[self._choice(len(node.values))])

    def _renamed(self, node: ast.NamedExpr) -> Value:
        return self.value(node.value)

    def _subscript(self, node: ast.Subscript) -> Value:
        if self._is_own_file(node):
            return self.value(_OWN)
        return self._item(node, node.value, node.slice)

    def _attribute(self, node: ast.Attribute) -> Value:
        if self._is_own_file(node):
            return self.value(_OWN)
        try:
            return super(SymbolicScope, self)._attribute(node)
        except CannotEvaluateError:
            if node.attr not in self.members:
                raise
            return self._one_of(self.members[node.attr])

    def _formatted_value(self, node: ast.FormattedValue) -> Value:
        return self._text(node.value)

    def _operation(self, node: ast.BinOp) -> Value:
        if isinstance(node.op, (ast.Div, ast.Add, ast.Mod)):
            return self._joined(self.value(node.left), node.op, node.right)
        return super(SymbolicScope, self)._operation(node)

    def _call(self, node: ast.Call) -> Value:
        dotted = self.dotted(node.func)
        if dotted in _FILE_OF:
            return self.value(_OWN)
        match node:
            case ast.Call(func=ast.Attribute(value=table, attr="get" | "pop"), args=[key, *default]):
                return self._default(node, table, key, default)
            case ast.Call(args=[name, *default]) if dotted == "os.getenv":
                return self._variable(self.value(name), default)
            case ast.Call(args=[text]) if dotted in _WITH_NAMES:
                known = self._variable if dotted == "os.path.expandvars" else lambda _: ANY
                return _NAME.sub(lambda found: str(known(found[1])), str(self.value(text)))
            case ast.Call(func=function) if last_name(function) in _DEFAULTS and (node.args or node.keywords):
                return self.value(argument_of(node, 0, "default") or ast.Name(""))
            case ast.Call(func=ast.Name(id=name)) if name in self.functions and self._depth < _DEPTH:
                return self._returned(self.functions[name], node)
            case ast.Call(func=ast.Attribute(value=receiver, attr=method)) if method in _METHODS:
                return self._called(node, receiver, method, node.args)
            case ast.Call(args=[_, *_] as parts) if dotted == "os.path.join":
                return self._path_of(parts)
            case ast.Call(args=[_, _, *_] as parts) if dotted == "pathlib.Path":
                return PurePath(self._path_of(parts))
            case _:
                return super(SymbolicScope, self)._call(node)

    def _is_own_file(self, node: ast.Subscript | ast.Attribute) -> bool:
        """Returns whether an expression means the file of the source, or the script that runs."""
        match node:
            case ast.Subscript(value=ast.Call(func=ast.Name(id="globals")), slice=ast.Constant(value=name)):
                return name == "__file__"
            case ast.Subscript(value=ast.Subscript(value=frames), slice=ast.Constant(value=1)):
                return isinstance(frames, ast.Call) and self.dotted(frames.func) == "inspect.stack"
            case ast.Subscript(value=table, slice=ast.Constant(value=0)):
                return self.dotted(table) == "sys.argv"
            case ast.Attribute(value=ast.Subscript(value=modules), attr="__file__"):
                return self.dotted(modules) == "sys.modules"
            case ast.Attribute(value=ast.Subscript(value=ast.Call(func=function)), attr="filename"):
                return self.dotted(function) == "inspect.stack"
            case ast.Attribute(attr=attribute) if attribute in _OF_FILES:
                return attribute == "co_filename" or self.dotted(node) in _OWN_FILE
            case _:
                return False

    def _item(self, node: ast.Subscript | ast.Call, table: ast.expr, index: ast.expr) -> Value:
        """Returns an item of a table; any of its items if the key is not known."""
        if isinstance(index, ast.Constant) and index.value == 0 and self.dotted(table) == "sys.path":
            return os.path.dirname(str(self.value(_OWN)))
        if isinstance(table, ast.Attribute) and table.attr == "parents":
            return Scope.forms[type(node)](self, node)
        if self.dotted(table) == "os.environ":
            return self._variable(self.value(index))
        values = self.value(table)
        if not isinstance(values, (dict, list)):
            raise CannotEvaluateError
        try:
            key = self.value(index)
        except CannotEvaluateError:
            key = None
        match values, key:
            case dict(), str() if key in values:
                return values[key]
            case list(), int() if -len(values) <= key < len(values):
                return values[key]
            case _:
                return self._one_of([*values.values()] if isinstance(values, dict) else values)

    def _default(self, node: ast.Call, table: ast.expr, key: ast.expr, default: list[ast.expr]) -> Value:
        if self.dotted(table) == "os.environ":
            return self._variable(self.value(key), default)
        if default and self._choice(2):
            return self.value(default[0])
        return self._item(node, table, key)

    def _variable(self, name: Value, default: Sequence[ast.expr] = ()) -> Value:
        """Returns what a variable of the environment has: what the source sets, or the default."""
        known = self.members.get(f"${name}", [])
        if default and (not known or self._choice(2)):
            return self.value(default[0])
        return self._one_of(known)

    def _joined(self, left: Value, op: ast.operator, right: ast.expr) -> Value:
        match left, op:
            case PurePath(), ast.Div():
                return left / self._text(right)
            case str(), ast.Add():
                return left + self._text(right)
            case str(), ast.Mod():
                return left
            case _:
                return combined(op, left, self.value(right))

    def _called(self, node: ast.Call, receiver: ast.expr, method: str, arguments: list[ast.expr]) -> Value:
        match method, self.value(receiver), list(map(self._text, arguments)):
            case "format" | "substitute" | "safe_substitute", str(form), _:
                return form
            case "glob" | "rglob", PurePath() as path, [pattern, *_]:
                return path / ("**" if method == "rglob" else "") / pattern
            case "joinpath", PurePath() as path, parts:
                return path.joinpath(*parts)
            case "with_name", PurePath() as path, [name]:
                return path.parent / name
            case "with_suffix" | "with_stem", PurePath() as path, [text] if path.name and ANY not in text:
                return path.parent / (path.stem + text if method == "with_suffix" else text + path.suffix)
            case "replace" | "removesuffix" | "strip" | "rstrip" | "lower", str() as value, parts:
                return _changed(value, method, parts)
            case "resolve" | "absolute" | "expanduser", PurePath() as path, _:
                return PurePath(self._real(path)) if HERE in str(path) else path
            case _:
                return super(SymbolicScope, self)._call(node)

    def _path_of(self, parts: list[ast.expr]) -> str:
        first = parts[0] if isinstance(parts[0], ast.Starred) else None
        known = [] if first else [str(self.value(parts[0]))]
        texts = [*known, *self._texts(parts if first else parts[1:])]
        if not texts or texts[0] == ANY:
            raise CannotEvaluateError
        return os.path.join(*texts)

    def _texts(self, nodes: Iterable[ast.expr]) -> Iterator[str]:
        for each in nodes:
            if isinstance(each, ast.Starred) and isinstance(each.value, ast.Name):
                values = self.names.get(each.value.id)
                yield from map(str, values) if isinstance(values, list) else [ANY]
            else:
                yield self._text(each)

    def _returned(self, function: ast.FunctionDef, call: ast.Call) -> Value:
        """Returns what a function of the file returns, with the arguments of a call."""
        inner, taken = self.state(), function.args
        for parameter in (each.arg for each in ast.walk(taken) if isinstance(each, ast.arg)):
            inner.unbind(parameter)
        positional = [each.arg for each in (*taken.posonlyargs, *taken.args)]
        given = [
            *zip(positional, call.args, strict=False),
            *((each.arg or "", each.value) for each in call.keywords),
        ]
        defaults = [*zip(positional[::-1], taken.defaults[::-1], strict=False)]
        for name, node in (*defaults, *given):
            with suppress(CannotEvaluateError):
                inner.names[name] = self.value(node)
        if taken.vararg:
            rest: list[Value] = [self._text(each) for each in call.args[len(positional) :]]
            inner.names[taken.vararg.arg] = rest
        body = function.body[-1]
        if not isinstance(body, ast.Return) or body.value is None:
            raise CannotEvaluateError
        before = (self.names, self.modules, self.others)
        self.names, self.modules, self.others = inner.names, inner.modules, inner.others
        self._depth += 1
        try:
            return self.value(body.value)
        finally:
            self.names, self.modules, self.others = before
            self._depth -= 1

    def _text(self, node: ast.expr) -> str:
        try:
            value = self.value(node)
        except CannotEvaluateError:
            if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):  # `name + ".py"`
                return (self._text(node.left) + self._text(node.right)).replace(ANY + ANY, ANY)
            return ANY
        return str(value) if isinstance(value, (str, PurePath)) else ANY

    def _real(self, path: str | PurePath) -> str:
        return os.path.normpath(self.absolute(path))

    forms: ClassVar[Mapping[type[ast.expr], Callable[[Any, Any], Value]]] = {
        **Scope.forms,
        ast.Constant: _constant,
        ast.Name: _name,
        ast.IfExp: _alternative,
        ast.BoolOp: _first_true,
        ast.NamedExpr: _renamed,
        ast.Subscript: _subscript,
        ast.Attribute: _attribute,
        ast.FormattedValue: _formatted_value,
        ast.BinOp: _operation,
        ast.Call: _call,
    }


_OWN = ast.Name("__file__")
_OF_FILES = frozenset({"__file__", "co_filename", "origin"})
"""Attributes whose value may be the file of the source."""
_OWN_FILE = frozenset({"__main__.__file__", "__spec__.origin"})
_FILE_OF = frozenset({"inspect.getfile", "inspect.getsourcefile", "inspect.getabsfile"})
"""Calls that are given something of the source itself, as far as a path is made of what they return."""
_WITH_NAMES = frozenset({"os.path.expandvars", "string.Template"})
"""Calls that are given a text with `$name` or `${name}`."""
_NAME = re.compile(r"\$(?=\{?(\w+))(?:\w+|\{\w+\})")
_METHODS = frozenset(
    [
        *("format", "glob", "rglob", "joinpath", "with_name", "resolve", "absolute", "expanduser"),
        *(
            "substitute",
            "safe_substitute",
            "with_suffix",
            "with_stem",
            "replace",
            "removesuffix",
            "strip",
            "rstrip",
            "lower",
        ),
    ]
)


def _changed(value: str, method: str, parts: list[str]) -> str:
    """Returns what a method makes of a text."""
    if any(ANY in each for each in (value, *parts)):
        raise CannotEvaluateError
    try:
        changed: str = getattr(value, method)(*parts)
    except TypeError as error:
        raise CannotEvaluateError from error
    return changed
