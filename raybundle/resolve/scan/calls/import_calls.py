"""Understands calls that import: `import_module`, walks, resources, path edits."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from raybundle.resolve.evaluate.calls import argument_of
from raybundle.resolve.evaluate.chains import last_name
from raybundle.resolve.evaluate.name_values import ANY, NameValues, Text, is_known
from raybundle.resolve.evaluate.parsing import walk
from raybundle.resolve.facts import (
    Guard,
    Import,
    ModuleText,
    PackageWalk,
    Pattern,
    Statement,
    UnknownImport,
)
from raybundle.resolve.scan.calls import metadata
from raybundle.resolve.scan.calls.modules import IMPORTERS, ModuleNames
from raybundle.resolve.scan.guards import in_branch
from raybundle.resolve.scan.tables import DISCOVERS, discovered

if TYPE_CHECKING:
    from collections.abc import Iterable

    from raybundle.resolve.evaluate.calls import Calls
    from raybundle.resolve.facts import Form, Walks

_NAME_KEYWORDS = ("name", "mod_name", "fullname")
_LOADERS = frozenset(
    [
        *("runpy.run_path", "importlib.util.spec_from_file_location", "imp.load_source"),
        *("importlib.machinery.SourceFileLoader", "zipimport.zipimporter"),
        *("doctest.testfile", "doctest.DocFileSuite"),
    ]
)
"""Calls that run a file by its path. Such a module has no name on `sys.path`."""

_LOOKS = "importlib.util.find_spec"
"""Imports the packages around a module and may not find the module."""
_LOADS = frozenset({"module_from_spec", "exec_module", "load_module", "LazyLoader"})
"""Calls that load a module which was looked for."""

_LOADING = re.compile(r"(?:\w+_)?(?:load|import)(?:_\w+)?")
"""Names of functions of any library that may import what they are given."""

_WALKS = {"pkgutil.iter_modules": False, "pkgutil.walk_packages": True}
"""Whether a walk descends into subpackages."""
_TAKES_ALL = frozenset(
    [
        "dagster.load_assets_from_package_name",
        "kedro.framework.project.configure_project",
        "werkzeug.utils.find_modules",
    ]
)
"""Functions that import a package by its name, or name all that is in it."""
_RESOURCES = (
    *("importlib.resources.", "importlib_resources.", "pkgutil.get_data", "pkg_resources.resource_"),
    *("jinja2.PackageLoader", "jinja2.loaders.PackageLoader", "hydra.initialize_config_module"),
)
PATH_EDITS = frozenset(
    f"sys.path.{name}" for name in ("append", "insert", "extend", "remove", "pop", "clear", "reverse")
) | {"site.addsitedir"}

LAST_NAMES = frozenset(
    name.rpartition(".")[2] for name in (*IMPORTERS, *_LOADERS, _LOOKS, *_WALKS, *_TAKES_ALL, *PATH_EDITS)
) | frozenset(
    [
        *("syspath_prepend", "patch", "object", "setattr"),
        *(*metadata.LAST_NAMES, *_LOADS, *DISCOVERS, "initialize_config_module"),
        *("files", "path", "contents", "is_resource", "as_file", "get_data"),
        *("open_text", "open_binary", "read_text", "read_binary", "PackageLoader"),
        *("load", "load_plugin", "load_package", "load_backend", "import_from_cwd"),
        *("resource_filename", "resource_string", "resource_stream", "resource_exists", "resource_listdir"),
    ]
)
"""The last names of these functions."""


@dataclass(slots=True)
class DynamicImports:
    """What the calls of one file import, and the calls whose module is unknown."""

    calls: Calls
    names: NameValues
    found: list[Import] = field(default_factory=list)
    unknown: list[UnknownImport] = field(default_factory=list)
    walks: dict[int, Walks] = field(default_factory=dict)
    """How each line walks that walks over a package which is not known."""
    given: list[int] = field(default_factory=list)
    """Lines that read the package that a function is given."""
    asked: list[ast.expr] = field(default_factory=list)
    """Expressions that ask for a distribution by a name that only the running program knows."""
    modules: ModuleNames = field(init=False)

    def __post_init__(self) -> None:
        self.modules = ModuleNames(self.calls, self.names)

    def run(self, words: bytes) -> None:
        """Fills `found` and `unknown`."""
        asked = metadata.MetadataCalls(self.calls, self.names, self.found, self.asked)
        for call, guard, names in self.calls.with_meaning():
            walks = names & _WALKS.keys()
            if not names.isdisjoint(IMPORTERS):
                self._importer(call, guard)
            elif not names.isdisjoint(_LOADERS):
                self.unknown.append(UnknownImport(call.lineno, ast.unparse(call)))
                self._resource(call, guard, len(call.args))
            elif _LOOKS in names:
                self._look(call, guard)
            elif walks:
                self._walk(call, deep=_WALKS[min(walks)])
            elif not asked.take(call, names):
                self._framework(call, names, guard)
        asked.pick(words)

    def _framework(self, call: ast.Call, names: set[str], guard: Guard) -> None:
        """Takes what functions of libraries read or import."""
        last = last_name(call.func)
        if any(name.startswith(_RESOURCES) for name in names):
            self._resource(call, guard)
        elif last in DISCOVERS:
            self._discover(call)
        elif not names.isdisjoint(_TAKES_ALL):
            self._take_all(call)
        elif len(call.args) == 1 and not call.keywords and _LOADING.fullmatch(last):
            self._word(call, call.args[0])

    def _word(self, call: ast.Call, argument: ast.expr) -> None:
        """Takes a module that a library loads by one word: `spacy.load("model_package")`."""
        for text in self.names.texts(argument) if isinstance(argument, (ast.Constant, ast.Name)) else ():
            if not text.own and text.value.isidentifier():
                self.found.append(Import(call.lineno, ModuleText(text.value)))

    def _take_all(self, call: ast.Call) -> None:
        keywords = ("package_name", "import_path")
        given = next(filter(None, (argument_of(call, 0, each) for each in keywords)), None)
        for text in self.names.texts(given):
            if text.whole and not text.own:
                self.found.append(Import(call.lineno, Pattern(f"{text.value}.{ANY}")))

    def _discover(self, call: ast.Call) -> None:
        for each in discovered(call, self.names):
            if isinstance(each, Import):
                self.found.append(each)
            else:
                self.unknown.append(each)

    def follow_aliases(self) -> None:
        """Looks at importers that are not called where they are named: `im = import_module`, `map(…)`."""
        placed = {id(call.func) for call, _ in self.calls.seen}
        guards = {id(call): guard for call, guard in self.calls.seen}
        for node in self.names.nodes:
            match node:
                case ast.Call(func=ast.Name() | ast.Attribute() as function) if id(node) not in guards:
                    placed.add(id(function))  # in a branch that the target never runs
                case ast.Call(func=ast.Name(id=name)) if self._is_alias(name):
                    self._importer(node, guards[id(node)])
                case ast.Call(func=ast.Name(id="map"), args=[function, values]) if self._is_importer(
                    function
                ):
                    placed.add(id(function))
                    self._take(self.names.items(values), node, values, guards[id(node)])
                case ast.Assign(targets=[ast.Name()], value=value):
                    placed.add(id(value))
                case ast.Name(ctx=ast.Load()) | ast.Attribute(ctx=ast.Load()):
                    if id(node) not in placed and self._is_importer(node):
                        self.unknown.append(UnknownImport(node.lineno, ast.unparse(node), ANY))
                case _:
                    continue

    def _is_alias(self, name: str) -> bool:
        if name in self.calls.bindings:
            return False
        return any(value is not None and self._is_importer(value) for value in self.names.bindings(name))

    def _is_importer(self, node: ast.expr) -> bool:
        names = self.calls.qualified(node) if isinstance(node, (ast.Name, ast.Attribute)) else set()
        return not names.isdisjoint(IMPORTERS)

    def _importer(self, call: ast.Call, guard: Guard) -> None:
        argument = next(filter(None, (argument_of(call, 0, keyword) for keyword in _NAME_KEYWORDS)), None)
        self._take(self.names.texts(argument), call, argument, guard)

    def _take(self, found: Iterable[Text], call: ast.Call, argument: ast.expr | None, guard: Guard) -> None:
        texts = list(found)
        level = _level(call)
        under = (
            guard if len(texts) == 1 else in_branch(guard)
        )  # of several names, perhaps only one is imported
        for text in texts:
            for name in [ANY] if level is None else self.modules.absolute(text, call):
                whole = "." * (level or 0) + name
                if is_known(whole):
                    self._add(call, self._form(whole, call, argument), under)
                    self._unknown_members(call, whole)
                elif not self._settled(argument):
                    self.unknown.append(UnknownImport(call.lineno, ast.unparse(call), name))

    def _look(self, call: ast.Call, guard: Guard) -> None:
        """Takes a first-party module that is looked for. A distribution that is looked for is not needed."""
        for text in self.names.texts(argument_of(call, 0, "name")):
            for name in self.modules.absolute(text, call):
                if is_known(name) and ANY not in name:
                    self.found.append(Import(call.lineno, ModuleText(name)))
                elif any(last_name(each.func) in _LOADS for each, _ in self.calls.seen):
                    self._take([text], call, argument_of(call, 0, "name"), guard)

    def _form(self, name: str, call: ast.Call, argument: ast.expr | None) -> Form:
        if ANY in name:
            return Pattern(name, self._is_one_level(call, argument))
        return Statement(name, self._members(call), "import-module")

    def _add(self, call: ast.Call, form: Form, guard: Guard) -> None:
        self.found.append(Import(call.lineno, form, Guard(guard.optional, deferred=guard.deferred)))

    def _is_one_level(self, call: ast.Call, argument: ast.expr | None) -> bool:
        """Returns whether the unknown part is the attribute of `__getattr__`, which has no dot (PEP 562)."""
        for each in self.names.tree.body:
            match each:
                case ast.FunctionDef(name="__getattr__", args=ast.arguments(args=[ast.arg(arg=attribute)])):
                    inside = each.lineno <= call.lineno <= (each.end_lineno or each.lineno)
                    names = walk(argument) if inside and argument else ()
                    if any(isinstance(node, ast.Name) and node.id == attribute for node in names):
                        return True
                case _:
                    continue
        return False

    def _members(self, call: ast.Call) -> tuple[str, ...]:
        """Returns the `fromlist` of `__import__`. `runpy` runs the main module of a package."""
        if "runpy.run_module" in self.calls.qualified(call.func):
            return ("__main__",)
        match argument_of(call, 3, "fromlist"):
            case ast.List(elts=elements) | ast.Tuple(elts=elements):
                return tuple(str(each.value) for each in elements if isinstance(each, ast.Constant))
            case _:
                return ()

    def _unknown_members(self, call: ast.Call, package: str) -> None:
        """Takes the modules that `fromlist` of `__import__` may name, if only a part of it is known."""
        match argument_of(call, 3, "fromlist"):
            case ast.List(elts=elements) | ast.Tuple(elts=elements):
                members = (each for each in elements if not isinstance(each, ast.Constant))
                for text in (text for each in members for text in self.names.texts(each) if not text.own):
                    form = Pattern(f"{package}.{text.value}", one_level=True)
                    self.found.append(Import(call.lineno, form))
            case _:
                return

    def _settled(self, argument: ast.expr | None) -> bool:
        """Returns whether the name comes from a walk over a package, which is an import of its own."""
        base = argument
        while isinstance(base, (ast.Attribute, ast.Subscript)):
            base = base.value
        values = self.names.bindings(base.id) if isinstance(base, ast.Name) else []
        return bool(values) and all(value is not None and self._is_walk(value) for value in values)

    def _is_walk(self, value: ast.expr) -> bool:
        while isinstance(value, (ast.Attribute, ast.Starred)):
            value = value.value
        return isinstance(value, ast.Call) and bool(self.calls.qualified(value.func) & _WALKS.keys())

    def _walk(self, call: ast.Call, *, deep: bool) -> None:
        walked = set(self.modules.walked(argument_of(call, 0, "path")))
        if not walked:
            self.walks[call.lineno] = "deep" if deep else "flat"
            self.unknown.append(UnknownImport(call.lineno, ast.unparse(call), ANY))
        for name in sorted(walked):
            self.found.append(Import(call.lineno, PackageWalk(name, deep)))

    def _resource(self, call: ast.Call, guard: Guard, position: int = 0) -> None:
        keywords = ("package", "anchor", "package_name", "config_module")
        given = next(filter(None, (argument_of(call, position, each) for each in keywords)), None)
        for text in self.names.texts(given):
            if text.own and not text.value:
                self._add(call, Statement(".", rule="resource"), guard)
            elif text.whole and text.value.replace(".", "").isidentifier():
                self._add(call, Statement(text.value, rule="resource"), guard)
            elif isinstance(given, ast.Name) and given.id not in self.calls.bindings:
                self.given.append(call.lineno)


def may_be_passed_on(source: bytes, listed: bytes, calls: Calls) -> bool:
    """Returns whether a source names an importer more often than it imports and calls it; comments count."""
    own = [name for name, targets in calls.bindings.items() if not targets.isdisjoint(IMPORTERS)]
    words = {"import_module", "__import__", *own}
    if not any(word.encode() in listed for word in words):
        return False
    named = re.findall(rb"\b(?:" + "|".join(map(re.escape, sorted(words))).encode() + rb")\b", source)
    return len(named) > len(own) + sum(last_name(call.func) in words for call, _ in calls.seen)


def _level(call: ast.Call) -> int | None:
    """Returns the fifth argument of `__import__`: how many packages up. None if it is not literal."""
    match argument_of(call, 4, "level"):
        case None:
            return 0
        case ast.Constant(value=int(level)):
            return level
        case _:
            return None
