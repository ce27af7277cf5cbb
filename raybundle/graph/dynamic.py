"""Understands calls that import: `import_module`, `__import__`, resources, and edits of `sys.path`."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from raybundle.graph.facts import Import, Unknown

if TYPE_CHECKING:
    from collections.abc import Iterator

_IMPORTERS = frozenset(
    {"importlib.import_module", "importlib.__import__", "__import__", "builtins.__import__"}
)
_RESOURCES = ("importlib.resources.", "importlib_resources.", "pkgutil.get_data", "pkg_resources.resource_")
_PATH_EDITS = frozenset(
    f"sys.path.{name}" for name in ("append", "insert", "extend", "remove", "pop", "clear", "reverse")
) | {"site.addsitedir"}


_LAST_NAMES = frozenset(name.rpartition(".")[2] for name in _IMPORTERS | _PATH_EDITS) | frozenset(
    [
        "files",
        "path",
        "contents",
        "is_resource",
        "open_text",
        "open_binary",
        "read_text",
        "read_binary",
        "as_file",
        "get_data",
        "resource_filename",
        "resource_string",
        "resource_stream",
        "resource_exists",
        "resource_listdir",
    ]
)
"""Attributes that a call of interest ends with; all other calls are not kept."""


@dataclass(frozen=True, slots=True)
class Text:
    """What is known of a string: how it starts, and whether that is all of it."""

    start: str
    whole: bool = True
    own: bool = False
    """`start` follows the name of the file's own package."""


@dataclass(slots=True)
class Calls:
    """The calls of one file, and what the names in them stand for."""

    bindings: dict[str, set[str]] = field(default_factory=dict)
    constants: dict[str, set[str]] = field(default_factory=dict)
    seen: list[tuple[ast.Call, bool]] = field(default_factory=list)

    def bind(self, name: str, target: str) -> None:
        """Note that an import binds `name` to the dotted `target`."""
        self.bindings.setdefault(name, set()).add(target)

    def constant(self, name: str, value: object) -> None:
        """Note an assignment of a literal; a name with two different ones is not constant."""
        if isinstance(value, str):
            self.constants.setdefault(name, set()).add(value)

    def add(self, call: ast.Call, *, optional: bool) -> None:
        """Keep `call` until all bindings of the file are known, if it may be of interest."""
        if not isinstance(call.func, ast.Attribute) or call.func.attr in _LAST_NAMES:
            self.seen.append((call, optional))

    def qualified(self, function: ast.expr) -> set[str]:
        """Return the dotted names that `function` may stand for."""
        names: list[str] = []
        while isinstance(function, ast.Attribute):
            names.insert(0, function.attr)
            function = function.value
        match function:
            case ast.Name(id=name):
                bases = self.bindings.get(name, {name})
            case ast.Call(func=ast.Name(id="__import__"), args=[ast.Constant(value=str(name)), *_]):
                bases = {name}
            case _:
                bases = set()
        return {".".join([base, *names]) for base in bases}

    def path_edits(self) -> Iterator[int]:
        """Yield the lines of calls that change `sys.path`."""
        for call, _ in self.seen:
            if not self.qualified(call.func).isdisjoint(_PATH_EDITS):
                yield call.lineno


def dynamic_imports(calls: Calls, *, is_package: bool) -> tuple[list[Import], list[Unknown]]:
    """Return what the calls import, and those whose name cannot be known."""
    found: list[Import] = []
    unknown: list[Unknown] = []
    for call, optional in calls.seen:
        names = calls.qualified(call.func)
        if not names.isdisjoint(_IMPORTERS):
            result = _importer(call, calls, optional, is_package)
            found.append(result) if isinstance(result, Import) else unknown.append(result)
        elif any(name.startswith(_RESOURCES) for name in names):
            found.extend(_resource(call))
    return found, unknown


def _importer(call: ast.Call, calls: Calls, optional: bool, is_package: bool) -> Import | Unknown:
    argument = _argument(call, 0, "name")
    text = _text(argument, calls, is_package) if argument is not None else None
    name = _name(text, call, is_package) if text else None
    if text is None or name is None or not (text.whole or "." in name):
        return Unknown(call.lineno, ast.unparse(call))
    return Import(name, call.lineno, (), "import-module" if text.whole else "prefix", optional)


def _name(text: Text, call: ast.Call, is_package: bool) -> str | None:
    """Return the name that `text` starts; one relative to the file's own package keeps its dots."""
    if text.own:
        return (text.start or ".") if text.start[:1] in {"", "."} else None
    if not text.start.startswith("."):
        return text.start or None
    match _argument(call, 1, "package"):
        case ast.Constant(value=str(package)):
            return _join(package, text)
        case ast.Name(id="__package__"):
            return text.start
        case ast.Name(id="__name__") if is_package:
            return text.start
        case _:
            return None


def _join(package: str, text: Text) -> str:
    rest = text.start.lstrip(".")
    parts = package.split(".")
    kept = parts[: len(parts) - (len(text.start) - len(rest)) + 1]
    return ".".join([*kept, rest] if rest or not text.whole else kept)


def _argument(call: ast.Call, position: int, keyword: str) -> ast.expr | None:
    if len(call.args) > position:
        return call.args[position]
    return next((each.value for each in call.keywords if each.arg == keyword), None)


def _text(node: ast.expr, calls: Calls, is_package: bool) -> Text | None:
    match node:
        case ast.Constant(value=str(value)):
            return Text(value)
        case ast.Name(id=name) if len(calls.constants.get(name, ())) == 1:
            return Text(next(iter(calls.constants[name])))
        case ast.Name(id="__package__"):
            return Text("", own=True)
        case ast.Name(id="__name__") if is_package:
            return Text("", own=True)
        case ast.FormattedValue(value=value, conversion=-1, format_spec=None):
            return _text(value, calls, is_package)
        case ast.JoinedStr(values=values):
            return _joined(values, calls, is_package)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _joined([left, right], calls, is_package)
        case ast.BinOp(left=ast.Constant(value=str(form)), op=ast.Mod()):
            return _prefix(form.partition("%")[0])
        case ast.Call(func=ast.Attribute(value=ast.Constant(value=str(form)), attr="format")):
            return _prefix(form.partition("{")[0])
        case _:
            return None


def _joined(parts: list[ast.expr], calls: Calls, is_package: bool) -> Text | None:
    start, own = "", False
    for position, part in enumerate(parts):
        text = _text(part, calls, is_package)
        if text is None or (text.own and position):
            return _prefix(start, own)
        start, own = start + text.start, own or text.own
        if not text.whole:
            return _prefix(start, own)
    return Text(start, own=own)


def _prefix(start: str, own: bool = False) -> Text | None:
    return Text(start, whole=False, own=own) if start else None


def _resource(call: ast.Call) -> Iterator[Import]:
    match _argument(call, 0, "package") or _argument(call, 0, "anchor"):
        case ast.Constant(value=str(package)) if package.replace(".", "").isidentifier():
            yield Import(package, call.lineno, (), "resource")
        case _:
            return
