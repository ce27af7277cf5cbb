"""Reads the texts of errors and warnings from raybundle's source, without running it."""

from __future__ import annotations

import ast
import re
from functools import cache
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from raybundle import errors
from raybundle.resolve.collector import uncollected
from raybundle.resolve.evaluate.parsing import children, walk

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SOURCE = Path(errors.__file__).parent
HOLE = "\0"
"""Stands for a value that only a run knows."""
_RAISED = {*vars(errors), "RuntimeError"}
"""Names whose calls have a text for users, even if the text cannot be read."""
_Function = ast.FunctionDef | ast.AsyncFunctionDef


class Said(NamedTuple):
    """A text and its place in the source."""

    where: str
    """`FILE:LINE`."""
    kind: str
    """The exit code of the error, or `warning`; empty for an error of more than one class."""
    text: str


class _Call(NamedTuple):
    call: ast.Call
    name: str
    scope: tuple[ast.AST, ...]
    """The module and the functions around the call, the outermost first."""
    where: str


def said() -> list[Said]:
    """Return every text that an error or a warning can have."""
    return _texts()[0]


def literals() -> set[str]:
    """Return every text of the source, with its holes."""
    return _texts()[1]


@cache
def _texts() -> tuple[list[Said], set[str]]:
    """Return both; the trees, which are a million objects, end here, so that no collection searches them."""
    with uncollected():
        source = _Source(SOURCE)
        return sorted(set(source.said())), set(source.literals())


class _Source:
    def __init__(self, folder: Path) -> None:
        files = sorted(folder.rglob("*.py"))
        self.trees = {file: ast.parse(file.read_text(encoding="utf-8")) for file in files}
        self.known: dict[int, set[str]] = {}
        """The texts of each expression that was asked for, by its identity."""
        self.values: dict[int, dict[str, list[ast.expr]]] = {}
        """The values that each function gives its names, by its identity."""
        self.calls: dict[str, list[_Call]] = {}
        self.raised = set[str]()
        """The names that are called in a `raise`."""
        self.functions: dict[str, list[tuple[_Function, ast.AST]]] = {}
        self.constants: dict[str, list[tuple[ast.expr, ast.AST]]] = {}
        self.gathered: dict[str, list[tuple[ast.expr, tuple[ast.AST, ...]]]] = {}
        """The expressions that are appended to an attribute of a name, or are a key of it."""
        for file, tree in self.trees.items():
            self._index(file.relative_to(folder.parent), tree, (tree,))
        self.kinds = self._kinds()

    def _index(self, file: Path, node: ast.AST, scope: tuple[ast.AST, ...]) -> None:
        for child in children(node):
            if isinstance(child, ast.Call) and (name := _name(child.func)):
                where = f"{file}:{child.lineno}"
                self.calls.setdefault(name, []).append(_Call(child, name, scope, where))
            if isinstance(child, ast.Raise) and isinstance(child.exc, ast.Call):
                self.raised.add(_name(child.exc.func))
            if isinstance(child, _Function):
                self.functions.setdefault(child.name, []).append((child, scope[0]))
            for target, value in _gathered(child):
                if isinstance(target, ast.Attribute):
                    self.gathered.setdefault(target.attr, []).append((value, scope))
            if node is scope[0]:
                for name, value in _assigned(child):
                    self.constants.setdefault(name, []).append((value, scope[0]))
            self._index(file, child, (*scope, child) if isinstance(child, _Function) else scope)

    def _kinds(self) -> dict[str, str]:
        """Return the kind of each class whose objects have a text for users."""
        kinds = {
            "Warning": "warning",
            "warn": "warning",
            "Answer": "2",
            "ArgumentTypeError": "2",
            "reworded": "",
        }
        for name, found in vars(errors).items():
            if isinstance(found, type) and issubclass(found, errors.RaybundleError):
                kinds[name] = str(found.exit_code)
        classes = (node for tree in self.trees.values() for node in walk(tree))
        for node in classes:
            if isinstance(node, ast.ClassDef) and (base := next(map(_name, node.bases), "")) in kinds:
                kinds.setdefault(node.name, kinds[base])
        return kinds

    def said(self) -> Iterator[Said]:
        own = self._of_classes()
        for name in self.kinds.keys() | self.raised:
            for call in self.calls.get(name, ()):
                for kind in self._classes(name, call.scope):
                    yield from self._said(call, self.kinds[kind], own.get(kind, frozenset()))
        for call in self.calls.get("RuntimeError", ()):
            if "/node/" in call.where:
                yield from self._said(call, "22", frozenset())
        for call in self.calls.get("notify", ()):
            for each in self._said(call, "warning", frozenset()):
                text = each.text.removeprefix("warning: ")
                if text != each.text and is_worded(text):
                    yield each._replace(text=text)

    def literals(self) -> Iterator[str]:
        for tree in self.trees.values():
            for node in walk(tree):
                if isinstance(node, ast.Constant | ast.JoinedStr | ast.BinOp):
                    yield from self.texts(node, (tree,))

    def _classes(self, name: str, scope: tuple[ast.AST, ...]) -> set[str]:
        """Return the classes that a name calls: its own, or those that the function around assigns to it."""
        if name in self.kinds:
            return {name}
        assigned = self._values(scope[-1], name)
        chosen = [node for value in assigned if isinstance(value, ast.IfExp) for node in ast.walk(value)]
        return {_name(node) for node in chosen} & set(self.kinds)

    def _said(self, call: _Call, kind: str, own: frozenset[str]) -> Iterator[Said]:
        arguments = [*call.call.args[:1], *(each.value for each in call.call.keywords if each.arg == "text")]
        found = own or {text for each in arguments[:1] for text in self.texts(each, call.scope)}
        worded = set(filter(is_worded, found))
        yield from (
            Said(call.where, kind, text) for text in worded or (found if call.name in _RAISED else ())
        )

    def _of_classes(self) -> dict[str, frozenset[str]]:
        """Return the text that an error class makes from its arguments, if the text is not an argument."""
        nodes = [(node, tree) for tree in self.trees.values() for node in tree.body]
        return {
            node.name: frozenset(self.texts(call.args[0], (tree,)))
            for node, tree in nodes
            if isinstance(node, ast.ClassDef) and node.name in self.kinds
            for call in ast.walk(node)
            if isinstance(call, ast.Call) and _name(call.func) == "__init__"
            if isinstance(call.args[0], ast.JoinedStr)
        }

    def texts(self, node: ast.AST | None, scope: tuple[ast.AST, ...]) -> set[str]:
        """Return the possible texts of an expression, as far as the source tells."""
        if id(node) not in self.known:
            self.known[id(node)] = {HOLE}  # for an expression that is made of itself
            self.known[id(node)] = self._texts(node, scope)
        return self.known[id(node)]

    def _texts(self, node: ast.AST | None, scope: tuple[ast.AST, ...]) -> set[str]:
        match node:
            case ast.Constant(value=str(text)):
                return {text}
            case ast.JoinedStr(values=parts):
                return self._joined(parts, scope)
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                return self._joined([left, right], scope)
            case ast.FormattedValue(value=ast.Name(id=name) as value):
                found = self.texts(value, scope) - {HOLE}
                is_told = name.lstrip("_").isupper() or all(map(is_worded, found))
                return found if found and is_told else {HOLE}
            case ast.Name(id=name):
                return self._named(name, scope)
            case ast.Attribute(attr=name):
                return self._gathered(name, scope)
            case ast.Call():
                return self._called(node, scope)
            case _:
                return self._any(_parts(node), scope)

    def _any(self, nodes: Iterable[ast.AST], scope: tuple[ast.AST, ...]) -> set[str]:
        return {text for node in nodes for text in self.texts(node, scope)} or {HOLE}

    def _joined(self, parts: Iterable[ast.AST], scope: tuple[ast.AST, ...]) -> set[str]:
        choices = [sorted(self.texts(part, scope)) for part in parts]
        return {"".join(each) for each in product(*choices)}

    def _gathered(self, name: str, scope: tuple[ast.AST, ...]) -> set[str]:
        """Return the values put into an attribute of a name, in this module or else in others."""
        known = self.gathered.get(name, [])
        own = [(value, inner) for value, inner in known if inner[0] is scope[0]]
        return set().union(*(self.texts(value, inner) for value, inner in own or known)) or {HOLE}

    def _named(self, name: str, scope: tuple[ast.AST, ...]) -> set[str]:
        """Return the possible values of a name: assigned or filled here, from a caller, or a constant."""
        found = set[str]()
        if (function := scope[-1]) is not scope[0]:
            assigned = self._values(function, name)
            if assigned and all(map(_is_empty, assigned)):
                return self._gathered(name, scope)
            found = self._any(assigned, scope) if assigned else self._given(function, name, scope[0])
        known = [] if found else self.constants.get(name, [])
        own = [(value, tree) for value, tree in known if tree is scope[0]]
        return found.union(*(self.texts(value, (tree,)) for value, tree in own or known)) or {HOLE}

    def _values(self, function: ast.AST, name: str) -> list[ast.expr]:
        """Return the values assigned or appended to a name in a function."""
        if id(function) not in self.values:
            names: dict[str, list[ast.expr]] = {}
            for node in ast.walk(function):
                for key, value in _assigned(node):
                    names.setdefault(key, []).append(value)
            self.values[id(function)] = names
        return self.values[id(function)].get(name, [])

    def _given(self, function: ast.AST, name: str, tree: ast.AST) -> set[str]:
        """Return the arguments that callers pass for a parameter of a function."""
        assert isinstance(function, _Function)
        names = [each.arg for each in (*function.args.posonlyargs, *function.args.args)]
        if name not in names:
            return set()
        place = names.index(name) - _is_method(function)
        found = set[str]()
        for call in self._callers(function, tree):
            given = call.call.args[: place + 1]
            named = [each.value for each in call.call.keywords if each.arg == name]
            if any(isinstance(each, ast.Starred) for each in given):
                found.add(HOLE)
            else:
                found.update(*(self.texts(each, call.scope) for each in [*given[place:], *named][:1]))
        return found

    def _callers(self, function: _Function, tree: ast.AST) -> list[_Call]:
        """Return the calls of a function; only those in its module if others have a function of that name."""
        calls = self.calls.get(function.name, [])
        alike = [
            each for each, _ in self.functions[function.name] if _is_method(each) == _is_method(function)
        ]
        own = [each for each in calls if each.scope[0] is tree]
        return own if own and len(alike) > 1 else calls

    def _called(self, node: ast.Call, scope: tuple[ast.AST, ...]) -> set[str]:
        """Return the possible results of a call: joined lines, a changed text, or a function's results."""
        name = _name(node.func)
        if isinstance(node.func, ast.Attribute) and name in {"join", "replace", "rstrip", "format"}:
            texts = self._any(node.args if name == "join" else [node.func.value], scope)
            return {re.sub(r"\{\w*\}", HOLE, text) for text in texts} if name == "format" else texts
        returned = [
            (each.value, function)
            for function, tree in self.functions.get(name, ())
            if tree is scope[0] and function not in scope
            for each in ast.walk(function)
            if isinstance(each, ast.Return | ast.Yield) and each.value is not None
        ]
        found = (self.texts(value, (scope[0], function)) for value, function in returned)
        return set().union(*found) or {HOLE}


def _name(node: ast.AST) -> str:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""


def _is_empty(value: ast.expr) -> bool:
    """Return whether a value is a list or a mapping that is filled later."""
    return isinstance(value, ast.List | ast.Dict) and not ast.unparse(value)[1:-1]


def _is_method(function: _Function) -> bool:
    return bool(function.args.args) and function.args.args[0].arg in {"self", "cls"}


def _parts(node: ast.AST | None) -> list[ast.expr]:
    """Return the alternatives of an expression, or the elements that it consists of."""
    match node:
        case ast.IfExp(body=body, orelse=other):
            return [body, other]
        case ast.BoolOp(values=values) | ast.List(elts=values) | ast.Tuple(elts=values):
            return values
        case ast.NamedExpr(value=value) | ast.Starred(value=value) | ast.Subscript(value=value):
            return [value]
        case ast.ListComp(elt=value) | ast.GeneratorExp(elt=value):
            return [value]
        case _:
            return []


def _assigned(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """Yield the names that a statement assigns or appends to, with the value."""
    match node:
        case ast.Assign(targets=[ast.Tuple(elts=names)], value=ast.Tuple(elts=values)):
            yield from ((_name(name), value) for name, value in zip(names, values, strict=False))
        case ast.Assign(targets=targets, value=value):
            yield from ((_name(target), value) for target in targets if isinstance(target, ast.Name))
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
            yield name, value
        case ast.NamedExpr(target=ast.Name(id=name), value=value):
            yield name, value
        case ast.AugAssign(target=ast.Name(id=name), op=ast.Add(), value=value):
            yield name, ast.BinOp(ast.Constant(HOLE), ast.Add(), value)
    yield from ((target.id, value) for target, value in _gathered(node) if isinstance(target, ast.Name))


def _gathered(node: ast.AST) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Yield a list and an appended value, or a mapping and a key that is set."""
    match node:
        case ast.Call(func=ast.Attribute(value=target, attr="append"), args=[value]):
            yield target, value
        case ast.Assign(targets=[ast.Subscript(value=target, slice=ast.JoinedStr() as key)]):
            yield target, key


def is_worded(text: str) -> bool:
    """Return whether a text has two words of its own, so that a search can find it."""
    return len(re.findall(r"[A-Za-z_]{2,}", text)) > 1
