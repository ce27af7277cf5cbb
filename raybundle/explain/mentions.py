"""Finds places that name a module without importing it: under `TYPE_CHECKING`, or in a string."""

from __future__ import annotations

import ast
import importlib.util
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from raybundle.errors import BundleError
from raybundle.resolve.evaluate.conditions import decide
from raybundle.resolve.evaluate.constants import with_constants
from raybundle.resolve.evaluate.parsing import parse, words_in
from raybundle.resolve.scan.comments import MARK, read_comments

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from raybundle.model import Module, ModuleName
    from raybundle.resolve.interpreter.markers import Environment

    _Left = tuple["How", str] | None

How = Literal["type-checking", "condition", "ignored", "string"]
"""Skipped under `TYPE_CHECKING`, another test or `# raybundle: ignore`; or not an import at all."""


@dataclass(frozen=True, slots=True)
class Mention:
    """A place that names a module but does not bring it in."""

    importer: ModuleName
    file: Path
    line: int
    how: How
    text: str
    """The test or the string, as written in the file."""


def find_mentions(module: Module, source: bytes, name: str, environment: Environment) -> Iterator[Mention]:
    """Yields the places where `source` names the module `name`, by line."""
    named = name.rpartition(".")[2].encode() in source or MARK in source
    if module.file is None or not named:
        return
    try:
        tree = parse(source, str(module.file))
    except BundleError:
        return
    package = _package_of(module)
    ignored = read_comments(source).ignored
    for node, left_out in _nodes(tree, with_constants(tree, source, words_in(source), environment)):
        why: _Left = ("ignored", "") if node.lineno in ignored else left_out
        if isinstance(node, ast.Constant):
            if _means(str(node.value), name, strictly=why is None):
                how, text = why or ("string", str(node.value))
                yield Mention(module.name, module.file, node.lineno, how, text)
        elif why is not None and any(_covers(each, name) for each in _imported(node, package)):
            yield Mention(module.name, module.file, node.lineno, *why)


def _nodes(
    tree: ast.Module, environment: Environment
) -> Iterator[tuple[ast.Import | ast.ImportFrom | ast.Constant, _Left]]:
    """Yields imports and strings in the order of the file, and why each is skipped, if it is."""
    stack: list[tuple[ast.AST, _Left]] = [(tree, None)]
    while stack:
        node, left_out = stack.pop()
        if isinstance(node, (ast.Import, ast.ImportFrom)) or (
            isinstance(node, ast.Constant) and isinstance(node.value, str)
        ):
            yield node, left_out
        elif isinstance(node, ast.If) and left_out is None:
            stack += [(each, left) for each, left in reversed(list(_branches(node, environment)))]
        else:
            stack += [(child, left_out) for child in reversed(list(ast.iter_child_nodes(node)))]


def _branches(node: ast.If, environment: Environment) -> Iterator[tuple[ast.AST, _Left]]:
    holds = decide(node.test, environment)
    text = ast.unparse(node.test)
    how: How = "type-checking" if "TYPE_CHECKING" in text else "condition"
    yield node.test, None
    yield from ((each, (how, text) if holds is False else None) for each in node.body)
    yield from ((each, (how, f"not ({text})") if holds is True else None) for each in node.orelse)


def _imported(node: ast.Import | ast.ImportFrom, package: str) -> Iterable[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    try:
        base = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
    except ImportError:  # it is above the top
        return []
    return [base, *(f"{base}.{alias.name}" for alias in node.names)]


def _package_of(module: Module) -> str:
    return module.name if module.kind == "package" else module.name.rpartition(".")[0]


def _covers(imported: str, name: str) -> bool:
    """Returns whether importing `imported` brings `name`: they are equal, or `name` is an ancestor."""
    return f"{imported}.".startswith(f"{name}.")


def _means(text: str, name: str, *, strictly: bool) -> bool:
    """Returns whether a string names the module; on a switched-off line, the start of the name is enough."""
    if "." in name and _covers(re.split(r"[:\s]", text, maxsplit=1)[0], name):
        return True
    return not strictly and text.endswith(".") and name.startswith(text)


def in_order(found: Iterable[Mention]) -> tuple[Mention, ...]:
    """Returns mentions, the most telling first."""
    rank: dict[How, int] = {"ignored": 0, "type-checking": 1, "condition": 2, "string": 3}
    return tuple(sorted(found, key=lambda each: (rank[each.how], str(each.file), each.line)))
