"""Tells where a name of a file comes from that cannot be evaluated: this source, a caller, or outside."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from raybundle.resolve.evaluate.chains import last_name, split_chain
from raybundle.resolve.evaluate.parsing import children, walk

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from raybundle.resolve.evaluate.symbolic import SymbolicScope

KNOWN, COMPUTED, PASSED, OUTSIDE = range(4)
"""What the parts of an expression are made of. The highest of all parts counts.

Known: literals, which are found by themselves. Computed: by this source, from what it has. Passed: by a
caller, an object, or another module. Outside: arguments, the environment, URLs, temporary files.
"""

_OUTSIDE = frozenset(
    [
        *("parse_args", "parse_known_args", "getenv", "input", "gettempdir", "mkdtemp", "mkstemp", "mktemp"),
        *("NamedTemporaryFile", "TemporaryDirectory", "TemporaryFile", "urlopen", "urlretrieve", "home"),
        *("expanduser", "expandvars", "uuid4", "uuid1", "now", "today", "time", "strftime", "getuser"),
        *("user_cache_dir", "user_data_dir", "user_config_dir", "get_runtime_context", "from_pretrained"),
    ]
)
"""Last names of calls whose value is none of the project's."""
_OUTSIDE_NAMES = (
    "sys.argv",
    "sys.stdin",
    "os.environ",
    "sys.executable",
    "sys.prefix",
    "sys.path",
    "tempfile",
)
_PARTS = frozenset(
    [
        *("Path", "PurePath", "str", "join", "joinpath", "abspath", "realpath", "normpath", "dirname"),
        *("basename", "fspath", "resolve", "absolute", "as_posix", "with_suffix", "with_name", "with_stem"),
        *("list", "tuple", "set", "sorted", "reversed", "next", "iter", "zip", "enumerate", "map", "filter"),
        *("glob", "iglob", "rglob", "iterdir", "listdir", "scandir", "walk", "items", "values", "keys"),
        *("splitext", "relpath", "max", "min", "dict", "get", "pop"),
    ]
)
"""Last names of calls whose value is made of their receiver and arguments."""
_RESOURCES = frozenset(
    {"files", "as_file", "resource_filename", "resource_stream", "getfile", "getsourcefile"}
)
"""Last names of calls that give files of a package, which travels with its data."""
_COMMANDS = ("command", "option", "argument", "hydra", "main")
"""In decorators of functions whose parameters are options of the job."""
_BUILT_IN = frozenset({"bytes", "bytearray", "int", "chr", "ord", "bytes.fromhex"})


@dataclass(slots=True)
class Origins:
    """Where names get their values, by the functions around them."""

    module: ast.Module
    around: list[ast.FunctionDef | ast.AsyncFunctionDef] = field(default_factory=list)
    """The functions around the current place, the innermost last."""
    _bindings: dict[int, dict[str, list[ast.expr | int]]] = field(default_factory=dict)
    """By the identity of a function or the module."""
    _known: dict[tuple[int, str], int] = field(default_factory=dict)
    """By function and name."""

    def of(self, node: ast.expr, scope: SymbolicScope) -> int:
        """Returns what the value of an expression is made of."""
        dotted = scope.dotted(node)
        if dotted.startswith(_OUTSIDE_NAMES):
            return OUTSIDE
        match node:
            case ast.Constant(value=value):
                return COMPUTED if isinstance(value, bytes) else KNOWN
            case ast.Attribute(attr="__file__" | "__path__"):
                return KNOWN
            case ast.Name(id=name):
                return self._of_name(name, scope)
            case ast.Call():
                return self._of_call(node, scope)
            case ast.Attribute(value=value):
                return max(PASSED, self.of(value, scope)) if dotted else self.of(value, scope)
            case ast.Subscript(value=ast.Constant()):
                return COMPUTED
            case ast.Subscript(value=value) | ast.Starred(value=value) | ast.Await(value=value):
                return self.of(value, scope)
            case _:
                return self._of_parts(node, scope)

    def _of_parts(self, node: ast.expr, scope: SymbolicScope) -> int:
        parts = [each for each in children(node) if isinstance(each, ast.expr)]
        match node:
            case ast.Lambda():
                return PASSED
            case ast.JoinedStr() | ast.BinOp(op=ast.Add() | ast.Mod()):
                return max(COMPUTED, self._highest(parts, scope))
            case _:
                inner = (each.iter for each in getattr(node, "generators", ()))
                return self._highest((*parts, *inner), scope)

    def _highest(self, nodes: Iterable[ast.expr], scope: SymbolicScope) -> int:
        return max((self.of(each, scope) for each in nodes), default=KNOWN)

    def _of_name(self, name: str, scope: SymbolicScope) -> int:
        if name in scope.names and None not in scope.ways_of(name):
            return KNOWN
        for place in (*reversed(self.around), self.module):
            found = self._bound_in(place).get(name)
            if found is not None:
                return self._origin_of(found, (id(place), name), scope)
        return PASSED

    def _origin_of(self, values: Iterable[ast.expr | int], key: tuple[int, str], scope: SymbolicScope) -> int:
        known = self._known.get(key)
        if known is None:
            self._known[key] = KNOWN  # a name may get its value from itself
            found = (each if isinstance(each, int) else self.of(each, scope) for each in values)
            known = self._known[key] = max(found)
        return known

    def _of_call(self, node: ast.Call, scope: SymbolicScope) -> int:
        last, dotted = last_name(node.func), scope.dotted(node.func)
        if last in _OUTSIDE or "download" in last:
            return OUTSIDE
        if last in _RESOURCES:
            return KNOWN
        given = [*node.args, *(each.value for each in node.keywords)]
        base, _ = split_chain(node.func)
        if isinstance(base, ast.Name) and base.id in _BUILT_IN:
            return max(COMPUTED, self._highest(given, scope))
        receiver = node.func.value if isinstance(node.func, ast.Attribute) else None
        of_module = isinstance(base, ast.Name) and base.id in scope.modules
        if receiver is not None and not of_module:
            made = self._highest([receiver, *given], scope)
            whole = last in _PARTS and not isinstance(receiver, ast.Constant)
            return made if whole else max(COMPUTED, made)
        made = self._highest(given, scope)
        return made if last in _PARTS or dotted.startswith("os.path.") else max(PASSED, made)

    def _bound_in(
        self, place: ast.Module | ast.FunctionDef | ast.AsyncFunctionDef
    ) -> dict[str, list[ast.expr | int]]:
        known = self._bindings.get(id(place))
        if known is None:
            known = self._bindings[id(place)] = {}
            if not isinstance(place, ast.Module):
                _add_parameters(place, known)
            for name, value in _bindings_in(place.body):
                known.setdefault(name, []).append(value)
        return known


def _add_parameters(
    function: ast.FunctionDef | ast.AsyncFunctionDef, known: dict[str, list[ast.expr | int]]
) -> None:
    """Notes the parameters of a function; a default that is a text is what callers give mostly."""
    given = function.args
    marks = " ".join(ast.unparse(each) for each in function.decorator_list)
    origin = OUTSIDE if any(each in marks for each in _COMMANDS) else PASSED
    positional = [*given.posonlyargs, *given.args]
    defaults = dict(zip([each.arg for each in positional][::-1], given.defaults[::-1], strict=False))
    defaults |= {
        each.arg: value
        for each, value in zip(given.kwonlyargs, given.kw_defaults, strict=True)
        if value is not None
    }
    for each in (*positional, *given.kwonlyargs, given.vararg, given.kwarg):
        if each is not None:
            default = defaults.get(each.arg)
            plain = default is not None and not (isinstance(default, ast.Constant) and default.value is None)
            known[each.arg] = [default if plain and default is not None and origin == PASSED else origin]


def _bindings_in(statements: Iterable[ast.stmt]) -> Iterator[tuple[str, ast.expr | int]]:
    """Yields each name that statements bind, and its value; functions and classes have names of their own."""
    for each in statements:
        if isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield each.name, PASSED
            continue
        for target, value in _assignments(each):
            yield from ((name, value) for name in _names(target))
        yield from _bound_by_expressions(each)
        for part in ("body", "orelse", "finalbody"):
            yield from _bindings_in(getattr(each, part, ()))
        for handler in getattr(each, "handlers", ()):
            yield from _bindings_in(handler.body)


def _assignments(statement: ast.stmt) -> Iterator[tuple[ast.expr, ast.expr]]:
    match statement:
        case ast.Assign(targets=targets, value=value):
            yield from ((target, value) for target in targets)
        case (
            ast.AnnAssign(target=target, value=ast.expr() as value)
            | ast.AugAssign(target=target, value=value)
        ):
            yield target, value
        case ast.For(target=target, iter=value) | ast.AsyncFor(target=target, iter=value):
            yield target, value
        case ast.With(items=items) | ast.AsyncWith(items=items):
            yield from ((each.optional_vars, each.context_expr) for each in items if each.optional_vars)
        case _:
            return


def _bound_by_expressions(statement: ast.stmt) -> Iterator[tuple[str, ast.expr | int]]:
    """Yields the names that comprehensions and `:=` in the expressions of a statement bind."""
    parts = (each for each in children(statement) if isinstance(each, (ast.expr, ast.withitem)))
    for part in parts:
        for node in walk(part):
            match node:
                case ast.comprehension(target=target, iter=value) | ast.NamedExpr(target=target, value=value):
                    yield from ((name, value) for name in _names(target))
                case _:
                    continue


def _names(target: ast.expr) -> Iterator[str]:
    match target:
        case ast.Name(id=name):
            yield name
        case ast.Tuple(elts=elements) | ast.List(elts=elements):
            for each in elements:
                yield from _names(each)
        case ast.Starred(value=value):
            yield from _names(value)
        case _:
            return
