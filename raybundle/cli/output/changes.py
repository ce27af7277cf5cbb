"""Puts what changed since a commit or a bundle into words, tables and a document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from raybundle.cli.output.documents import edge_document, warning_document
from raybundle.cli.output.words import target_text
from raybundle.formats.amounts import counted, size_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from raybundle.pipeline.changes import Changes, DistributionChange, FileChange
    from raybundle.pipeline.comparing import Baseline, Comparison

_SIGNS = {"added": "+", "removed": "-", "changed": "~"}
SHOWN = 20
"""Files of a target that the text lists; markdown and `--json` have all."""


def comparison_lines(found: Sequence[Comparison], baseline: Baseline) -> Iterator[str]:
    """Yields the lines of `plan --against`, the totals first."""
    yield _title(found, baseline)
    width = max(len(_name(each)) for each in found)
    for each in found:
        yield f"{_name(each):<{width}}  {_summary(each)}"
        if each.changes is not None and each.changes.differs:
            yield from change_lines(each.changes, most=SHOWN)


def comparison_markdown(found: Sequence[Comparison], baseline: Baseline) -> Iterator[str]:
    """Yields a comment for a pull request."""
    yield f"### {_title(found, baseline)}"
    yield ""
    yield "| target | bundle | |"
    yield "| --- | --- | --- |"
    for each in found:
        yield f"| `{_name(each)}` | `{each.plan.digest[7:19]}` | {_summary(each)} |"
    for each in found:
        if each.changes is None or not each.changes.differs:
            continue
        yield ""
        yield f"<details><summary><code>{_name(each)}</code></summary>"
        yield ""
        yield "```diff"
        yield from (line.strip() for line in change_lines(each.changes, most=None))
        yield "```"
        yield "</details>"


def comparison_document(found: Sequence[Comparison], baseline: Baseline) -> dict[str, Any]:
    """Returns the document of `plan --against --json`; sizes are in bytes."""
    return {
        "against": {"name": baseline.name, "identity": baseline.identity},
        "targets": [
            {
                "target": _name(each),
                "bundle": each.plan.digest,
                "before": None if each.changes is None else each.changes.before.digest,
                "differs": each.differs,
                "fault": each.fault,
                "bytes": each.plan.bytes,
                "bytes_before": None if each.changes is None else each.changes.before.bytes,
                "files": [] if each.changes is None else [_file(file) for file in each.changes.files],
                "distributions": []
                if each.changes is None
                else [distribution_document(one) for one in each.changes.distributions],
                "warnings": []
                if each.changes is None
                else [warning_document(one) for one in each.changes.warnings],
            }
            for each in found
        ],
    }


def changes_document(changes: Changes) -> dict[str, Any]:
    """Returns what differs between two bundles; sizes are in bytes."""
    return {
        "bundle": changes.after.digest,
        "differs": changes.differs,
        "files": [_file(each) for each in changes.files],
        "distributions": [distribution_document(each) for each in changes.distributions],
    }


def _file(change: FileChange) -> dict[str, Any]:
    return {
        "change": change.kind,
        "path": change.path,
        "before": change.before,
        "after": change.after,
        "module": change.module,
        "chain": [edge_document(edge) for edge in change.chain],
    }


def distribution_document(change: DistributionChange) -> dict[str, Any]:
    """Returns a distribution that differs."""
    return {"change": change.kind, "name": change.name, "before": change.before, "after": change.after}


def _title(found: Sequence[Comparison], baseline: Baseline) -> str:
    changed = sum(each.differs for each in found)
    what = f"{changed} of {counted(len(found), 'bundle')} {'differs' if changed == 1 else 'differ'}"
    return f"against {baseline.name} ({baseline.identity.removeprefix('sha256:')[:12]}): {what}"


def _name(comparison: Comparison) -> str:
    """Returns the target as it would be typed in the project."""
    text = target_text(comparison.request.target)
    return text.replace(f"{comparison.request.project}/", "", 1)


def _summary(comparison: Comparison) -> str:
    changes = comparison.changes
    if changes is None:
        return f"new: {(comparison.fault or '').partition(chr(10))[0]}"
    if not changes.differs:
        return "the same bundle"
    parts = [counted(len(changes.files), "file")]
    if changes.distributions:
        parts.append(counted(len(changes.distributions), "distribution"))
    if changes.warnings:
        parts.append(counted(len(changes.warnings), "new warning"))
    grown = comparison.plan.bytes - changes.before.bytes
    sign = "+" if grown >= 0 else "-"
    return f"differs: {', '.join(parts)}, {sign}{size_text(abs(grown))}"


def change_lines(changes: Changes, most: int | None = SHOWN) -> Iterator[str]:
    """Yields a line for each file, distribution and warning that differs."""
    for file in changes.files[:most]:
        how = _chain(file)
        yield f"  {_SIGNS[file.kind]} {file.path.removeprefix('project/')}{f'  {how}' if how else ''}"
    if most is not None and len(changes.files) > most:
        yield f"  and {counted(len(changes.files) - most, 'more file')}: `--format markdown` lists all"
    for each in changes.distributions:
        yield f"  {distribution_line(each)}"
    for warning in changes.warnings:
        place = "" if warning.file is None else f"{warning.file}:{warning.line or 1}: "
        yield f"  ! {place}{warning.text}"


def distribution_line(change: DistributionChange) -> str:
    """Returns a line such as `~ numpy 2.3.0 -> 2.4.1`."""
    same = change.kind == "changed" and change.before == change.after
    return f"{_SIGNS[change.kind]} {change.name} {_versions(change)}{' (other files)' if same else ''}"


def _versions(change: DistributionChange) -> str:
    if change.kind != "changed" or change.before == change.after:
        return (change.after if change.after is not None else change.before) or "(any)"
    return f"{change.before or '(any)'} -> {change.after or '(any)'}"


def _chain(file: FileChange) -> str:
    """Returns the imports that bring a module in: `__main__:3 > shared.io:12 > shared.new`."""
    if not file.chain:
        return ""
    return " > ".join([*(f"{edge.importer}:{edge.line}" for edge in file.chain), file.chain[-1].imported])
