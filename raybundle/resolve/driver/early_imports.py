"""Compares what a driver imports above its edits of `sys.path` with what the whole path gives on a node."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from raybundle.errors import BundleError
from raybundle.resolve.find.finder import FirstParty, Namespace, NotFound, StandardLibrary, ThirdParty

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from raybundle.resolve.evaluate.edits import Edit
    from raybundle.resolve.find.finder import Finder, Found


def refuse_early_imports(
    tree: ast.Module,
    where: Callable[[int], str],
    edits: Iterable[Edit],
    finder_after: Callable[[tuple[Edit, ...]], Finder],
) -> None:
    """Refuses a driver whose import takes another file than it would after a later edit of the path.

    Args:
        tree: of the driver.
        where: says file and line for a line of it.
        edits: of the driver, in order.
        finder_after: gives the finder of the path after some of the edits.

    Raises:
        BundleError: names both files and both lines.
    """
    edits = tuple(edits)
    last = max((edit.line for edit in edits), default=0)
    whole = finder_after(edits)
    for line, name in _imports(tree.body, last):
        early = finder_after(tuple(edit for edit in edits if edit.line < line))
        before, after = _place(early.find(name)), _place(whole.find(name))
        if before and after and before != after:
            later = next(edit.line for edit in edits if edit.line > line)
            raise BundleError(
                f"{where(line)}: `{name}` is {before} here, "
                f"and {after} once `sys.path` is edited at {where(later)}",
                hint="on the nodes the path is set before the driver runs: edit it above the first import",
            )


def _imports(body: Iterable[ast.stmt], before: int) -> Iterator[tuple[int, str]]:
    """Yields line and name of the absolute imports that run as a module runs, above line `before`."""
    for statement in body:
        match statement:
            case ast.Import(names=names) if statement.lineno < before:
                yield from ((statement.lineno, alias.name) for alias in names)
            case ast.ImportFrom(module=str(module), names=names, level=0) if statement.lineno < before:
                yield statement.lineno, module
                yield from ((statement.lineno, f"{module}.{alias.name}") for alias in names)
            case ast.If(body=inner) | ast.Try(body=inner) | ast.With(body=inner):
                yield from _imports(inner, before)
            case _:
                continue


def _place(found: Found) -> str:
    """Returns what tells two modules apart; empty for what is no file of its own."""
    match found:
        case FirstParty(file=file) | ThirdParty(file=file):
            return file
        case StandardLibrary():
            return "the standard library's"
        case Namespace() | NotFound():
            return ""
