"""The JSON documents of `--json`, from the values of the pipeline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from raybundle.cli.output.words import target_text
from raybundle.explain.reasons import reasons_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from raybundle.bundle.values import Manifest
    from raybundle.cli.output.overview import Overview
    from raybundle.cluster.jobs import JobInfo
    from raybundle.explain.absence import Absence
    from raybundle.explain.chains import Chain, Ways
    from raybundle.explain.reasons import Reason
    from raybundle.explain.sizes import Part, Widening
    from raybundle.explain.subject import Subject
    from raybundle.model import Distribution, Edge, Missing, Resolution, Warning
    from raybundle.planning import Plan


def plan_document(overview: Overview) -> dict[str, Any]:
    """Returns the document of `plan --json`; sizes are bytes, paths absolute."""
    planned = overview.planned
    resolution = planned.resolution
    ignored = overview.git_ignored
    return {
        "bundle": planned.digest,
        "target": target_text(resolution.target),
        "project": str(resolution.project),
        "sys_path": list(resolution.path),
        "roots": [{"root": root.symbol, "directory": str(root.directory)} for root in resolution.roots],
        "modules": _modules(planned),
        "files": [
            {"path": f.path, "size": f.size, "sha256": f.sha256, "executable": f.executable}
            for f in planned.manifest.files
        ],
        "bytes": planned.bytes,
        "sizes": {
            "roots": [_part(each) for each in overview.roots],
            "packages": [{"package": each.name, **_part(each)} for each in overview.packages],
        },
        "widenings": [_widening(each) for each in overview.widenings],
        "distributions": _distributions(resolution),
        "optional": [
            {"name": each.name, "version": each.version, "bytes": each.bytes, "used_by": each.required_by}
            for each in resolution.optional
        ],
        "missing": [_missing(each) for each in resolution.missing],
        "not_found": [_missing(each) for each in resolution.not_found],
        "absent": absent_imports(resolution),
        "shadowed": [
            {"name": each.name, "file": str(each.file), "others": [str(other) for other in each.others]}
            for each in resolution.shadowed
        ],
        "traced": traced_document(resolution),
        "git_ignored": None if ignored is None else [str(file) for file in ignored],
        "left": _left(overview),
        "warnings": [warning_document(warning) for warning in resolution.warnings],
        "timings": planned.timings.seconds,
    }


def _left(overview: Overview) -> list[dict[str, Any]] | None:
    if overview.left is None:
        return None
    return [{"folder": each.name, "files": each.files, "bytes": each.bytes} for each in overview.left]


def _distributions(resolution: Resolution) -> list[dict[str, Any]]:
    reasons = reasons_of(resolution)
    return [
        {
            "name": each.name,
            "version": each.version,
            "provided_by": each.provided_by,
            "bytes": each.bytes,
            "needed": _reason(reasons[each.name]),
            "origin": each.origin or None,
        }
        for each in resolution.distributions
    ]


def _reason(reason: Reason) -> dict[str, Any]:
    return {
        "why": reason.why,
        "file": None if reason.file is None else str(reason.file),
        "line": reason.line,
        "by": reason.by or None,
        "module": reason.module or None,
    }


def traced_edges(resolution: Resolution) -> list[Edge]:
    """Returns the imports that only runs have shown, of modules that nothing else reaches."""
    names = {module.name for module in resolution.modules if module.found_by == "traced"}
    return [edge for edge in resolution.edges if edge.rule == "trace" and edge.imported in names]


def traced_document(resolution: Resolution) -> dict[str, Any] | None:
    """Returns how statements and traced runs differ, or None where no run is known."""
    if resolution.not_imported is None:
        return None
    return {
        "only_traced": [edge_document(edge) for edge in traced_edges(resolution)],
        "not_imported": list(resolution.not_imported),
    }


def _part(part: Part) -> dict[str, Any]:
    return {"root": part.root, "modules": part.modules, "data": part.data, "bytes": part.bytes}


def _widening(each: Widening) -> dict[str, Any]:
    return {
        "file": str(each.file),
        "line": each.line,
        "rule": each.rule,
        "importer": each.importer,
        "prefix": each.prefix,
        "took": list(each.took),
        "alone": {"modules": each.alone, "bytes": each.alone_bytes},
    }


def _missing(each: Missing) -> dict[str, Any]:
    return {"name": each.name, "importer": each.importer, "file": str(each.file), "line": each.line}


def absent_imports(resolution: Resolution) -> list[dict[str, Any]]:
    """Returns the groups of imports that resolve nowhere and may never run."""
    return [
        {
            "name": each.name,
            "kind": each.kind,
            "count": each.count,
            "imported": list(each.names),
            "chain": [
                {"file": str(file), "line": int(line)}
                for file, line in zip(each.files, each.lines, strict=True)
            ],
        }
        for each in resolution.absent
    ]


def _modules(planned: Plan) -> list[dict[str, Any]]:
    sizes = {file.path: len(file.data) for file in planned.files}
    return [
        {
            "name": module.name,
            "file": None if module.file is None else str(module.file),
            "root": module.root,
            "kind": module.kind,
            "found_by": module.found_by,
            "bytes": 0 if module.path is None else sizes.get(module.path, 0),
        }
        for module in planned.resolution.modules
    ]


def warning_document(warning: Warning) -> dict[str, Any]:
    """Returns a warning with its place, and what settles it."""
    return {
        "text": warning.text,
        "file": None if warning.file is None else str(warning.file),
        "line": warning.line,
        "hint": warning.hint,
    }


def edge_document(edge: Edge) -> dict[str, Any]:
    """Returns one step of an import chain."""
    return {
        "importer": edge.importer,
        "imported": edge.imported,
        "file": str(edge.file),
        "line": edge.line,
        "found_by": edge.found_by,
        "rule": edge.rule,
        "optional": edge.optional,
    }


def present_document(
    subject: Subject, chain: Chain, ways: Ways | None, users: Sequence[Distribution]
) -> dict[str, Any]:
    """Returns the document of `why --json` for what is in; `ways` only where all were asked for."""
    return {
        "module": subject.word,
        "included": True,
        "kind": subject.kind,
        "names": sorted(subject.names),
        "chain": [edge_document(edge) for edge in chain],
        "all": None if ways is None else _ways_document(ways),
        "data": None if subject.data is None else {"path": subject.data.path, "reason": subject.data.reason},
        "distribution": None
        if subject.distribution is None
        else {
            "name": subject.distribution.name,
            "version": subject.distribution.version,
            "provided_by": subject.distribution.provided_by,
            "required_by": [each.name for each in users],
        },
        "reason": None,
        "absent": None,
    }


def _ways_document(ways: Ways) -> dict[str, Any]:
    return {
        "chains": [[edge_document(edge) for edge in chain] for chain in ways.chains],
        "complete": ways.complete,
        "edges": [edge_document(edge) for edge in ways.edges],
        "gates": list(ways.gates),
    }


def absent_document(subject: Subject, found: Absence) -> dict[str, Any]:
    """Returns the document of `why --json` for what is not in."""
    return {
        "module": subject.word,
        "included": False,
        "kind": subject.kind,
        "names": [],
        "chain": [],
        "all": None,
        "data": None,
        "distribution": None,
        "reason": found.reason,
        "absent": {"why": found.why, "hint": found.hint, "similar": list(found.similar)},
    }


def manifest_document(manifest: Manifest) -> dict[str, Any]:
    """Returns what `show --json` says of a manifest, beside the canonical document itself."""
    return {
        "files": len(manifest.files),
        "bytes": sum(file.size for file in manifest.files),
        "path": list(manifest.path),
        "python": f"{manifest.python.implementation} {manifest.python.minor}",
        "provided": [f"{item.name} {item.version}".rstrip() for item in manifest.provided],
    }


def job_document(info: JobInfo) -> dict[str, Any]:
    """Returns what the cluster says of a job; times are milliseconds since the epoch."""
    return {
        "submission_id": info.submission_id,
        "status": info.status,
        "entrypoint": info.entrypoint,
        "message": info.message,
        "driver_exit_code": info.driver_exit_code,
        "error_type": info.error_type,
        "start_time": info.start_time,
        "end_time": info.end_time,
        "metadata": dict(info.metadata),
    }
