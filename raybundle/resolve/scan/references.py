"""Understands what is given code, or a reference to it, as text: `exec`, `resolve_name`, `python -m`."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from raybundle.resolve.evaluate.calls import argument_of
from raybundle.resolve.evaluate.chains import last_name
from raybundle.resolve.evaluate.name_values import ANY, is_known
from raybundle.resolve.evaluate.parsing import children, walk
from raybundle.resolve.facts import PLAIN, Import, ModuleText, Pattern, Statement, UnknownImport
from raybundle.resolve.scan.commands.commands import IN_SOURCE, IN_WORDS, Commands
from raybundle.resolve.scan.strings import dotted_literals
from raybundle.resolve.scan.tables import LISTS, is_list, items

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from raybundle.resolve.evaluate.calls import Calls
    from raybundle.resolve.evaluate.name_values import NameValues, Text
    from raybundle.resolve.facts import Guard

_TAKES = {
    "celery.utils.imports.symbol_by_name": (0, "name"),
    "django.utils.module_loading.import_string": (0, "dotted_path"),
    "hydra.utils.get_class": (0, "path"),
    "hydra.utils.get_method": (0, "path"),
    "hydra.utils.get_object": (0, "path"),
    "hydra.utils.get_static_method": (0, "path"),
    "importlib.metadata.EntryPoint": (1, "value"),
    "importlib_metadata.EntryPoint": (1, "value"),
    "kombu.utils.imports.symbol_by_name": (0, "name"),
    "pkgutil.resolve_name": (0, "name"),
    "pydoc.locate": (0, "path"),
    "pydoc.safeimport": (0, "path"),
    "sqlalchemy.dialects.registry.register": (1, "modulepath"),
    "traitlets.utils.importstring.import_item": (0, "name"),
    "twisted.python.reflect.namedAny": (0, "name"),
    "unittest.TestProgram": (0, "module"),
    "unittest.main": (0, "module"),
    "werkzeug.utils.import_string": (0, "import_name"),
    "zope.dottedname.resolve.resolve": (0, "name"),
}
"""Functions that import what a text refers to, and the position and name of that argument."""
_METHODS = {
    "config_from_object": (0, "obj"),
    "from_object": (0, "obj"),
    "loadTestsFromName": (0, "name"),
    "set_forkserver_preload": (0, "module_names"),
}
"""The same for methods of any object. They also take the object itself."""
_CODE: dict[str, tuple[tuple[int, str], ...]] = {
    "cProfile.run": ((0, "statement"),),
    "cProfile.runctx": ((0, "statement"),),
    "code.compile_command": ((0, "source"),),
    "codeop.compile_command": ((0, "source"),),
    "pdb.run": ((0, "statement"),),
    "profile.run": ((0, "statement"),),
    "profile.runctx": ((0, "statement"),),
    "timeit.Timer": ((0, "stmt"), (1, "setup")),
    "timeit.repeat": ((0, "stmt"), (1, "setup")),
    "timeit.timeit": ((0, "stmt"), (1, "setup")),
}
"""Functions that run code which they are given as text, and the positions and names of these arguments."""
_EXAMPLES = frozenset({"doctest.testmod", "doctest.DocTestSuite"})
"""Functions that run the examples in docstrings of a module."""
_EXAMPLE = re.compile(r"^\s*(?:>>>|\.\.\.)[ ](.*import.*)$", re.MULTILINE)
_EXECUTES = frozenset({"exec", "eval", "builtins.exec", "builtins.eval"})
_RUNS = frozenset({"runsource", "runcode", "run_cell"})
_COMPILES = frozenset({"compile", "compile_command"})
_READS = frozenset({"open", "read", "read_text", "read_bytes", "compile"})
_TARGET = "_target_"
"""The key by which hydra's configurations name what they make."""
_LOGGED = ("()", "class")
"""The same in configurations of `logging`."""
_FUNCTIONS = frozenset({*_TAKES, *_CODE, *_EXAMPLES, *_EXECUTES})
_OF_ANY = frozenset({*_METHODS, *_RUNS})
LAST_NAMES = frozenset(name.rpartition(".")[2] for name in _FUNCTIONS) | _OF_ANY
"""Attributes that a call of interest ends with."""
_PARTS = (
    re.compile(rb"\.\{(?<=\w\.\{)"),
    re.compile(rb"\{\w+\}\.\w"),
    re.compile(rb"['\"][\w!/:]*\.[\w.:]*[ ]?['\"]"),
)
"""One of them is in each source that puts a dotted name together: `PACKAGE + ".views"`, `f"{PACKAGE}.views"`.
Three searches, each for what it begins with, take a third of the time of one."""
_OF_INTEREST = {
    word: re.compile(form)
    for word, form in (
        *IN_SOURCE.items(),
        (b" pytest ", rb"pytest\.main\b(?<!\wpytest\.main)"),
        (b" discover ", rb"\.discover\("),
        (b" m ", rb"-m(?<=['\"]-m)['\"]"),
        (b" c ", rb"-c(?<=['\"]-c)['\"]"),
        (b"_target_", rb"['\"]_target_['\"]"),
        (b"", rb"\(\)(?<=['\"]\(\))['\"]"),
        (b"executable", rb"sys\.executable"),
        (b"python", rb"python(?<!\wpython)[\d.]* "),
        (b" pkg ", rb"['\"]pkg://"),
        (b" module ", rb"['\"]module://"),
    )
}
"""Stand in a source that gives commands or configurations as text, by what its words have then."""
_CELERY = (b" celery ", b" Celery ", b" broker_url ", b" beat_schedule ", b" CELERY_")
"""Words of a source with settings of Celery."""
_OF_ANY_INTEREST = (
    *(*IN_WORDS, *_CELERY, b" INSTALLED_APPS ", b"_PLUGINS ", b"_EXTENSIONS ", b"URLCONF "),
    *(b"SETTINGS_MODULE ", b"CONFIG_MODULE ", b"_MODULES "),
)
"""Words of a source that gives commands or settings."""
_VARIABLES = re.compile(r"\w*(?:SETTINGS|CONFIG)_MODULE|\w*URLCONF")
"""Settings and variables of the environment whose value is a module, even if it is a single word."""
_SETTINGS = (b"SETTINGS_MODULE", b"CONFIG_MODULE", b"URLCONF", *(each.encode() for each in LISTS))
"""One of them is in each source with such settings, or with those that list modules."""
_OF_CELERY = frozenset({"imports", "include", "CELERY_IMPORTS", "CELERY_INCLUDE"})
"""Settings of Celery that list modules."""
_SCHEMES = ("pkg://", "module://")
"""One begins the place of hydra's configuration if that is in a package, one a backend of matplotlib."""
_HAS_SCHEME = re.compile(rb"(?:pkg|module)://")
_SETS = frozenset({"setdefault", "putenv", "setenv"})
_LOGS = (b"dictConfig", b"LOGGING")
"""A source with one of them configures `logging`."""
_TAG = "!!python/"
"""Begins the tags by which YAML makes Python objects."""
_PYTEST_MAIN = {"pytest.main"}
_NO_NAME = re.compile(r"[\s-]")
"""Stands in what is no name of a module, such as the classes of an HTML element."""
_TEXTS = (ast.Constant, ast.BinOp, ast.JoinedStr, ast.Call, ast.Subscript, ast.List, ast.Tuple)
"""Expressions that may be text, or several."""
_HOLE = "raybundle_unknown_part"
"""Stands for what is unknown in code."""


@dataclass(slots=True)
class References:
    """What the texts in one file refer to."""

    calls: Calls
    names: NameValues
    found: list[Import] = field(default_factory=list)
    unknown: list[UnknownImport] = field(default_factory=list)

    def run(self, source: bytes, words: bytes) -> Commands:
        """Fills `found` and `unknown`, and returns the commands.

        They know these references, but not the reverse: a tree in a cycle would wait for the collector.
        """
        commands = Commands(
            self.calls, self.names, self._take, lambda place, code: self._execute(place, code, None)
        )
        for call, guard, names in self.calls.with_meaning():
            last = last_name(call.func)
            if last in _OF_ANY or not names.isdisjoint(_FUNCTIONS):
                self._call(call, guard, names, last)
        self._configure(source, words, commands)
        parts: set[int] = set()
        tags = _TAG.encode() in source
        for node in self.names.of(_COMPOSED) if any(each.search(source) for each in _PARTS) else ():
            if not isinstance(node, ast.BinOp) or type(node.op) in _COMPOSING:
                self._composed(node, is_part=id(node) in parts)
            if tags:
                parts.update(map(id, children(node)))
        return commands

    def _configure(self, source: bytes, words: bytes, commands: Commands) -> None:
        """Takes what lists, calls, tables and settings of a source name, if it has any word of them."""
        logs = any(word in words for word in _LOGS)
        if not logs and not _is_of_interest(source, words):
            return
        keys = {_TARGET, *(_LOGGED if logs else ())}
        lists = _OF_CELERY if any(word in words for word in _CELERY) else frozenset[str]()
        sets = bool(lists) or any(word in words for word in _SETTINGS)
        kinds = _CONFIGURING if sets else _COMMANDING
        for node in self.names.of(kinds | {ast.Constant} if _HAS_SCHEME.search(source) else kinds):
            self._configured(node, keys, commands)
            for name, value in _settings(node) if sets else ():
                self._setting(name, value, lists)

    def _call(self, call: ast.Call, guard: Guard, names: set[str], last: str) -> None:
        if not names.isdisjoint(_EXECUTES) or last in _RUNS:
            self._execute(call, argument_of(call, 0, "source"), guard)
        elif runs := next((_CODE[each] for each in names if each in _CODE), None):
            for each in runs:
                self._execute(call, argument_of(call, *each), None)
        elif not names.isdisjoint(_EXAMPLES):
            self._examples(call)
        elif place := next((_TAKES[each] for each in names if each in _TAKES), None):
            self._take(call, argument_of(call, *place))
        elif last in _METHODS and self._is_text(given := argument_of(call, *_METHODS[last])):
            self._take(call, given)

    def _examples(self, call: ast.Call) -> None:
        """Takes the imports of the examples in the file's own docstrings; those of others are not known."""
        if argument_of(call, 0, "m") is not None:
            self.unknown.append(UnknownImport(call.lineno, ast.unparse(call), ANY))
            return
        for node in self.names.nodes:
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                for line in _EXAMPLE.findall(node.value):
                    self._add(node, statements(line), None)

    def _configured(self, node: ast.AST, names: Collection[str], commands: Commands) -> None:
        match node:
            case ast.List() | ast.Tuple():
                commands.listed(node)
            case ast.Call(args=[ast.List(elts=words), *_]) if self.calls.qualified(node.func) & _PYTEST_MAIN:
                commands.tests(node, words)
            case ast.Call(func=ast.Attribute(attr="discover")) if self._uses_unittest():
                start, pattern = argument_of(node, 0, "start_dir"), argument_of(node, 1, "pattern")
                given = [("-s", start), ("-p", pattern or ast.Constant("test*.py"))]
                commands.tests(node, [part for each in given for part in _option(*each)], "unittest")
            case ast.Call():
                commands.call(node)
            case ast.Dict(keys=keys, values=values):
                for key, value in zip(keys, values, strict=True):
                    if isinstance(key, ast.Constant) and key.value in names and self._is_text(value):
                        self._take(value, value)
            case ast.Constant(value=str(text)) if text.startswith(_SCHEMES):
                name = text.partition("://")[2].replace("/", ".")
                if all(part.isidentifier() for part in name.split(".")):
                    self.found.append(Import(node.lineno, ModuleText(name, is_listed=True)))
            case _:
                return

    def _uses_unittest(self) -> bool:
        targets = (target for each in self.calls.bindings.values() for target in each)
        return any(each.partition(".")[0] == "unittest" for each in targets)

    def _setting(self, name: str, value: ast.expr, lists: Collection[str]) -> None:
        """Takes the module, or the list of modules, that a setting names."""
        if _VARIABLES.fullmatch(name) and self._is_text(value):
            self._take(value, value)
        elif is_list(name):
            self.found += items(name, value)
        elif name in lists and isinstance(value, (ast.List, ast.Tuple)):
            for each in filter(self._is_text, value.elts):
                self._take(each, each)

    def _is_text(self, value: ast.expr | None) -> bool:
        """Returns whether a value may be text, and not a function or class by its name."""
        match value:
            case ast.Name(id=name):
                return bool(self.names.bindings(name))
            case _:
                return isinstance(value, _TEXTS)

    def _composed(self, node: ast.BinOp | ast.JoinedStr, *, is_part: bool) -> None:
        """Takes a dotted name that is put together of parts which are all known, or a tag of YAML."""
        for text in self.names.texts(node):
            may_be_dotted = text.whole and ("." in text.value or ":" in text.value)
            for name in dotted_literals(repr(text.value).encode()).values() if may_be_dotted else ():
                self.found.append(Import(node.lineno, ModuleText(name)))
            if _TAG in text.value and not text.whole and not is_part:
                self._refer(node, text.value.partition(_TAG)[2].partition(":")[2].split(" ")[0])

    def _take(self, place: ast.expr, argument: ast.expr | None) -> None:
        """Takes what a text refers to: what is not known of it may be anything below what is."""
        given = argument.elts if isinstance(argument, (ast.List, ast.Tuple)) else [argument]
        for text in (text for each in given if each is not None for text in self.names.texts(each)):
            self._refer(place, ANY if text.own else text.value.strip())

    def _refer(self, place: ast.expr, name: str) -> None:
        start = name.partition(ANY)[0]
        if "." in start.partition(":")[0] and ":" in start:
            name = start.partition(":")[0]  # only the attribute is not known
        if ANY not in name and name:
            self.found.append(Import(place.lineno, ModuleText(name, is_listed=True)))
        elif "." in start and ":" not in start:
            before, _, after = name.partition(":")[0].rpartition(ANY)
            self.found.append(
                Import(place.lineno, Pattern(before + ANY + after.partition(".")[0].rstrip("(")))
            )
        elif not _NO_NAME.search(start):
            self.unknown.append(UnknownImport(place.lineno, ast.unparse(place), name))

    def _execute(self, place: ast.expr, code: ast.expr | None, guard: Guard | None) -> None:
        """Takes the imports of code that is text; nothing is known of what a file or a variable part has."""
        for each in self._compiled(code) if code is not None else ():
            self._execute_text(place, each, guard)

    def _compiled(self, code: ast.expr) -> list[ast.expr]:
        """Returns the source of code that `compile` makes, also under a name."""
        match code:
            case ast.Call(args=[source, *_]) if last_name(code.func) in _COMPILES:
                return [source]
            case ast.Name(id=name):
                values = [each for each in self.names.bindings(name) if isinstance(each, ast.Call)]
                return [source for each in values for source in self._compiled(each)] or [code]
            case _:
                return [code]

    def _execute_text(self, place: ast.expr, code: ast.expr, guard: Guard | None) -> None:
        texts = list(self.names.texts(code))
        if all(each.whole and not each.own for each in texts):
            for each in texts:
                self._add(place, statements(each.value), guard)
        elif forms := _with_holes(texts):
            self._add(place, forms, guard)
        elif self._reads(code) or any("import" in each.value for each in texts):
            self.unknown.append(UnknownImport(place.lineno, ast.unparse(place)))

    def _reads(self, code: ast.expr, depth: int = 2) -> bool:
        """Returns whether code comes from a file, or is compiled, also under a name."""
        for each in walk(code):
            match each:
                case ast.Call(func=function) if last_name(function) in _READS:
                    return True
                case ast.Name(id=name) if depth and any(
                    self._reads(value, depth - 1) for value in self.names.bindings(name) if value is not None
                ):
                    return True
                case _:
                    continue
        return False

    def _add(self, place: ast.expr, forms: Iterable[Statement | Pattern], guard: Guard | None) -> None:
        for form in forms:
            if guard is None and isinstance(form, Statement):
                for name in (form.name, *(f"{form.name}.{each}" for each in form.members)):
                    self.found.append(Import(place.lineno, ModuleText(name, is_listed=True)))
            else:
                self.found.append(Import(place.lineno, form, guard or PLAIN))


_COMMANDING = frozenset({ast.List, ast.Tuple, ast.Call, ast.Dict})
"""The nodes of which a command may be part."""
_CONFIGURING = _COMMANDING | {ast.Assign, ast.keyword}
"""The nodes of which a setting may be part as well."""
_COMPOSED = frozenset({ast.BinOp, ast.JoinedStr})
_COMPOSING = frozenset({ast.Add, ast.Mod})


def _option(name: str, value: ast.expr | None) -> list[ast.expr]:
    return [ast.Constant(name), value] if value is not None else []


def _is_of_interest(source: bytes, words: bytes) -> bool:
    return any(word in words for word in _OF_ANY_INTEREST) or any(
        word in words and form.search(source) for word, form in _OF_INTEREST.items()
    )


def _settings(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """Yields what a node sets by name: a variable, an item, an attribute, an option of a call."""
    match node:
        case ast.Assign(targets=[ast.Name(id=name) | ast.Attribute(attr=name)], value=value):
            yield name, value
        case ast.Assign(targets=[ast.Subscript(slice=ast.Constant(value=str(name)))], value=value):
            yield name, value
        case ast.keyword(arg=str(name), value=value):
            yield name, value
        case ast.Dict(keys=keys, values=values):
            for key, value in zip(keys, values, strict=True):
                if isinstance(key, ast.Constant) and isinstance(key.value, str):
                    yield key.value, value
        case ast.Call(func=function, args=[ast.Constant(value=str(name)), value, *_]):
            if last_name(function) in _SETS or isinstance(value, ast.Constant):
                yield name, value
        case _:
            return


def _with_holes(texts: Iterable[Text]) -> list[Statement | Pattern]:
    """Returns what code imports if parts of names in it are unknown; nothing if more is unknown."""
    found: list[Statement | Pattern] = []
    for each in texts:
        forms = list(statements(each.value.replace(ANY, _HOLE)))
        names = [".".join([form.name, *form.members[: _HOLE in form.members]]) for form in forms]
        if each.own or not forms or not all(is_known(name.replace(_HOLE, ANY)) for name in names):
            return []
        for form, name in zip(forms, names, strict=True):
            found.append(Pattern(name.replace(_HOLE, ANY)) if _HOLE in name else form)
    return found


def statements(text: str) -> Iterator[Statement]:
    """Yields the import statements, and the calls of `__import__`, in code that is text."""
    if "import" not in text:
        return
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return  # a format, or code for another program
    for node in walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (Statement(each.name, rule="import-module") for each in names)
            case ast.ImportFrom(module=str(module), names=names, level=level):
                members = tuple(each.name for each in names)
                yield Statement("." * level + module, members, "import-module")
            case ast.Call(func=ast.Name(id="__import__"), args=[ast.Constant(value=str(name)), *_]):
                yield Statement(name, rule="import-module")
            case _:
                continue
