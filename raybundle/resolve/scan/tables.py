"""Finds tables of names that frameworks import from: settings lists, Django's apps, lazy-loader tables."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from raybundle.resolve.evaluate.chains import last_name
from raybundle.resolve.facts import DjangoApp, Import, LazyNames, LazyStub, ModuleText

if TYPE_CHECKING:
    from collections.abc import Iterator

DJANGO_APPS = "INSTALLED_APPS"
DJANGO_ADMIN = "django.contrib.admin"

_LISTS = re.compile(r"[A-Z0-9_]*(APPS|PLUGINS|MODULES|EXTENSIONS|COMPONENTS|PACKAGES|MIDDLEWARE|BACKENDS)")
"""Names of settings whose items are modules, even if an item is a single word."""

ATTACHES = frozenset({"attach", "attach_stub", "_LazyModule", "LazyModule", "lazy_attach"})
"""Calls that import submodules of a package when they are used (lazy_loader, transformers)."""

SERVERS = frozenset({"WSGI_APPLICATION", "ASGI_APPLICATION"})
"""Django's settings that name what a web server loads. A job does not load it."""


def settings_lists(tree: ast.Module) -> Iterator[Import]:
    """Yield the names that settings at the top of a module list (`INSTALLED_APPS = [...]`)."""
    for statement in tree.body:
        match statement:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=value)
                | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
                | ast.AugAssign(target=ast.Name(id=name), value=value)
            ) if _LISTS.fullmatch(name):
                yield from _items(name, value)
            case _:
                continue


def server_lines(tree: ast.Module) -> set[int]:
    """Return the lines of settings that only a web server reads."""
    return {
        statement.lineno
        for statement in tree.body
        if isinstance(statement, ast.Assign)
        and any(isinstance(target, ast.Name) and target.id in SERVERS for target in statement.targets)
    }


def _items(setting: str, value: ast.expr) -> Iterator[Import]:
    found = {text: line for text, line in texts(value) if _is_name(text)}
    for text, line in found.items():
        if setting == DJANGO_APPS:
            yield Import(line, DjangoApp(text, DJANGO_ADMIN in found))
        else:
            yield Import(line, ModuleText(text, is_listed=True))


def may_be_lazy(source: bytes) -> bool:
    """Return whether a source has any of the words that `lazy_tables` looks for."""
    return b"__getattr__" in source or b"attach" in source or b"LazyModule" in source


def lazy_tables(tree: ast.Module, *, is_package: bool) -> Iterator[Import]:
    """Yield the submodules that a package with `__getattr__` or an attached loader may import."""
    attaching = [each for each in _calls_at_top(tree) if last_name(each.func) in ATTACHES]
    for call in attaching:
        if last_name(call.func) == "attach_stub":
            yield Import(call.lineno, LazyStub())
    getters = [each for each in tree.body if isinstance(each, ast.FunctionDef) and each.name == "__getattr__"]
    if not attaching and not (getters and is_package):
        return
    by_line: dict[int, set[str]] = {}
    for statement in tree.body:
        for text, line in texts(statement):
            if statement not in getters or text.startswith("."):
                name = text.lstrip(".")
                if _is_name(name):
                    by_line.setdefault(line, set()).add(name)
    for line, names in sorted(by_line.items()):
        yield Import(line, LazyNames(tuple(sorted(names))))


def _calls_at_top(tree: ast.Module) -> Iterator[ast.Call]:
    for statement in tree.body:
        if isinstance(statement, (ast.Assign, ast.Expr, ast.If, ast.Try)):
            yield from (each for each in ast.walk(statement) if isinstance(each, ast.Call))


def texts(node: ast.AST) -> Iterator[tuple[str, int]]:
    """Yield the strings in `node` and their lines."""
    for each in ast.walk(node):
        if isinstance(each, ast.Constant) and isinstance(each.value, str):
            yield each.value, each.lineno


def _is_name(text: str) -> bool:
    return text.isascii() and all(part.isidentifier() for part in text.split("."))
