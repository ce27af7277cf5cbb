"""Evaluates expressions for the name of a module: all names that it may be, or the known part."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

from raybundle.resolve.evaluate.chains import last_name
from raybundle.resolve.evaluate.parsing import walk
from raybundle.resolve.evaluate.targets import pairs

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

ANY = "*"
"""Stands for the part of a name that only the running program knows."""

_MOST = 256
"""Names that one expression may mean. If it has more, it counts as unknown."""

_OWN_PARENT = ("rpartition", "rsplit")
"""`__name__.rpartition(".")[0]` is the package of a module in old code."""


class Text(NamedTuple):
    """One string that an expression may be, with `*` for unknown parts."""

    value: str
    own: bool = False
    """`value` follows the name of the file's own package."""

    @property
    def whole(self) -> bool:
        """Whether no part of it is unknown."""
        return ANY not in self.value


UNKNOWN = (Text(ANY),)


def is_known(name: str) -> bool:
    """Returns whether the text before the first unknown part names at least a package."""
    start, unknown, _ = name.partition(ANY)
    return bool(start) and (not unknown or "." in start)


_DUNDERS = frozenset({"__package__", "__name__"})


@dataclass(slots=True)
class NameValues:
    """What the names of one file are bound to, collected when first needed."""

    tree: ast.Module
    imported: dict[str, set[str]]
    """Dotted names that imports bind."""
    is_package: bool
    walked: list[ast.AST] | None = None
    places: dict[type[ast.AST], list[int]] | None = None
    """Where the nodes of each kind are among all."""
    bound: dict[str, list[ast.expr | None]] | None = None
    """Expressions by name. None for a binding without an expression. Loops bind `ast.Starred` values."""
    attributes: dict[str, list[ast.expr | None]] | None = None
    """Expressions by attribute of a class of the file and of its objects."""
    known: dict[tuple[str, int, str], list[Text]] = field(default_factory=dict)
    """What a name may be, by the number of names that led to it, and the part of a collection, if it is
    one: long sums use the same names again."""

    @property
    def nodes(self) -> list[ast.AST]:
        """All nodes of the tree, breadth first."""
        if self.walked is None:
            self.walked = walk(self.tree)
        return self.walked

    def of(self, kinds: Collection[type[ast.AST]]) -> list[Any]:
        """Returns the nodes of some kinds, breadth first."""
        nodes = self.nodes
        if self.places is None:
            self.places = {}
            for place, node in enumerate(nodes):
                self.places.setdefault(type(node), []).append(place)
        found = [place for kind in kinds for place in self.places.get(kind, ())]
        return [nodes[place] for place in sorted(found)]

    def texts(self, node: ast.expr | None) -> tuple[Text, ...]:
        """Returns everything that the string `node` may be."""
        found = tuple(dict.fromkeys(self._texts(node, 0)))
        return found if 0 < len(found) <= _MOST else UNKNOWN

    def items(self, node: ast.expr) -> tuple[Text, ...]:
        """Returns the strings that the collection `node` may hold."""
        return tuple(dict.fromkeys(self._items(node, "keys", 0)))

    def bindings(self, name: str) -> list[ast.expr | None]:
        """Returns what `name` is bound to anywhere in the file."""
        if self.bound is None:
            self.bound = {}
            given = _given(self.of(_DEFINITIONS), self.of({ast.Call}))
            for target, value in (*_bindings(self.of(_BINDS)), *given):
                self.bound.setdefault(target, []).append(value)
        return self.bound.get(name, [])

    def members(self, name: str) -> list[ast.expr | None]:
        """Returns what an attribute of this name is bound to; another file may bind it as well."""
        if self.attributes is None:
            self.attributes = {}
            for target, value in _members(self.of(_HAVING_MEMBERS)):
                self.attributes.setdefault(target, []).append(value)
        found = self.attributes.get(name, [])
        return [*found, None] if found else []

    def _texts(  # noqa: C901, PLR0912 - one case per form of expression
        self, node: ast.expr | None, depth: int
    ) -> Iterable[Text]:
        match node:
            case ast.Constant(value=str(value)):
                return [Text(value.replace(ANY, ""))]
            case ast.Name(id=name) if name in _DUNDERS:
                return self._own(node)
            case ast.Name(id=name) if depth < 3:  # noqa: PLR2004 - a name for a name for a name
                return self._bound_texts(name, depth)
            case ast.Attribute(value=ast.Name(id=name), attr="__name__") if name in self.imported:
                return [Text(each) for each in sorted(self.imported[name]) if not each.startswith(".")]
            case ast.Attribute(value=ast.Name(id=owner), attr=name) if depth < 3 and self._owns(owner):  # noqa: PLR2004
                return self._bound_texts(f".{name}", depth)
            case ast.Attribute():
                return self._own(node)
            case ast.FormattedValue(value=value, conversion=-1, format_spec=None):
                return self._texts(value, depth)
            case ast.JoinedStr(values=values):
                return _joined([tuple(self._texts(each, depth)) for each in values])
            case ast.BinOp():
                return self._operation(node, depth)
            case ast.IfExp(body=body, orelse=orelse):
                return [text for each in {body: 1, orelse: 1} for text in self._texts(each, depth)]
            case ast.BoolOp(values=values):
                return [text for each in values for text in self._texts(each, depth)]
            case ast.Subscript() | ast.Call():
                return self._taken(node, depth)
            case _:
                return UNKNOWN

    def _owns(self, name: str) -> bool:
        """Returns whether a name may mean a class of the file, or for an object of one."""
        return name in {"self", "cls"} or (name[:1].isupper() and name not in self.imported)

    def _own(self, node: ast.expr) -> Iterable[Text]:
        match node:
            case ast.Name(id="__package__") | ast.Attribute(value=ast.Name(id="__spec__"), attr="parent"):
                return [Text("", own=True)]
            case ast.Name(id="__name__") if self.is_package:
                return [Text("", own=True)]
            case ast.Subscript(
                value=ast.Call(func=ast.Attribute(value=ast.Name(id="__name__"), attr=attribute)),
                slice=ast.Constant(value=0),
            ) if attribute in _OWN_PARENT and not self.is_package:
                return [Text("", own=True)]
            case _:
                return UNKNOWN

    def _operation(self, node: ast.BinOp, depth: int) -> Iterable[Text]:
        match node:
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                return _joined([tuple(self._texts(left, depth)), tuple(self._texts(right, depth))])
            case ast.BinOp(left=ast.Constant(value=str(form)), op=ast.Mod(), right=right):
                values = right.elts if isinstance(right, ast.Tuple) else [right]
                return self._filled(form, "%s", values, depth)
            case _:
                return UNKNOWN

    def _taken(self, node: ast.Subscript | ast.Call, depth: int) -> Iterable[Text]:
        """Returns what is taken from a literal table, or filled into a literal template."""
        match node:
            case ast.Subscript(value=ast.Call()):
                return self._own(node)
            case ast.Call(
                func=ast.Attribute(value=ast.Constant(value=str(form)), attr="format"), args=values
            ):
                return self._filled(form, "{}", values, depth)
            case ast.Call(
                func=ast.Attribute(value=ast.Constant(value=str(between)), attr="join"),
                args=[ast.List(elts=[first, *rest]) | ast.Tuple(elts=[first, *rest])],
            ):
                parts = [tuple(self._texts(first, depth))]
                for each in rest:
                    parts += [(Text(between),), tuple(self._texts(each, depth))]
                return _joined(parts)
            case ast.Call(func=ast.Attribute(value=table, attr="get" | "pop" | "getenv"), args=[_, *default]):
                given = [text for each in default for text in self._texts(each, depth)]
                return [*given, *self._items(table, "values", depth)]
            case ast.Subscript(value=table):
                return self._items(table, "values", depth)
            case _:
                return UNKNOWN

    def _bound_texts(self, name: str, depth: int) -> Iterable[Text]:
        values = self._values_of(name)
        if not values:
            return UNKNOWN
        known = self.known.get((name, depth, ""))
        if known is None:
            known = []
            for value in values:
                if isinstance(value, ast.Starred):
                    known += self._items(value.value, "keys", depth + 1)
                else:
                    known += self._texts(value, depth + 1)
            known = self.known[name, depth, ""] = _shortened(known)
        return known

    def _items(self, node: ast.expr, part: str, depth: int) -> Iterable[Text]:
        """Returns the items of a literal collection, also through a name or a dictionary's method."""
        match node:
            case ast.List(elts=elements) | ast.Tuple(elts=elements) | ast.Set(elts=elements):
                return [text for each in elements for text in self._texts(each, depth)]
            case ast.Dict(keys=keys, values=values):
                return [
                    text for each in (keys if part == "keys" else values) for text in self._texts(each, depth)
                ]
            case ast.Call(func=ast.Attribute(value=table, attr="values" | "keys" as method), args=[]):
                return self._items(table, method, depth)
            case ast.Call(
                func=ast.Name(id="sorted" | "list" | "tuple" | "set" | "reversed"), args=[inner, *_]
            ):
                return self._items(inner, part, depth)
            case ast.Name(id=name) if depth < 3:  # noqa: PLR2004 - as above
                return self._bound_items(name, part, depth)
            case ast.Attribute(value=ast.Name(id="self" | "cls"), attr=name) if depth < 3:  # noqa: PLR2004 - as above
                return self._bound_items(f".{name}", part, depth)
            case _:
                return UNKNOWN

    def _bound_items(self, name: str, part: str, depth: int) -> Iterable[Text]:
        known = self.known.get((name, depth, part))
        if known is None:
            known = []
            for bound in self._values_of(name):
                known += UNKNOWN if bound is None else self._items(bound, part, depth + 1)
            known = self.known[name, depth, part] = _shortened(known)
        return known or UNKNOWN

    def _values_of(self, name: str) -> list[ast.expr | None]:
        """Returns what a name is bound to; that of an attribute begins with a dot."""
        return self.members(name[1:]) if name.startswith(".") else self.bindings(name)

    def _filled(self, form: str, hole: str, values: list[ast.expr], depth: int) -> Iterable[Text]:
        pieces = form.split(hole)
        if len(pieces) != len(values) + 1 or any("{" in piece or "%" in piece for piece in pieces):
            return [Text(form.partition(hole[0])[0] + ANY)]
        parts: list[tuple[Text, ...]] = [(Text(pieces[0]),)]
        for piece, value in zip(pieces[1:], values, strict=True):
            parts += [tuple(self._texts(value, depth)), (Text(piece),)]
        return _joined(parts)


def _shortened(texts: list[Text]) -> list[Text]:
    """Returns so many texts without those that are equal; too many stay too many for `_joined`."""
    if len(texts) <= _MOST:
        return texts
    found = list(dict.fromkeys(texts))
    return [*found, *found[-1:] * (_MOST + 1 - len(found))]


def _joined(parts: list[tuple[Text, ...]]) -> Iterable[Text]:
    """Yields every combination. The file's own package is known only at the start of a name."""
    size = 1
    for part in parts:
        size *= len(part)
    if size > _MOST:
        parts = [part if len(part) == 1 else UNKNOWN for part in parts]
    for combination in product(*parts):
        own = bool(combination) and combination[0].own
        value = "".join(ANY if each.own and i else each.value for i, each in enumerate(combination))
        while ANY + ANY in value:
            value = value.replace(ANY + ANY, ANY)
        yield Text(value, own)


_BINDS = frozenset(
    [
        *(ast.Assign, ast.AnnAssign, ast.NamedExpr, ast.AugAssign, ast.For, ast.AsyncFor),
        *(ast.comprehension, ast.arg, ast.withitem),
    ]
)
_DEFINITIONS = frozenset({ast.FunctionDef, ast.AsyncFunctionDef})
_HAVING_MEMBERS = frozenset({ast.ClassDef, ast.Assign})


def _bindings(  # noqa: C901 - one case per form of binding
    nodes: Iterable[ast.AST],
) -> Iterator[tuple[str, ast.expr | None]]:
    """Yields each bound name and its expression. For the target of a loop, that is a starred iterable."""
    for node in nodes:
        match node:
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    yield from _targets(target, value)
            case ast.AnnAssign(target=target, value=value) if value is not None:
                yield from _targets(target, value)
            case ast.NamedExpr(target=target, value=value):
                yield from _targets(target, value)
            case ast.AugAssign(target=target):
                yield from _targets(target, None)
            case ast.For(target=target, iter=value) | ast.AsyncFor(target=target, iter=value):
                yield from _loop(target, value)
            case ast.comprehension(target=target, iter=value):
                yield from _loop(target, value)
            case ast.arg(arg=name):
                yield name, None
            case ast.withitem(optional_vars=ast.expr() as target):
                yield from _targets(target, None)
            case _:
                continue


def _members(nodes: Iterable[ast.AST]) -> Iterator[tuple[str, ast.expr]]:
    """Yields what bodies of classes, and assignments to `self` and `cls`, gives to attributes."""
    for node in nodes:
        match node:
            case ast.ClassDef(body=body):
                for target, value in _bindings(
                    each for each in body if not isinstance(each, ast.FunctionDef)
                ):
                    if value is not None and not (isinstance(value, ast.Constant) and value.value is None):
                        yield target, value
            case ast.Assign(targets=targets, value=value):
                for each, given in (pair for target in targets for pair in pairs(target, value)):
                    if isinstance(each, ast.Attribute) and given is not None:
                        yield each.attr, given
            case _:
                continue


def _given(
    definitions: Iterable[ast.FunctionDef | ast.AsyncFunctionDef], calls: Iterable[ast.Call]
) -> Iterator[tuple[str, ast.expr]]:
    """Yields the parameters of the file's functions, with their defaults and what its calls give them."""
    functions: dict[str, list[ast.arguments]] = {}
    for node in definitions:
        functions.setdefault(node.name, []).append(node.args)
        plain = [*node.args.posonlyargs, *node.args.args]
        named = zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
        pairs = [*zip(plain[::-1], node.args.defaults[::-1], strict=False), *named]
        yield from ((each.arg, value) for each, value in pairs if value is not None)
    for call in calls:
        for taken in functions.get(last_name(call.func), ()):
            yield from _arguments(taken, call)


def _arguments(taken: ast.arguments, call: ast.Call) -> Iterator[tuple[str, ast.expr]]:
    plain = [each.arg for each in (*taken.posonlyargs, *taken.args)]
    own = plain[:1] in (["self"], ["cls"])
    positional = (each for each in call.args if not isinstance(each, ast.Starred))
    yield from zip(plain[own:], positional, strict=False)
    known = {*plain, *(each.arg for each in taken.kwonlyargs)}
    yield from ((each.arg, each.value) for each in call.keywords if each.arg in known and each.arg)


def _loop(target: ast.expr, values: ast.expr) -> Iterator[tuple[str, ast.expr | None]]:
    match target, values:
        case ast.Name(id=name), _:
            yield name, ast.Starred(values)
        case ast.Tuple(elts=[ast.Name(id=key), ast.Name(id=value)]), ast.Call(
            func=ast.Attribute(value=table, attr="items"), args=[]
        ):
            yield key, ast.Starred(ast.Call(ast.Attribute(table, "keys"), [], []))
            yield value, ast.Starred(ast.Call(ast.Attribute(table, "values"), [], []))
        case ast.Tuple(elts=elements), _:
            for each in elements:
                if isinstance(each, ast.Name):
                    yield each.id, ast.Attribute(ast.Starred(values), "name")
        case _:
            return


def _targets(target: ast.expr, value: ast.expr | None) -> Iterator[tuple[str, ast.expr | None]]:
    for each, assigned in pairs(target, value):
        if isinstance(each, ast.Name):
            yield each.id, assigned
