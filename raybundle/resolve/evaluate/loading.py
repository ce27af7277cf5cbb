"""Evaluates what a module does to the import system as it loads: `sys.path`, `__path__` and `sys.modules`."""

# Why strings: paths here are the strings that `sys.path` holds; pathlib would cost ten times as much.
# ruff: noqa: PTH120

from __future__ import annotations

import ast
import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from raybundle.dotted import absolute
from raybundle.resolve.evaluate.chains import split_chain
from raybundle.resolve.evaluate.edits import Edit, Edits
from raybundle.resolve.evaluate.files.children import paths_of_children
from raybundle.resolve.evaluate.parsing import nodes_of, walk
from raybundle.resolve.evaluate.path_edits import Statements, edits_of
from raybundle.resolve.evaluate.path_values import CannotEvaluateError, Scope
from raybundle.resolve.evaluate.sys_path import adders_in
from raybundle.resolve.evaluate.targets import changed_anywhere

if TYPE_CHECKING:
    from raybundle.resolve.evaluate.path_values import Value

_REWIRES = re.compile(
    rb"__path__\s*(?:=[^=]|\+=|\[)|__path__\.(?:append|insert|extend|remove)\b"
    rb"|\bmodules\[[^\n]*\]\s*=[^=]|\bmodules\.(?:setdefault|update)\b"
    rb"|\bPYTHONPATH\b"
)
_REWIRING = (b"__path__", b"modules", b"PYTHONPATH")
"""One of them is in each match: looking for plain bytes is many times as fast."""
_STARTS = re.compile(rb"['\"\s]-m['\"\s]")
"""Stands in a source that starts a module in a process of its own."""
_IN_DIRECTORY = re.compile(rb"\bcwd\s*=[^=]")
_IMPORTERS = frozenset({"importlib.import_module", "import_module", "__import__"})
_OWN_PATH = "__path__"
_CHANGES = re.compile(r"\.__path__\.(append|insert|extend)\Z")
"""Ends what extends the `__path__` of another package."""
_ALL = "sys.modules"


@dataclass(frozen=True, slots=True)
class Loaded:
    """What the import system is like once a module has loaded."""

    edits: Edits = field(default_factory=Edits)
    own_path: tuple[str, ...] | None = None
    """The `__path__` that the module sets. None if it does not change it."""
    doubtful: tuple[int, ...] = ()
    """Lines that change `__path__` in a way that only the running program knows."""
    aliases: tuple[tuple[str, str], ...] = ()
    """Names that the module puts into `sys.modules`, and the module that each means. Empty if the value
    is another object."""
    others: tuple[tuple[str, str], ...] = ()
    """Other packages whose `__path__` it extends, and the directories."""
    adders: tuple[tuple[str, frozenset[int]], ...] = ()
    """Functions and classes that put on `sys.path` what they are given, and the lines that do."""
    followed: frozenset[str] = frozenset()
    """Names of those, also of other modules, that the module gives a directory."""
    of_children: tuple[Edit, ...] = ()
    """Directories in which its child processes look for modules."""


def rewiring_lines(source: bytes, words: bytes) -> set[int]:
    """Returns the lines of a source that may change `__path__`, `sys.modules`, or the path of a child."""
    forms = [_REWIRES] if any(word in words for word in _REWIRING) else []
    forms += [_IN_DIRECTORY] if b"cwd" in words and _STARTS.search(source) else []
    return {source.count(b"\n", 0, found.start()) + 1 for each in forms for found in each.finditer(source)}


def loaded(
    tree: ast.Module, scope: Scope, *, is_package: bool, adders: frozenset[str] = frozenset()
) -> Loaded:
    """Returns what loading a module does, without running it.

    Args:
        tree: of the module.
        scope: knows its file and name.
        is_package: whether it is a package.
        adders: functions and classes of other modules that put on `sys.path` what they are given.
    """
    name, directory = str(scope.names["__name__"]), os.path.dirname(str(scope.names["__file__"]))
    own: list[Value] = [directory]
    if is_package:
        scope.names[_OWN_PATH] = list(own)
    package = name if is_package else name.rpartition(".")[0]
    own_adders = adders_in(tree)
    adders = adders.union(own_adders)
    run = _Loading(scope, changed_anywhere(tree), package=package, adders=adders)
    run.run(tree.body)
    path = scope.names.get(_OWN_PATH)
    in_functions = _Loading(scope.copy(), run.volatile, package=package)
    of_children = list(paths_of_children(tree, scope))
    for each in walk(tree):
        if isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef)):
            in_functions.run(each.body)
            of_children += paths_of_children(each, in_functions.scope)
    places = tuple(os.path.normpath(str(each)) for each in path) if isinstance(path, list) else ()
    return Loaded(
        edits_of(tree, run),
        places if places not in {(), (os.path.normpath(directory),)} else None,
        tuple(sorted(run.doubtful)),
        tuple({**in_functions.aliases, **run.aliases}.items()),
        tuple(run.others),
        tuple(own_adders.items()),
        frozenset(run.followed),
        tuple(dict.fromkeys(of_children)),
    )


@dataclass(slots=True)
class _Loading(Statements):
    package: str = ""
    aliases: dict[str, str] = field(default_factory=dict)
    doubtful: set[int] = field(default_factory=set)
    others: list[tuple[str, str]] = field(default_factory=list)

    def _run(self, statement: ast.stmt) -> None:
        match statement:
            case ast.ImportFrom(module=module, names=names, level=level) if level:
                for alias in names:
                    relative = "." * level + (f"{module}." if module else "") + alias.name
                    whole = absolute(relative, self.package)
                    if whole is not None:
                        self.scope.bind_module(alias.asname or alias.name, whole)
            case ast.AugAssign(target=ast.Attribute(attr="__path__") as target, op=ast.Add(), value=value):
                self._extend_other(self.scope.dotted(target), self.scope.list_of(value))
            case _:
                super(_Loading, self)._run(statement)  # slots make a new class, which `super()` does not find

    def _assign(self, targets: list[ast.expr], node: ast.expr) -> None:
        match targets:
            case [ast.Subscript(value=value, slice=key)] if self.scope.dotted(value) == _ALL:
                self._alias(str(self.scope.value(key)), node)
            case [ast.Subscript(value=ast.Name(id="__path__"), slice=index)]:
                self._place(index, self.scope.value(node))
            case [ast.Name(id=name)] if module := self._imported(node):
                self.scope.bind_module(name, module)
            case _:
                super(_Loading, self)._assign(targets, node)

    def _place(self, index: ast.expr, value: Value) -> None:
        own = self._own_path()
        match index, value:
            case ast.Slice(lower=None, upper=None, step=None), list():
                own[:] = value
            case ast.Slice(lower=None | ast.Constant(value=0), upper=ast.Constant(value=0)), list():
                own[:0] = value
            case ast.Constant(value=int(position)), _ if position < len(own):
                own[position] = value
            case _:
                raise CannotEvaluateError

    def _own_path(self) -> list[Value]:
        return self.scope.list_of(ast.Name(_OWN_PATH, ast.Load()))

    def _call(self, call: ast.Call) -> None:
        match self.scope.dotted(call.func), call.args:
            case "__path__.append", [directory]:
                self._own_path().append(self.scope.value(directory))
            case "__path__.insert", [position, directory]:
                self._own_path().insert(self.scope.integer(position), self.scope.value(directory))
            case "__path__.extend", [directories]:
                self._own_path().extend(self.scope.list_of(directories))
            case "__path__.remove" | "__path__.pop" | "__path__.clear", _:
                raise CannotEvaluateError
            case dotted, [*_, given] if method := _CHANGES.search(dotted):
                value = self.scope.value(given)
                values = self.scope.list_of(given) if method[1] == "extend" else [value]
                self._extend_other(dotted[: method.start()], values)
            case "sys.modules.setdefault", [key, node]:
                self._alias(str(self.scope.value(key)), node)
            case "sys.modules.update", [ast.Dict(keys=keys, values=values)]:
                for each, node in zip(keys, values, strict=True):
                    if each is not None:
                        self._alias(str(self.scope.value(each)), node)
            case _:
                super(_Loading, self)._call(call)

    def _extend_other(self, package: str, directories: list[Value]) -> None:
        name = package.removesuffix(f".{_OWN_PATH}")
        for each in directories:
            self.others.append((name, os.path.normpath(self.scope.absolute(str(each)))))

    def _alias(self, name: str, node: ast.expr) -> None:
        module = self._imported(node) or self._named(node)
        if module != name:
            self.aliases[name] = module

    def _named(self, node: ast.expr) -> str:
        """Returns the module that a name or chain of attributes means, if an import binds it."""
        base, _ = split_chain(node)
        known = isinstance(base, ast.Name) and base.id in self.scope.modules
        return self.scope.dotted(node) if known else ""

    def _imported(self, node: ast.expr) -> str:
        """Returns the module that a call of `import_module` or an item of `sys.modules` is."""
        match node:
            case ast.Subscript(value=value, slice=key) if self.scope.dotted(value) == _ALL:
                return self._text(key)
            case ast.Call(func=function, args=[name, *package]) if self.scope.dotted(function) in _IMPORTERS:
                own = self._text(package[0]) if package else self.package
                return absolute(self._text(name), own) or ""
            case _:
                return ""

    def _text(self, node: ast.expr) -> str:
        try:
            return str(self.scope.value(node))
        except CannotEvaluateError:
            return ""

    def _if(self, test: ast.expr, body: list[ast.stmt], otherwise: list[ast.stmt]) -> None:
        match test:
            case ast.Compare(
                left=left, ops=[ast.In() | ast.NotIn() as op], comparators=[ast.Name(id="__path__")]
            ):
                there = self.scope.value(left) in self._own_path()
                self.run(body if there == isinstance(op, ast.In) else otherwise)
            case _:
                super(_Loading, self)._if(test, body, otherwise)

    def _forget(self, *statements: ast.AST) -> None:
        for statement in statements:
            for node in nodes_of(statement):
                if _changes_own_path(node):
                    self.doubtful.add(getattr(node, "lineno", 1))
        kept = self.scope.names.get(_OWN_PATH)
        super(_Loading, self)._forget(*statements)
        if kept is not None:
            self.scope.names[_OWN_PATH] = kept


def _changes_own_path(node: ast.AST) -> bool:
    """Returns whether `node` changes `__path__` in another way than `extend_path`, which the finder knows."""
    match node:
        case ast.Assign(targets=[ast.Name(id="__path__")], value=ast.Call(func=function)):
            return "extend_path" not in ast.unparse(function)
        case (
            ast.Assign(targets=[ast.Name(id="__path__")])
            | ast.AugAssign(target=ast.Name(id="__path__"))
            | ast.Assign(targets=[ast.Subscript(value=ast.Name(id="__path__"))])
        ):
            return True
        case ast.Call(func=ast.Attribute(value=ast.Name(id="__path__"), attr=name)):
            return name in {"append", "insert", "extend", "remove", "pop", "clear"}
        case _:
            return False
