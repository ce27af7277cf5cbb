"""Follows the unconditional imports of third-party modules, to find needs that no metadata declares."""

# Why strings: paths here are the strings that `sys.path` holds; pathlib would cost ten times as much.
# ruff: noqa: PTH118, PTH123

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from os.path import join
from typing import TYPE_CHECKING, NamedTuple

from raybundle.dotted import absolute, with_ancestors

if TYPE_CHECKING:
    import ast
    from collections.abc import Iterable, Iterator

    from raybundle.model import Interpreter
    from raybundle.resolve.distributions.installed import InstalledDistributions

_STATEMENT = re.compile(
    rb"\n(?:from[ \t]+(?P<base>[.\w]+)[ \t]+import[ \t]*"
    rb"(?:\((?P<listed>(?:[^()#]|#[^\n]*\n)*)\)|(?P<names>(?:[^\n\\(#;]|\\\r?\n)*))"
    rb"|import[ \t]+(?P<modules>(?:[^\n\\#;]|\\\r?\n)+))"
)
"""An import in the first column. It may be in a long string, so what it leads to is checked again."""

_TRY = re.compile(rb"\ntry:[^\n]*\n(?:[ \t][^\n]*\n|\n|#[^\n]*\n|(?:except|else|finally)\b[^\n]*\n)*")
"""A `try` in the first column, with its handlers."""

_INNER = re.compile(
    rb"\n[ \t]+(?:from[ \t]+(?P<base>\w[.\w]*)[ \t]+import|import)[ \t]+\(?(?P<names>[^\n\\#;)]*)"
)
"""An absolute import in an inner block, which may never run; only its first line is read."""

_CALL = re.compile(rb"import\w*\(\s*(?:name=)?[\"']([A-Za-z_][\w.]*)[\"']")
"""A call that imports a module by its name, such as `import_optional_dependency("tabulate")`."""

_IMPORT = b"import"

_COMMENT = re.compile(rb"#[^\n]*")

_KEPT = 8
"""Imports to keep for each pair of distributions, because some may be in a long string."""


class Link(NamedTuple):
    """A module of one distribution that imports a module of another when it loads."""

    importer: str
    imported: str
    module: str
    """The importing module."""
    file: str
    line: int


class _Node(NamedTuple):
    """A module, or a package with the directories that hold its modules."""

    file: str
    """Empty for a namespace package."""
    directories: tuple[str, ...] = ()


@dataclass(slots=True)
class TopLevel:
    """Follows imports through site-packages directories; each source is read once."""

    interpreter: Interpreter
    installed: InstalledDistributions
    skipped: frozenset[str]
    """Modules that are not read, because they load on every node; the modules in such a package are."""
    links: dict[tuple[str, str], list[Link]] = field(default_factory=dict)
    """By importing and imported distribution: the first few."""
    files: dict[str, list[str]] = field(default_factory=dict)
    """By distribution: the sources of its modules that were read."""
    inner: dict[str, list[str]] = field(default_factory=dict)
    """The files that import a name of another package in inner blocks or calls; it may be a module."""
    texts: dict[str, bytes] = field(default_factory=dict)
    """Of these files."""
    _nodes: dict[str, _Node | None] = field(default_factory=dict)
    _listed: dict[str, tuple[dict[str, str], frozenset[str]]] = field(default_factory=dict)
    _owners: dict[str, str] = field(default_factory=dict)
    _reached: set[str] = field(default_factory=set)
    _queue: list[str] = field(default_factory=list)
    _imported: dict[str, frozenset[int]] = field(default_factory=dict)
    """By file that is looked at again: the lines of its imports."""

    def follow(self, names: Iterable[str]) -> None:
        """Follows `names` and everything that they import when they load."""
        for name in names:
            self._reach(name)
        for name in self._queue:  # it grows
            node = self._find(name)
            if node is not None and node.file.endswith(".py") and name not in self.skipped:
                self._look_into(name, node, self._owner(name, node))
        self._queue.clear()

    def mentioned(self) -> Iterator[tuple[str, str, list[str]]]:
        """Yields each installed distribution that inner blocks import: name, top-level name, files."""
        for name, files in self.inner.items():
            node, found = None, ""
            for found in with_ancestors(name):
                node = self._find(found)
                if node is None or node.file:
                    break
            if node is not None and node.file:
                yield self._owner(found, node), name.partition(".")[0], files

    def _reach(self, name: str) -> None:
        """Queues a module and the packages around it."""
        if name not in self._reached:
            self._reached.add(name)
            parent = name.rpartition(".")[0]
            if parent:
                self._reach(parent)
            self._queue.append(name)

    def _look_into(self, name: str, node: _Node, owner: str) -> None:
        text = read_source(node.file)
        source = b"\n" + text
        self.files.setdefault(owner, []).append(node.file)
        package = name if node.directories else name.rpartition(".")[0]
        top = name.partition(".")[0]
        for inner in {*_inner_imports(source)}:
            other_top = inner.partition(".")[0]
            if self._find(other_top) and (other_top != top or not self._is_whole(top)):
                self.inner.setdefault(inner, []).append(node.file)
                self.texts[node.file] = text
        for position, imported in self._imports(source, package):
            found = self._find(imported)
            if found is None:
                continue
            self._reach(imported)
            if found.file and (imported.partition(".")[0] != top or not self._is_whole(top)):
                other = self._owner(imported, found)
                known = self.links.setdefault((owner, other), []) if other and owner != other else None
                if known is not None and len(known) < _KEPT:
                    line = source.count(b"\n", 0, position) + 1
                    known.append(Link(owner, other, name, node.file, line))

    def _imports(self, source: bytes, package: str) -> Iterator[tuple[int, str]]:
        """Yields the position of each import that cannot fail, and a module that it may import."""
        for position, written, names in (*_statements(source), *_tried(source)):
            if not written:
                for each in _names(names):
                    yield position, each
                continue
            base = absolute(written, package)
            node = self._find(base) if base is not None else None
            if base is None or node is None:
                continue
            yield position, base
            for each in _names(names) if node.directories else ():
                yield position, f"{base}.{each}"

    def is_unconditional(self, link: Link) -> bool:
        """Returns whether the module does not load without the import."""
        if link.file not in self._imported:
            self._imported[link.file] = frozenset(line for line, _, _ in _required(read_source(link.file)))
        return link.line in self._imported[link.file]

    def _is_whole(self, top: str) -> bool:
        """Returns whether a top-level package is regular: its modules usually have one owner."""
        node = self._find(top)
        return node is not None and node.file != ""

    def _owner(self, name: str, node: _Node) -> str:
        """Returns the distribution of a module or of the package around it; empty if none lists it."""
        parent = name.rpartition(".")[0]
        around = self._find(parent) if parent else None
        key = parent if around and around.file and not node.directories else name
        if key not in self._owners:
            file = around.file if around and key == parent else node.file
            likely = self._owners.get(parent.rpartition(".")[0] if key == parent else parent, "")
            owner = self.installed.owner(file, likely) if file else None
            self._owners[key] = owner.name if owner else ""
        return self._owners[key]

    def _find(self, name: str) -> _Node | None:
        if name not in self._nodes:
            parent, _, tail = name.rpartition(".")
            found = self._find_in(self._places(parent), tail) if tail else None
            if name == "distutils" and found is None and self._find("_distutils_hack"):
                found = self._find("setuptools._distutils")
            self._nodes[name] = found
        return self._nodes[name]

    def _places(self, parent: str) -> tuple[str, ...]:
        if not parent:
            return self.interpreter.site
        found = self._find(parent)
        return found.directories if found else ()

    def _find_in(self, places: tuple[str, ...], tail: str) -> _Node | None:
        if places is self.interpreter.site and tail in self.interpreter.stdlib_names:
            return None
        portions = []
        for place in places:
            files, directories = self._list(place)
            if tail in directories:
                inside = join(place, tail)
                init = self._list(inside)[0].get("__init__")
                if init:
                    return _Node(join(inside, init), (inside,))
                portions.append(inside)
            if tail in files:
                return _Node(join(place, files[tail]))
        return _Node("", tuple(portions)) if portions else None

    def _list(self, directory: str) -> tuple[dict[str, str], frozenset[str]]:
        """Returns the modules in a directory (name: file), and its directories."""
        known = self._listed.get(directory)
        if known is None:
            files: dict[str, str] = {}
            directories = set()
            try:
                with os.scandir(directory) as entries:
                    for each in entries:
                        stem, dot, suffix = each.name.partition(".")
                        if dot and f".{suffix}" in self.interpreter.suffixes:
                            if suffix == "py" or stem not in files:  # the source of an extension tells more
                                files[stem] = each.name
                        elif not dot and each.is_dir():
                            directories.add(each.name)
            except OSError:
                pass
            known = self._listed[directory] = (files, frozenset(directories))
        return known


def _inner_imports(source: bytes) -> Iterator[str]:
    position = source.find(_IMPORT)
    while position != -1:  # most lines have none: a search by the patterns takes seven times as long
        if not source.startswith(b" ", position + len(_IMPORT)):
            call = _CALL.match(source, position)
            if call:
                yield call[1].decode()
        elif found := _INNER.match(source, source.rfind(b"\n", 0, position)):
            base = found["base"].decode() if found["base"] else ""
            if base:
                yield base
            for each in _names(found["names"]):
                yield f"{base}.{each}" if base else each
        position = source.find(_IMPORT, position + len(_IMPORT))


def _statements(source: bytes) -> Iterator[tuple[int, str, bytes]]:
    """Yields the imports in the first column: position, base (empty for `import`), names."""
    for found in _STATEMENT.finditer(source):
        if found["modules"] is not None:
            yield found.start(), "", found["modules"]
        else:
            listed = found["listed"]
            yield found.start(), found["base"].decode(), found["names"] if listed is None else listed


def _tried(source: bytes) -> Iterator[tuple[int, str, bytes]]:
    """Yields the imports of a `try` in the first column whose failure is an error all the same."""
    for found in _TRY.finditer(source):
        text = found[0]
        if b"import" in text and (b"raise" in text or b"\nexcept" not in text):
            lines = text[1:].splitlines(keepends=True)
            for line, base, names in _required(text):
                yield found.start() + sum(map(len, lines[: line - 2])), base, names


def _required(source: bytes) -> Iterator[tuple[int, str, bytes]]:
    """Yields the imports without which a module does not load: line, base (empty for `import`), names."""
    import ast  # noqa: PLC0415 - start-up: few imports are looked at again

    try:
        body = ast.parse(source).body
    except (SyntaxError, ValueError):
        return
    for statement in body:
        for each in _without_fallback(statement):
            if isinstance(each, (ast.Import, ast.ImportFrom)):
                base = "." * each.level + (each.module or "") if isinstance(each, ast.ImportFrom) else ""
                yield each.lineno, base, ",".join(alias.name for alias in each.names).encode()


def _without_fallback(statement: ast.stmt) -> Iterator[ast.stmt]:
    """Yields a statement, or those of a `try` of which one must succeed: each handler ends with an error.

    In a `try` inside it, its handlers are the other ways: psycopg, else psycopg2.
    """
    import ast  # noqa: PLC0415 - as above

    yield statement
    if isinstance(statement, ast.Try) and all(_raises(each.body[-1]) for each in statement.handlers):
        for each in statement.body:
            yield each
            if isinstance(each, ast.Try):
                yield from each.body
                yield from (other for handler in each.handlers for other in handler.body)


def _raises(last: ast.stmt) -> bool:
    import ast  # noqa: PLC0415 - as above

    if isinstance(last, ast.If):
        return bool(last.orelse) and _raises(last.body[-1]) and _raises(last.orelse[-1])
    return isinstance(last, ast.Raise)


def _names(text: bytes) -> Iterator[str]:
    """Yields `a` and `b.c` of `a, b.c as d`."""
    if b"#" in text:
        text = _COMMENT.sub(b"", text)
    for part in text.replace(b"\\", b" ").split(b","):
        words = part.split(None, 1)
        if words:
            yield words[0].decode("ascii", "replace")


def read_source(file: str) -> bytes:
    """Returns the bytes of a file; none if it cannot be read."""
    try:
        with open(file, "rb") as stream:
            return stream.read()
    except OSError:
        return b""
