"""Writes imports as a graph in the DOT language of Graphviz."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raybundle.model import WIDENING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from raybundle.model import Edge


def dot(edges: Iterable[Edge], driver: str, names: Collection[str]) -> str:
    """Returns a directed graph; it highlights `driver` and `names`, and dashes optional and guessed imports.

    The label of an edge is its line; the tooltip has file, line and rule.
    """
    return "\n".join(_lines(tuple(edges), driver, names))


def _lines(edges: tuple[Edge, ...], driver: str, names: Collection[str]) -> Iterator[str]:
    yield "digraph imports {"
    yield "  rankdir=LR;"
    yield "  node [shape=box];"
    yield f"  {quoted(driver)} [style=bold];"
    for name in sorted({edge.imported for edge in edges}.intersection(names)):
        yield f"  {quoted(name)} [style=filled];"
    for edge in edges:
        dashed = ", style=dashed" if edge.optional or edge.rule in WIDENING else ""
        tip = quoted(f"{edge.file}:{edge.line} ({edge.rule})")
        ends = f"{quoted(edge.importer)} -> {quoted(edge.imported)}"
        yield f'  {ends} [label="{edge.line}", tooltip={tip}{dashed}];'
    yield "}"


def quoted(text: str) -> str:
    """Returns `text` as a quoted identifier, which a label shows unchanged."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
