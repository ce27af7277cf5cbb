"""Finds the paths that a source names, if they can be evaluated. It does not look at the disk."""

# Why strings: paths here are compared with those of the finder; pathlib would cost ten times as much.

from __future__ import annotations

import ast
import posixpath
import re
from bisect import bisect_left
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import TYPE_CHECKING, Literal

from raybundle.resolve.evaluate.chains import last_name
from raybundle.resolve.evaluate.files.branches import (
    BothBranches,
    bind_items,
    default_of_option,
    returning,
)
from raybundle.resolve.evaluate.files.lines import lines_of_interest
from raybundle.resolve.evaluate.files.origins import COMPUTED, KNOWN, PASSED, Origins
from raybundle.resolve.evaluate.files.places import (
    defaults,
    everything_in,
    files_of_query,
    given_paths,
    inside,
    is_found,
    may_be_folder,
    may_hold_folder,
    means_path,
    places,
    relative_path,
    takes_path,
)
from raybundle.resolve.evaluate.files.vocabulary import (
    BESIDE,
    DATABASE_FILES,
    DATABASES,
    DYNACONF,
    DYNACONF_FILES,
    GIVEN,
    LOOK_UPWARDS,
    OF_DYNACONF,
    OPTION_OF_JOB,
    READ_PREFIXES,
    READS,
    SETTINGS_FILES,
    is_directory,
    is_of_secrets,
    is_path_option,
    is_variable_of_directory,
    is_write,
)
from raybundle.resolve.evaluate.parsing import children
from raybundle.resolve.evaluate.symbolic import HERE, START, SymbolicScope
from raybundle.resolve.facts import ENVIRONMENT_FILE, Named, Opened, PathStart

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from raybundle.resolve.evaluate.path_values import Value


_SHOWN = 60
"""Characters of a call in a warning."""

_GLOBAL = re.compile(rb"global ([\w, ]+)")


def find_files(
    tree: ast.Module, source: bytes, words: bytes, name: str, reads: Mapping[ast.Call, ast.expr]
) -> tuple[tuple[Named, ...], tuple[Opened, ...]]:
    """Returns the paths in `source`, a file called `name`, and the files that it reads by unknown names.

    Both are sorted by line. What it writes is there for the directory, unless the source makes that itself.
    `reads` has the path that each call reads.
    """
    lines = sorted([*lines_of_interest(source, words), *(each.lineno for each in reads)])
    if not lines:
        return (), ()
    search = _Search(_rebound(source), lines, Origins(tree), reads)
    with suppress(RecursionError):  # a program made what nests so deep, and it names no file
        search.body(tree.body, SymbolicScope(START, {"__file__": f"{HERE}/{name}", "__name__": "__main__"}))
    found = {each for each in search.found if (each.place, each.path) not in search.written}
    found.update(
        Named(line, place, path, role="written")
        for (place, path), line in search.written.items()
        if "/" in path and (place, posixpath.dirname(path)) not in search.written
    )
    opened = {each for each, path in search.opened.items() if path not in search.made}
    return (
        tuple(sorted(found, key=lambda each: (each.line, each.place, each.path, not each.wide))),
        tuple(sorted(opened)),
    )


def _rebound(source: bytes) -> frozenset[str]:
    """Returns the names that functions may change at any time."""
    words = (found[1].decode(errors="replace") for found in _GLOBAL.finditer(source))
    return frozenset(name.strip() for each in words for name in each.split(","))


@dataclass(slots=True)
class _Search:
    volatile: frozenset[str]
    lines: list[int]
    """Those that may name a file. A statement without such a line is skipped."""
    origins: Origins
    reads: Mapping[ast.Call, ast.expr]
    found: set[Named] = field(default_factory=set)
    written: dict[tuple[PathStart, str], int] = field(default_factory=dict)
    """Paths that are only written, and the line of each."""
    opened: dict[Opened, str] = field(default_factory=dict)
    """Reads of unknown names, and the expression of each name."""
    made: set[str] = field(default_factory=set)
    """Expressions of unknown names that are written too."""

    def body(self, statements: list[ast.stmt], scope: SymbolicScope) -> None:
        """Visits statements with the values that names have then, and definitions with those at the end."""
        chosen = [each for each in statements if isinstance(each, _BINDS) or self._is_of_interest(each)]
        running = BothBranches(scope, self.volatile)
        scope.functions.update(returning(statements))
        for each in chosen:
            running.run([each])
            if isinstance(each, ast.ClassDef):
                self._members(each, scope)
            elif not isinstance(each, _DEFINITIONS):
                self.visit(each, scope, wide=False)
        for each in chosen:
            if isinstance(each, _DEFINITIONS):
                self.visit(each, scope, wide=False)

    def _is_of_interest(self, statement: ast.stmt) -> bool:
        marks = getattr(statement, "decorator_list", ())
        first = min(each.lineno for each in (statement, *marks)) if marks else statement.lineno
        last = statement.end_lineno or first
        match statement:
            case ast.FunctionDef(body=[ast.Expr(value=ast.Constant()) as text, _, *_]):
                return self._has_line(first, text.lineno - 1) or self._has_line(
                    (text.end_lineno or 0) + 1, last
                )
            case _:
                return self._has_line(first, last)

    def _has_line(self, first: int, last: int) -> bool:
        position = bisect_left(self.lines, first)
        return position < len(self.lines) and self.lines[position] <= last

    def visit(self, node: ast.AST, scope: SymbolicScope, *, wide: bool) -> None:
        """Notes the paths in a node. With `wide`, a directory or a name without a suffix counts too."""
        match node:
            case ast.Expr(value=ast.Constant()):
                return
            case ast.stmt() if not self._is_of_interest(node):
                return
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                self._function(node, scope)
            case ast.ImportFrom(module="dynaconf", names=names) if any(n.name == "settings" for n in names):
                self.found.update(Named(node.lineno, "start", each) for each in DYNACONF_FILES)
            case ast.Call():
                self._call(node, scope, wide=wide)
            case (
                ast.Constant(value=str() | bytes())
                | ast.JoinedStr()
                | ast.BinOp()
                | ast.ListComp()
                | ast.GeneratorExp()
                | ast.SetComp()
                | ast.DictComp()
            ):
                self._expression(node, scope, wide=wide)
            case ast.Name() | ast.Attribute() | ast.Subscript() if wide and self._take(
                node, scope, wide=wide
            ):
                return
            case _:
                for name, child in _parts(node):
                    self._option(name, child, scope, wide=wide and isinstance(node, (ast.List, ast.Tuple)))

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef, scope: SymbolicScope) -> None:
        """Visits a function without its annotations, which load nothing."""
        arguments = node.args
        for each in node.decorator_list:
            self.visit(each, scope, wide=False)
        for parameter, default in defaults(arguments):
            self.visit(default, scope, wide=takes_path(parameter))
        self.origins.around.append(node)
        inner = inside(scope, arguments)
        for name, default in (each for mark in node.decorator_list for each in default_of_option(mark)):
            inner.bind(name, scope.ways(default))
        self.body(node.body, inner)
        self.origins.around.pop()

    def _members(self, node: ast.ClassDef, scope: SymbolicScope) -> None:
        """Notes what a class gives to attributes, in its body and as it makes an object."""
        inner = scope.state()
        running = BothBranches(inner, self.volatile)
        for each in node.body:
            match each:
                case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                    running.run([each])
                    scope.add_member(name, inner.ways_of(name))
                case ast.FunctionDef(name="__init__" | "setup", args=arguments, body=body):
                    BothBranches(inside(scope, arguments), self.volatile).run(body)
                case _:
                    continue

    def _expression(self, node: ast.expr, scope: SymbolicScope, *, wide: bool) -> None:
        if not self._take(node, scope, wide=wide) and not isinstance(node, ast.Constant):
            loops = getattr(node, "generators", ())
            scope = scope.state() if loops else scope
            for each in loops:
                bind_items(scope, each.target, each.iter)
            for child in children(node):
                self.visit(child, scope, wide=isinstance(getattr(node, "op", None), ast.Div))

    def _call(self, node: ast.Call, scope: SymbolicScope, *, wide: bool) -> None:
        dotted = scope.dotted(node.func)
        if dotted.startswith(("sys.path.", "site.addsitedir")):
            return
        last = dotted.rpartition(".")[2] if isinstance(node.func, ast.Name) else last_name(node.func)
        self._found_by_itself(node, last, scope)
        for place, path in everything_in(node, last, scope):
            self.found.add(Named(node.lineno, place, path, wide=True))
        if node in self.reads:
            self._note_opened(node, self.reads[node], scope)
        if is_write(node, last):
            self._note_written(node, scope)
        elif self._take(node, scope, wide=wide or last in {"Path", "joinpath"} or is_path_option(node, last)):
            return
        reads = last in READS or last.startswith(READ_PREFIXES)
        if isinstance(node.func, ast.Attribute):
            self.visit(node.func.value, scope, wide=reads and last not in {"join", "read", "load", "loads"})
        else:
            self.visit(node.func, scope, wide=False)
        self._database(dotted, node, scope)
        if last == "chdir" and node.args:
            self._note(node.args[0], scope, "cwd")
            return
        for each in given_paths(node, last):
            self.visit(each, scope, wide=reads or may_be_folder(each, last, scope))
        for keyword in node.keywords:
            wide = reads or is_path_option(node, last) or may_be_folder(keyword, last, scope)
            self._option(keyword.arg or "", keyword.value, scope, wide=wide)

    def _found_by_itself(self, node: ast.Call, last: str, scope: SymbolicScope) -> None:
        """Notes what dotenv and dynaconf look for: a `.env`; `settings.local.toml` of `settings.toml`.

        The default of an option of the job may be a file, or an empty directory.
        """
        defaults_of = node.keywords if last in OPTION_OF_JOB else ()
        for default in (each.value for each in defaults_of if each.arg == "default"):
            found = (each for known in scope.values(default) for each in places(known))
            self.found.update(Named(node.lineno, place, path) for place, path in found)
        if last in LOOK_UPWARDS and not node.args and all(each.arg not in GIVEN for each in node.keywords):
            self.found.add(Named(node.lineno, "here", ENVIRONMENT_FILE))
        self.found.update(Named(node.lineno, "start", each) for each in DYNACONF_FILES if last in DYNACONF)
        given = node.keywords if last in OF_DYNACONF else ()
        for keyword in (each for each in given if each.arg in SETTINGS_FILES):
            for value in scope.values(keyword.value):
                for place, path in (each for item in _items(value) for each in places(item)):
                    stem, dot, suffix = path.rpartition(".")
                    self.found.add(Named(node.lineno, place, f"{stem}.local{dot}{suffix}"))

    def _option(self, name: str, value: ast.AST, scope: SymbolicScope, *, wide: bool) -> None:
        """Visits the value of an option, a key of a table, or a variable."""
        if isinstance(value, ast.expr) and (name == "cwd" or is_of_secrets(name)):
            self._note(value, scope, "cwd" if name == "cwd" else "secrets")
            return
        self.visit(value, scope, wide=wide or is_directory(name) or may_hold_folder(name, value))
        if name in BESIDE and isinstance(value, ast.expr):
            self._beside(value, scope)

    def _note(self, node: ast.expr, scope: SymbolicScope, role: Literal["cwd", "secrets"]) -> None:
        """Notes a directory that is not data."""
        for place, path in (each for value in scope.values(node) for each in places(value, whole=True)):
            self.found.add(Named(node.lineno, place, path, wide=True, role=role))

    def _database(self, function: str, node: ast.Call, scope: SymbolicScope) -> None:
        """Notes the files of a database that is named without its suffix."""
        for value in scope.values(node.args[0]) if function in DATABASES and node.args else ():
            for place, path in places(value):
                self.found.update(Named(node.lineno, place, f"{path}{each}") for each in DATABASE_FILES)

    def _note_written(self, node: ast.Call, scope: SymbolicScope) -> None:
        receiver = [node.func.value] if isinstance(node.func, ast.Attribute) else []
        for each in (*receiver, *node.args, *(keyword.value for keyword in node.keywords)):
            for value in (values := scope.values(each)):
                self.written.update(dict.fromkeys(places(value), node.lineno))
            if not values and isinstance(each, (ast.Name, ast.Attribute, ast.Call)):
                self.made.add(ast.unparse(each))

    def _note_opened(self, node: ast.Call, path: ast.expr, scope: SymbolicScope) -> None:
        """Notes a file that is read by a name that only the running program knows."""
        if isinstance(path, (ast.List, ast.Tuple)):  # the words of a command: most are no files
            found = (each for each in path.elts[1:] if self._origin(each, scope) == COMPUTED)
            origin = COMPUTED if next(found, None) else KNOWN
        else:
            origin = self._origin(path, scope)
        if origin in {COMPUTED, PASSED}:
            text = ast.unparse(node)
            shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
            self.opened[Opened(node.lineno, shown, origin == PASSED)] = ast.unparse(path)

    def _origin(self, path: ast.expr, scope: SymbolicScope) -> int:
        if all(each is not None and is_found(each) for each in scope.ways(path)):
            return KNOWN
        joined = isinstance(path, ast.Call) and scope.dotted(path.func) == "os.path.join"
        origin = self.origins.of(path, scope)
        return PASSED if joined and origin == KNOWN else origin

    def _beside(self, node: ast.expr, scope: SymbolicScope) -> None:
        for value in scope.values(node):
            if isinstance(value, str) and (path := relative_path(value, wide=True)) is not None:
                self.found.add(Named(node.lineno, "here", path, wide=True))

    def _take(self, node: ast.expr, scope: SymbolicScope, *, wide: bool) -> bool:
        """Notes what an expression names. Returns whether it has a value."""
        found = scope.values(node)
        listed = [item for each in found if isinstance(each, list) for item in each]
        values = [each for each in (*found, *listed) if isinstance(each, (str, PurePath))]
        values += [path for each in values for path in files_of_query(each)]
        for value in values:
            as_path = wide or means_path(value)
            for place, path in places(value, wide=as_path):
                self.found.add(Named(node.lineno, place, path, wide=as_path or place == "here"))
        return bool(values)


_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
"""Statements whose bodies run later: names have the values there that they get in the end."""
_BINDS = (
    *(ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign, ast.If, ast.For, ast.While, ast.With, ast.Try),
    *(ast.Match, ast.ClassDef, ast.Expr),
)


def _items(value: Value) -> Iterator[Value]:
    """Yields the items of a list, or of a text that lists names as dynaconf takes it."""
    if isinstance(value, str):
        yield from re.split(r"[,;]\s*", value)
    else:
        yield from value if isinstance(value, list) else [value]


def _parts(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """Yields the parts of a node, each with the key or the variable whose value it is."""
    match node:
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            yield name, value
        case ast.Assign(
            targets=[ast.Subscript(value=ast.Attribute(attr="environ"), slice=ast.Constant(value=str(name)))],
            value=value,
        ):
            holds = is_variable_of_directory(name) or is_of_secrets(f"{name}_DIR")
            yield f"{name}_DIR" if holds else "", value
        case ast.Dict(keys=keys, values=values):
            for key, value in zip(keys, values, strict=True):
                yield str(key.value) if isinstance(key, ast.Constant) else "", value
        case _:
            yield from (("", each) for each in children(node))
