"""Makes the JSON documents of `--json` from the values of the pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from raybundle.cli.output.words import target_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from raybundle.bundle.values import Manifest, PythonTag
    from raybundle.cli.output.overview import Overview
    from raybundle.cluster.jobs import JobInfo
    from raybundle.explain.absence import Absence
    from raybundle.explain.chains import Ways
    from raybundle.explain.reasons import Reason
    from raybundle.explain.sizes import Guess
    from raybundle.explain.subject import Subject
    from raybundle.model import Distribution, Edge, Resolution, Warning
    from raybundle.pipeline.reasoning import Why
    from raybundle.planning import Plan

_TIMES = ("start_time", "end_time")
_PART = ("root", "modules", "data", "bytes")
_IMPORT = ("name", "importer", "file", "line")
_JOB = ("submission_id", "status", "entrypoint", "message", "driver_exit_code", "error_type", *_TIMES)


def plan_document(overview: Overview) -> dict[str, Any]:
    """Returns the document of `plan --json`; sizes are in bytes, paths are absolute."""
    planned = overview.planned
    resolution = planned.resolution
    return {
        "bundle": planned.digest,
        "target": target_text(resolution.target),
        "project": str(resolution.project),
        **python_document(planned.manifest.python),
        "sys_path": list(resolution.path),
        "roots": [{"root": root.symbol, "directory": str(root.directory)} for root in resolution.roots],
        "modules": _modules(planned),
        "files": [_picked(each, "path", "size", "sha256", "executable") for each in planned.manifest.files],
        "data": [{**_picked(each, "path", "reason"), "file": str(each.file)} for each in resolution.data],
        "bytes": planned.bytes,
        "sizes": {
            "roots": [_picked(each, *_PART) for each in overview.roots],
            "packages": [{"package": each.name, **_picked(each, *_PART)} for each in overview.packages],
        },
        "widenings": [_widening(each) for each in overview.widenings],
        "distributions": _distributions(resolution),
        "optional": _unused(resolution.optional),
        "plugins": _unused(resolution.plugins),
        "missing": [_picked(each, *_IMPORT) for each in resolution.missing],
        "not_found": [_picked(each, *_IMPORT) for each in resolution.not_found],
        "absent": absent_imports(resolution),
        "shadowed": [_picked(each, "name", "file", "others") for each in resolution.shadowed],
        "traced": traced_document(resolution),
        "git_ignored": _plain(overview.git_ignored),
        "left": _left(overview),
        "warnings": [warning_document(warning) for warning in resolution.warnings],
        "timings": planned.timings.seconds,
    }


def _left(overview: Overview) -> list[dict[str, Any]] | None:
    if overview.left is None:
        return None
    return [{"folder": each.name, "files": each.files, "bytes": each.bytes} for each in overview.left]


def _unused(distributions: Iterable[Distribution]) -> list[dict[str, Any]]:
    return [
        {"name": each.name, "version": each.version, "bytes": each.bytes, "used_by": each.required_by}
        for each in distributions
    ]


def _distributions(resolution: Resolution) -> list[dict[str, Any]]:
    from raybundle.explain.reasons import reasons_of

    reasons = reasons_of(resolution)
    return [
        {
            **_picked(each, "name", "version", "provided_by", "bytes"),
            "needed": _reason(reasons[each.name]),
            "origin": each.origin or None,
        }
        for each in resolution.distributions
    ]


def _reason(reason: Reason) -> dict[str, Any]:
    found = _picked(reason, "why", "file", "line")
    return {**found, "by": reason.by or None, "module": reason.module or None}


def traced_document(resolution: Resolution) -> dict[str, Any] | None:
    """Returns how statements and traced runs differ; None if no run is known."""
    if resolution.not_imported is None:
        return None
    from raybundle.explain.reasons import traced_edges

    return {
        "only_traced": [edge_document(edge) for edge in traced_edges(resolution)],
        "not_imported": list(resolution.not_imported),
    }


def _widening(each: Guess) -> dict[str, Any]:
    found = _picked(each, "file", "line", "rule", "importer", "prefix", "took")
    return {**found, "alone": {"modules": each.alone, "bytes": each.alone_bytes}}


def absent_imports(resolution: Resolution) -> list[dict[str, Any]]:
    """Returns the groups of imports that resolve nowhere and may never run."""
    return [
        {
            **_picked(each, "name", "kind", "count"),
            "imported": list(each.names),
            "chain": [
                {"file": str(file), "line": int(line)}
                for file, line in zip(each.files, each.lines, strict=True)
            ],
        }
        for each in resolution.absent
    ]


def _modules(planned: Plan) -> list[dict[str, Any]]:
    sizes = {file.path: file.size for file in planned.files}
    return [
        {
            **_picked(module, "name", "file", "root", "kind", "found_by"),
            "bytes": 0 if module.path is None else sizes.get(module.path, 0),
        }
        for module in planned.resolution.modules
    ]


def warning_document(warning: Warning) -> dict[str, Any]:
    """Returns a warning with its place and hint."""
    return _picked(warning, "text", "file", "line", "hint")


def edge_document(edge: Edge) -> dict[str, Any]:
    """Returns one step of an import chain."""
    return _picked(edge, "importer", "imported", "file", "line", "found_by", "rule", "optional")


def present_document(found: Why, ways: Ways | None) -> dict[str, Any]:
    """Returns the document of `why --json` for a subject in the bundle; `ways` is for `--all`."""
    subject = found.subject
    return {
        "module": subject.word,
        "included": True,
        "kind": subject.kind,
        "names": sorted(subject.names),
        "chain": [edge_document(edge) for edge in found.chain],
        "all": None if ways is None else _ways_document(ways),
        "data": None if subject.data is None else _picked(subject.data, "path", "reason"),
        "distribution": None
        if subject.distribution is None
        else {
            **_picked(subject.distribution, "name", "version", "provided_by"),
            "required_by": [each.name for each in found.users],
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
    """Returns the document of `why --json` for a subject that is not in the bundle."""
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
    """Returns the document of `show --json`, except the manifest's canonical document."""
    return {
        "files": len(manifest.files),
        "bytes": sum(file.size for file in manifest.files),
        "path": list(manifest.path),
        **python_document(manifest.python),
        "provided": [f"{item.name} {item.version}".rstrip() for item in manifest.provided],
    }


def python_document(python: PythonTag) -> dict[str, Any]:
    """Returns what a bundle needs of the nodes' Python, in `plan --json` and `show --json`."""
    minor = f"{python.implementation} {python.minor}"
    return {"python": minor, "platform": python.platform, "libc": python.libc}


def job_document(info: JobInfo) -> dict[str, Any]:
    """Returns the cluster's record of a job; times are milliseconds since the epoch."""
    return {**_picked(info, *_JOB), "metadata": dict(info.metadata)}


def _picked(value: object, *names: str) -> dict[str, Any]:
    """Returns attributes of a value by their names."""
    return {name: _plain(getattr(value, name)) for name in names}


def _plain(value: object) -> Any:
    match value:
        case Path():
            return str(value)
        case tuple():
            return list(map(_plain, value))
        case _:
            return value
