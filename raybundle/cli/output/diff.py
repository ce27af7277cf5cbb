"""Puts what differs between two bundles or runs into lines and a document."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from raybundle.cli.output.changes import distribution_document, distribution_line
from raybundle.formats.amounts import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from raybundle.pipeline.diffing.diff import Diff, FactChange
    from raybundle.pipeline.diffing.ends import End
    from raybundle.pipeline.diffing.graphs import ModuleChange
    from raybundle.pipeline.diffing.texts import FileDiff

_SIGNS = {"added": "+", "removed": "-", "changed": "~"}
SHOWN = 40
"""Imports that the text lists; `--json` has all."""


def diff_lines(found: Diff, *, stat: bool) -> Iterator[str]:
    """Yields a summary by kind, then the lines of files."""
    yield f"--- {_title(found.before)}"
    yield f"+++ {_title(found.after)}"
    if not found.differs:
        yield "the same bundle"
        return
    for each in found.environment:
        yield f"{each.name}: {_fact(each)}"
    if found.path_differs:
        yield f"path: {', '.join(found.before.manifest.path)} -> {', '.join(found.after.manifest.path)}"
    yield from map(distribution_line, found.distributions)
    for module in found.modules:
        yield f"{_SIGNS[module.kind]} module {module.name}{_chain(module)}"
    for edge in islice(found.edges, SHOWN):
        yield f"{_SIGNS[edge.kind]} import {edge.importer} > {edge.imported}"
    if len(found.edges) > SHOWN:
        yield f"and {counted(len(found.edges) - SHOWN, 'more import')}: --json has all"
    yield from _stat(found.files) if stat else (line for each in found.files for line in each.headed())


def diff_document(found: Diff) -> dict[str, Any]:
    """Returns the document of `diff --json`; sizes are in bytes."""
    return {
        "before": _end(found.before),
        "after": _end(found.after),
        "differs": found.differs,
        "environment": [each._asdict() for each in found.environment],
        "path": {"before": list(found.before.manifest.path), "after": list(found.after.manifest.path)},
        "distributions": [distribution_document(each) for each in found.distributions],
        "modules": [
            {
                "change": each.kind,
                "name": each.name,
                "chain": [{"importer": importer, "line": line} for importer, line in each.chain],
            }
            for each in found.modules
        ],
        "edges": [
            {"change": each.kind, "importer": each.importer, "imported": each.imported}
            for each in found.edges
        ],
        "files": [_file(each) for each in found.files],
    }


def _end(end: End) -> dict[str, Any]:
    return {"ref": end.name, "bundle": end.digest, "run": end.record.get("id")}


def _file(each: FileDiff) -> dict[str, Any]:
    text = each.lines is not None
    return {
        "change": each.kind,
        "path": each.path,
        "before": None if each.before is None else each.before.size,
        "after": None if each.after is None else each.after.size,
        "insertions": each.count("+") if text else None,
        "deletions": each.count("-") if text else None,
    }


def _title(end: End) -> str:
    return end.name if end.digest.startswith(end.name) else f"{end.name} ({end.digest[:19]})"


def _fact(change: FactChange) -> str:
    before, after = ("(none)" if each is None else each for each in (change.before, change.after))
    return f"{before} -> {after}"


def _chain(module: ModuleChange) -> str:
    return "".join(
        f"{'  ' if not at else ' > '}{name}:{line}" for at, (name, line) in enumerate(module.chain)
    )


def _stat(files: tuple[FileDiff, ...]) -> Iterator[str]:
    width = max((len(each.path) for each in files), default=0)
    for each in files:
        counts = "binary" if each.lines is None else f"+{each.count('+')} -{each.count('-')}"
        yield f"{_SIGNS[each.kind]} {each.path:<{width}} | {counts}"
    lines = [sum(each.count(sign) for each in files) for sign in "+-"]
    yield f"{counted(len(files), 'file')}, +{lines[0]} -{lines[1]}"
