"""What is compared: a bundle or a run of the store, or the bundle that the working tree gives."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from raybundle.bundle.graph_document import graph_document
from raybundle.bundle.values import ScriptEntry
from raybundle.content import read
from raybundle.errors import UNREADABLE, BundleError, ObjectMissingError
from raybundle.pipeline.rebuilding import plan_again
from raybundle.publish import layout
from raybundle.publish.bundles import read_bundle
from raybundle.publish.content.pulling import opened_archive
from raybundle.publish.refs import find_ref
from raybundle.publish.stored import Stored

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from raybundle.bundle.values import Manifest, ManifestFile
    from raybundle.model import Digest
    from raybundle.planning import Plan
    from raybundle.publish.content.objects import Shelf
    from raybundle.submission.asking import Given

WORKING_TREE = "the working tree"
_OWN = ("schema_version", "id", "bundle", "started")
"""What two records of runs have different always, or what is told elsewhere."""


@dataclass(frozen=True, slots=True)
class End:
    """One end of a comparison."""

    name: str
    """As the user wrote it."""
    digest: Digest
    manifest: Manifest
    graph: Mapping[str, Any]
    """As `graph.json` has it; empty if the store has lost it."""
    read: Callable[[Iterable[ManifestFile]], dict[str, bytes]]
    """Returns the content of files by path."""
    record: Mapping[str, Any] = field(default_factory=dict)
    """Of the run, if it is one."""

    @property
    def target(self) -> str:
        """What runs: the path of a script, or the name of a module."""
        target = self.manifest.target
        return str(target.path) if isinstance(target, ScriptEntry) else target.name

    def facts(self, *, with_record: bool) -> dict[str, str]:
        """Returns what is neither a file nor a distribution, for a run also what its record says."""
        python = self.manifest.python
        found = {
            "target": self.target,
            "python": f"{python.implementation} {python.minor}",
            "abi": python.abi or "",
            "platform": python.platform or "",
            "libc": python.libc or "",
        }
        for name, value in self.record.items() if with_record else ():
            if name not in _OWN:
                found |= dict(_flat(name, value))
        return {name: value for name, value in found.items() if value}


def _flat(name: str, value: Any) -> list[tuple[str, str]]:
    if isinstance(value, dict):
        return [each for key, item in value.items() for each in _flat(f"{name}.{key}", item)]
    return [(name, value if isinstance(value, str) else json.dumps(value))]


def open_end(shelf: Shelf, ref: str) -> End:
    """Returns a bundle or a run of the store.

    Raises:
        StoreError: the store has no such thing, or cannot be used.
        BundleError: its manifest is damaged.
    """
    found = find_ref(shelf.store, ref)
    record: dict[str, Any] = {}
    if found.run is not None:
        hint = "name a bundle instead of the run"
        record = layout.read_object(shelf.store, found.run, dict, hint)
    stored = stored_of(shelf, found.digest)
    return End(ref, found.digest, stored.manifest, _graph(shelf, found.digest), Reader(shelf, stored), record)


def stored_of(shelf: Shelf, digest: Digest) -> Stored:
    """Returns a bundle with its first archive; its layers need not be there.

    Raises:
        ObjectMissingError: the store has no such bundle, or no archive of it.
        BundleError: its manifest is damaged.
    """
    manifest, archives = read_bundle(shelf.store, digest)
    return Stored(digest, manifest, *archives[0])


def end_of_tree(manifest: Manifest, given: Given) -> End:
    """Returns what the target of a bundle is in the project of the current directory.

    Raises:
        UsageError: the project has no such target.
        BundleError: the target cannot be bundled now.
    """
    planned = plan_again(manifest, given)
    graph = graph_document(planned.resolution, planned.layers)
    return End(WORKING_TREE, planned.digest, planned.manifest, graph, _Planned(planned))


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads files of a stored bundle."""

    shelf: Shelf
    stored: Stored

    def __call__(self, files: Iterable[ManifestFile]) -> dict[str, bytes]:
        """Returns the content of files by path; the archive is read once for all of them."""
        wanted = list(files)
        if not wanted:
            return {}
        with opened_archive(self.shelf, self.stored) as archive:
            return {str(each.path): b"".join(archive.pieces(each)) for each in wanted}


@dataclass(frozen=True, slots=True)
class _Planned:
    planned: Plan

    def __call__(self, files: Iterable[ManifestFile]) -> dict[str, bytes]:
        wanted = {str(each.path) for each in files}
        return {str(each.path): read(each) for each in self.planned.files if str(each.path) in wanted}


def _graph(shelf: Shelf, digest: Digest) -> Mapping[str, Any]:
    try:
        return dict(json.loads(shelf.store.get(layout.graph_key(digest))))
    except (ObjectMissingError, BundleError, *UNREADABLE):
        return {}
