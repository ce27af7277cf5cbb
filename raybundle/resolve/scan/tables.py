"""Finds tables of names that frameworks import from: settings lists, Django's apps, lazy-loader tables."""

from __future__ import annotations

import ast
import re
from functools import lru_cache
from typing import TYPE_CHECKING

from raybundle.resolve.evaluate.calls import argument_of
from raybundle.resolve.evaluate.chains import last_name
from raybundle.resolve.evaluate.name_values import Text, is_known
from raybundle.resolve.evaluate.parsing import walk
from raybundle.resolve.facts import (
    DjangoApp,
    Import,
    LazyNames,
    LazyStub,
    ModuleText,
    OfEachApp,
    Pattern,
    UnknownImport,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from raybundle.resolve.evaluate.name_values import NameValues

DJANGO_APPS = "INSTALLED_APPS"
DJANGO_ADMIN = "django.contrib.admin"

LISTS = ("APPS", "PLUGINS", "MODULES", "EXTENSIONS", "COMPONENTS", "PACKAGES", "MIDDLEWARE", "BACKENDS")
_LISTS = re.compile(rf"[A-Z0-9_]*({'|'.join(LISTS)})")
"""Names of settings whose items are modules, even if an item is a single word."""

_OF_CLASSES = re.compile(r"(?:\w+_)?(package|namespace|module|plugin)s?", re.IGNORECASE)
"""Names of attributes of classes whose values are modules."""
_IN_CLASSES = tuple(
    re.compile(word + rb"s?\s*[:=]") for word in (b"package", b"namespace", b"module", b"plugin")
)
"""Match such a name in a source in lower case. What is before it on its line is looked at afterwards. Each
begins with plain bytes, so that four searches are many times as fast as one."""
_BEFORE = re.compile(rb"\s*(?:\w+_)?")

DISCOVERS = frozenset({"autodiscover_tasks", "autodiscover_modules"})
"""Calls that import a module of each package or app that has one."""

_ALL_APPS = (DJANGO_APPS, "get_app_configs")
"""Stand in an expression for the names of all apps."""

ATTACHES = frozenset({"attach", "attach_stub", "_LazyModule", "LazyModule", "lazy_attach"})
"""Calls that import submodules of a package when they are used (lazy_loader, transformers)."""

SERVERS = frozenset({"WSGI_APPLICATION", "ASGI_APPLICATION"})
"""Django's settings that name what a web server loads. A job does not load it."""


def settings_lists(tree: ast.Module, source: bytes) -> Iterator[Import]:
    """Yields the names that settings at the top of a module list (`INSTALLED_APPS = [...]`), and classes."""
    for statement in tree.body:
        match statement:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=value)
                | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
                | ast.AugAssign(target=ast.Name(id=name), value=value)
            ) if is_list(name):
                yield from items(name, value)
            case ast.Assign(targets=[ast.Name(id="DATABASES")], value=value):
                yield from _engines(value)
            case _:
                continue
    if _may_have_class_words(source.lower()):
        yield from _class_words(tree)


def _engines(databases: ast.expr) -> Iterator[Import]:
    """Yields the modules of the databases that Django's settings name; Django imports `base` of each."""
    for node in walk(databases):
        for key, value in zip(node.keys, node.values, strict=True) if isinstance(node, ast.Dict) else ():
            match key, value:
                case ast.Constant(value="ENGINE"), ast.Constant(value=str(name)) if "." in name:
                    yield Import(value.lineno, ModuleText(f"{name}.base", is_listed=True))
                case _:
                    continue


def _may_have_class_words(lowered: bytes) -> bool:
    """Returns whether a name that a class may have begins a line."""
    return any(
        _BEFORE.fullmatch(lowered, lowered.rfind(b"\n", 0, found.start()) + 1, found.start())
        for word in _IN_CLASSES
        for found in word.finditer(lowered)
    )


def _class_words(tree: ast.Module) -> Iterator[Import]:
    """Yields the modules that attributes of classes name by single words, for a base class that imports them.

    `package = "extra"` and `modules = ["one", "two"]` name `extra.one` and `extra.two` too.
    """
    for node in (each for each in walk(tree) if isinstance(each, ast.ClassDef)):
        packages, modules = dict[str, int](), dict[str, int]()
        for each in node.body:
            match each:
                case (
                    ast.Assign(targets=[ast.Name(id=name)], value=value)
                    | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
                ) if found := _OF_CLASSES.fullmatch(name):
                    words = modules if found[1] == "module" else packages
                    words.update((text, line) for text, line in texts(value) if _is_name(text))
                case _:
                    continue
        joined = {f"{package}.{name}": line for package in packages for name, line in modules.items()}
        for word, line in {**packages, **modules, **joined}.items():
            yield Import(line, ModuleText(word))


def server_lines(tree: ast.Module) -> set[int]:
    """Returns the lines of settings that only a web server reads."""
    return {
        statement.lineno
        for statement in tree.body
        if isinstance(statement, ast.Assign)
        and any(isinstance(target, ast.Name) and target.id in SERVERS for target in statement.targets)
    }


@lru_cache(1024)
def is_list(setting: str) -> bool:
    """Returns whether a setting lists modules."""
    return _LISTS.fullmatch(setting) is not None


def items(setting: str, value: ast.expr) -> Iterator[Import]:
    """Yields the modules that a setting lists."""
    found = {text: line for text, line in texts(value) if _is_name(text)}
    for text, line in found.items():
        if setting == DJANGO_APPS:
            yield Import(line, DjangoApp(text, DJANGO_ADMIN in found))
        else:
            yield Import(line, ModuleText(text, is_listed=True))


def discovered(call: ast.Call, names: NameValues) -> Iterator[Import | UnknownImport]:
    """Yields the modules that `autodiscover_tasks` (Celery) and `autodiscover_modules` (Django) import."""
    packages, related = argument_of(call, 0, "packages"), argument_of(call, 1, "related_name")
    if last_name(call.func) == "autodiscover_modules":
        found = [text for each in call.args for text in names.texts(each)]
        packages = None
    elif isinstance(related, ast.Constant) and related.value is None:
        found = [Text("")]
    else:
        found = [Text("tasks")] if related is None else list(names.texts(related))
    packages = packages.body if isinstance(packages, ast.Lambda) else packages
    in_apps = packages is None or any(word in ast.unparse(packages) for word in _ALL_APPS)
    for text in found:
        if not text.whole:
            yield UnknownImport(call.lineno, ast.unparse(call), text.value)
        elif packages is None or in_apps:
            yield Import(call.lineno, OfEachApp(text.value))
        else:
            yield from (_of_package(call, package, text.value) for package in names.items(packages))


def _of_package(call: ast.Call, package: Text, related: str) -> Import | UnknownImport:
    """Returns the import of a module in a package; the package itself counts if it has none."""
    name = ".".join(filter(None, [package.value, related]))
    if package.own and package.value[:1] in {"", "."}:
        return Import(call.lineno, ModuleText(f".{name.lstrip('.')}", is_listed=True))
    if package.own or not is_known(name):
        return UnknownImport(call.lineno, ast.unparse(call), name)
    return Import(call.lineno, ModuleText(name, is_listed=True) if package.whole else Pattern(name))


def may_be_lazy(words: bytes) -> bool:
    """Returns whether a source has any of the words that `lazy_tables` looks for."""
    return b"__getattr__" in words or b"attach" in words or b"LazyModule" in words


def lazy_tables(tree: ast.Module, *, is_package: bool) -> Iterator[Import]:
    """Yields the submodules that a package with `__getattr__` or an attached loader may import."""
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
            yield from (each for each in walk(statement) if isinstance(each, ast.Call))


def texts(node: ast.AST) -> Iterator[tuple[str, int]]:
    """Yields the strings in `node` and their lines."""
    for each in walk(node):
        if isinstance(each, ast.Constant) and isinstance(each.value, str):
            yield each.value, each.lineno


def _is_name(text: str) -> bool:
    return text.isascii() and all(part.isidentifier() for part in text.split("."))
