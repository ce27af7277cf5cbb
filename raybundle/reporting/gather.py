"""Collects what a report shows: from a target, or from the store."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from raybundle.bundle.graph_document import graph_document
from raybundle.bundle.values import ScriptEntry
from raybundle.errors import UNREADABLE, ObjectMissingError, StoreError
from raybundle.pipeline.changes import Side, changes_between
from raybundle.pipeline.comparing import compare, find_baseline
from raybundle.planning import checked_plan
from raybundle.publish import layout
from raybundle.publish.bundles import bytes_of, find_bundle, open_configured
from raybundle.publish.names import current, history
from raybundle.publish.refs import find_ref
from raybundle.publish.runs.records import read_events, read_run
from raybundle.reporting.facts import Before, Facts, Here, Stage, Timeline
from raybundle.reporting.timeline import timeline_of
from raybundle.request import prepare
from raybundle.submission.recording.observed import EVENT as OBSERVED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from raybundle.bundle.values import Manifest
    from raybundle.config import Settings
    from raybundle.model import Resolution
    from raybundle.planning import Listener, Plan
    from raybundle.publish.stored import Stored
    from raybundle.request import Request
    from raybundle.store.base import Store


def facts_of_target(
    request: Request,
    against: str | None,
    reload: Callable[[Path], Settings],
    listener: Listener,
    *,
    strict: bool,
) -> Facts:
    """Returns what a report shows of a target.

    Args:
        request: the target, with its settings.
        against: a revision or a stored bundle; None compares with the last version of the target's name.
        reload: as for `compare`.
        listener: hears the warnings.
        strict: warnings are errors.

    Raises:
        BundleError: the target cannot be bundled.
        UsageError: `against` is neither a revision nor a bundle.
    """
    listener.warnings(request.warnings)
    planned = checked_plan(prepare(request), listener, strict=strict)
    if against is None:
        before = _last_version(planned, request)
    else:
        found = compare(request, find_baseline(against, [request]), reload)
        before = Before(against, found.changes, found.fault)
    return Facts(
        _title(planned.manifest),
        planned.digest,
        planned.manifest,
        graph_document(planned.resolution, planned.layers),
        planned.bytes,
        before,
        _here(planned.resolution),
        Timeline("Making the bundle for this report", tuple(_stages(planned.timings.seconds))),
    )


def facts_of_stored(
    ref: str, against: str | None, settings: Settings, environ: Mapping[str, str], listener: Listener
) -> Facts:
    """Returns what a report shows of a bundle of the store.

    Args:
        ref: the bundle's digest, the start of it, a name, or the id of a run.
        against: another such bundle; None compares a name with its version before.
        settings: `store`.
        environ: environment variables.
        listener: hears what the store has lost of the bundle.

    Raises:
        UsageError: `ref` or `against` is ambiguous.
        StoreError: the store has no such bundle, or cannot be used.
    """
    store = open_configured(settings, environ)
    found = find_ref(store, ref)
    stored = find_bundle(store, found.digest)
    listener.warnings(stored.warnings)
    earlier = _version_before(store, found.name) if against is None else against
    size = bytes_of(store, stored)
    before = None
    if earlier is not None:
        side = Side(stored.digest, stored.manifest, size)
        before = Before(earlier, changes_between(_side(store, find_bundle(store, earlier)), side))
    title = _title(stored.manifest)
    facts = Facts(title, stored.digest, stored.manifest, _graph(store, stored), size, before)
    if not found.run:
        return facts
    run = read_run(store, found.run)
    events = read_events(store, run)
    return replace(facts, timeline=timeline_of(run.id, run.started, events), seen=events.get(OBSERVED))


def _graph(store: Store, stored: Stored) -> Mapping[str, Any]:
    try:
        found = json.loads(store.get(layout.graph_key(stored.digest)))
        return {key: list(found[key]) for key in ("modules", "edges", "distributions")}
    except (ObjectMissingError, *UNREADABLE):
        layers = [
            {"name": each.name, "version": each.version, "provided_by": "bundle", "modules": []}
            for each in stored.manifest.layers
        ]
        return {"modules": [], "edges": [], "distributions": layers}


def _side(store: Store, stored: Stored) -> Side:
    return Side(stored.digest, stored.manifest, bytes_of(store, stored))


def _last_version(planned: Plan, request: Request) -> Before | None:
    """Returns the last version that the store has under the target's name, if it has one."""
    name = request.settings.text("name")
    if name is None:
        return None
    after = Side(planned.digest, planned.manifest, planned.bytes, planned.resolution)
    try:
        store = open_configured(request.settings, request.environ)
        version = current(store, name, history(store, name))
        if not version:
            return None
        earlier = f"{name}@{version}"
        return Before(earlier, changes_between(_side(store, find_bundle(store, earlier)), after))
    except StoreError as error:
        return Before(name, None, str(error))


def _version_before(store: Store, named: str | None) -> str | None:
    """Returns the version of a name before this one, such as `train@2` for `train@3`."""
    if named is None:
        return None
    name, _, version = named.rpartition("@")
    earlier = [each for each in history(store, name).versions if each < int(version)]
    return f"{name}@{earlier[-1]}" if earlier else None


def _title(manifest: Manifest) -> str:
    if isinstance(manifest.target, ScriptEntry):
        return manifest.target.path.removeprefix("project/")
    return f"-m {manifest.target.name}"


def _here(resolution: Resolution) -> Here:
    interpreter = resolution.interpreter
    places: dict[str, tuple[str, ...]] = {
        str(each.symbol): (str(each.directory),) for each in resolution.roots
    }
    places |= {"stdlib": interpreter.stdlib, "layers": interpreter.site}
    known = {place for found in places.values() for place in found}
    unused = (each for each in interpreter.path if each and each not in known)
    return Here(
        str(resolution.project),
        places,
        tuple(dict.fromkeys(unused)),
        resolution.shadowed,
        resolution.warnings,
    )


def _stages(seconds: Mapping[str, float]) -> Iterator[Stage]:
    begin = 0.0
    for name, length in seconds.items():
        yield Stage(name, begin, length)
        begin += length
