"""Walks a store and finds what breaks the rules of docs/format.md, section 6.1."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from raybundle.bundle.delivery import Packed, parse_delivery
from raybundle.bundle.manifest import format_manifest, parse_manifest
from raybundle.errors import UNREADABLE, BundleError, ObjectMissingError, StoreError
from raybundle.model import Digest
from raybundle.publish import layout
from raybundle.publish.content.verifying import (
    AT_ONCE,
    LayerPart,
    layer_parts,
    verify_archives,
    verify_data,
    verify_graph,
    verify_layer,
)
from raybundle.publish.names import parse_move, parse_version
from raybundle.publish.runs.run import parse_run
from raybundle.publish.stored import data_of
from raybundle.publish.trust.signatures import fault_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from raybundle.bundle.delivery import Delivery
    from raybundle.bundle.values import Manifest
    from raybundle.publish.content.objects import Shelf
    from raybundle.publish.content.verifying import Part

READERS = 16
"""Documents that are read at a time."""
_HEX = "[0-9a-f]{64}"
KNOWN = re.compile(
    rf"store\.json|bundles/(?P<bundle>{_HEX})/(?P<part>manifest\.json|graph\.json|{_HEX}-{_HEX}\.(?:zip|json))"
    rf"|data/{_HEX}|results/[^/]+/{_HEX}|layers/{_HEX}(?:-[a-z0-9-]{{1,64}}-{_HEX})?\.zip"
    rf"|names/(?P<name>{layout.NAME.pattern})/(?P<moves>moves/)?(?P<number>[1-9][0-9]*)\.json"
    r"|runs/(?P<record>\d{4}/\d\d/[^/]+)\.json"
    rf"|bundles/(?P<signed>{_HEX})/signatures/(?:{layout.NAME.pattern}/[1-9][0-9]*-)?{_HEX}\.json"
    r"|logs/\d{4}/\d\d/[^/]+\.log|events/(?P<event>\d{4}/\d\d/[^/]+)/[a-z-]+\.json"
    r"|(?:leases|gc)/[0-9a-f]{32}\.json"
    r"|history/\d{4}/\d\d/\d\d/(?P<year>\d{4})(?P<month>\d\d)[^/!]*!(?P<id>[^/!]+)![^/]+"
)
"""The keys that a store may have."""


def marked_run(match: re.Match[str]) -> str | None:
    """Returns month and id of the run of a mark; None for another key."""
    return f"{match['year']}/{match['month']}/{match['id']}" if match["month"] else None


Kind = Literal["damaged", "missing", "unknown", "gap", "incomplete", "lost", "unreachable"]
HARMLESS = ("incomplete", "lost", "unreachable")
"""Kinds that break no rule: an interrupted build, what a run does without, and what no bundle names."""


class Finding(NamedTuple):
    """An object of a store that is not as it should be."""

    kind: Kind
    key: str
    found: str


@dataclass(frozen=True, slots=True)
class Checked:
    """What is in a store, and what is wrong with it."""

    objects: int
    bytes: int
    read_bytes: int
    """Bytes of archives that were read."""
    findings: tuple[Finding, ...]

    @property
    def faults(self) -> tuple[Finding, ...]:
        """Findings that break a rule."""
        return tuple(each for each in self.findings if each.kind not in HARMLESS)


@dataclass(slots=True)
class _Walk:
    shelf: Shelf
    sizes: Mapping[str, int]
    """Bytes by key."""
    findings: list[Finding] = field(default_factory=list)
    manifests: dict[Digest, Manifest] = field(default_factory=dict)
    read_bytes: int = 0

    def add(self, kind: Kind, key: str, found: str) -> None:
        self.findings.append(Finding(kind, key, found))

    def documents(self, keys: Iterable[str], parse: Callable[[str, bytes], Any]) -> dict[str, Any]:
        """Returns what `parse` makes of documents, which are read several at a time; notes damaged ones."""

        def read(key: str) -> tuple[str, Any, Exception | None]:
            try:
                return key, parse(key, layout.get_document(self.shelf.store, key)), None
            except ObjectMissingError as error:  # removed while the store is walked
                return key, None, error
            except (BundleError, *UNREADABLE) as error:
                return key, None, error

        with ThreadPoolExecutor(READERS) as threads:
            results = list(threads.map(read, keys))
        for key, _, error in results:
            if isinstance(error, ObjectMissingError):
                self.add("missing", key, "the list has it, and it cannot be read")
            elif error is not None:
                self.add("damaged", key, _text(error))
        return {key: value for key, value, error in results if error is None}


def _text(error: Exception) -> str:
    return f"no field {error}" if isinstance(error, KeyError) else str(error) or repr(error)


def check_store(shelf: Shelf, *, read_data: bool = False) -> Checked:
    """Returns what breaks a rule of the store.

    Args:
        shelf: of the store.
        read_data: also read every archive, and compare each file in it.

    Raises:
        StoreError: the store has another format, or cannot be read.
    """
    entries = shelf.store.entries("")
    walk = _Walk(shelf, {each.key: each.size for each in entries})
    _check_mark(walk)
    for key in walk.sizes:
        if KNOWN.fullmatch(key) is None:
            walk.add("unknown", key, "not an object of a store of format 1")
    deliveries = _check_bundles(walk)
    _check_names(walk)
    _check_runs(walk)
    if read_data:
        _read_data(walk)
    _check_layers(walk, deliveries)
    _check_data(walk)
    _check_signatures(walk)
    findings = tuple(sorted(set(walk.findings), key=lambda each: (each.key, each.kind)))
    return Checked(len(entries), sum(walk.sizes.values()), walk.read_bytes, findings)


def _check_mark(walk: _Walk) -> None:
    try:
        marked = layout.require_format(walk.shelf.store)
    except StoreError as error:
        if layout.STORE_KEY not in str(error):
            raise
        walk.add("damaged", layout.STORE_KEY, "not the mark of a store of format 1")
        return
    if not marked and walk.sizes:
        walk.add("missing", layout.STORE_KEY, "the store has objects and no mark")


def _check_bundles(walk: _Walk) -> dict[Digest, list[Delivery]]:
    """Finds bundles that lack something, and returns the deliveries of the complete ones."""
    parts: dict[str, list[str]] = defaultdict(list)
    for key in walk.sizes:
        match = KNOWN.fullmatch(key)
        if match is not None and match["bundle"]:
            parts[match["bundle"]].append(match["part"])
    complete = [name for name, has in parts.items() if "manifest.json" in has]
    for name in sorted(set(parts) - set(complete)):
        walk.add("incomplete", f"bundles/{name}/", "no manifest: a build was interrupted, or is under way")
    read = walk.documents([f"bundles/{name}/manifest.json" for name in complete], _manifest)
    walk.manifests = {_digest(key): manifest for key, manifest in read.items()}
    deliveries: dict[Digest, list[Delivery]] = {}
    for digest, manifest in walk.manifests.items():
        folder = f"bundles/{digest.removeprefix('sha256:')}/"
        archives = [each for each in parts[folder.split("/")[1]] if each.endswith(".zip")]
        if not archives:
            walk.add("missing", f"{folder}*.zip", "no archive of the bundle")
        if f"{folder}graph.json" not in walk.sizes:
            walk.add("lost", f"{folder}graph.json", "it explains the bundle; a run does without it")
        keys = [layout.delivery_key(folder + each) for each in archives]
        if manifest.layers:
            for key in (each for each in keys if each not in walk.sizes):
                walk.add("lost", key, "the archive has a copy")
        found = walk.documents([key for key in keys if key in walk.sizes], _delivery)
        deliveries[digest] = list(found.values())
    return deliveries


def _manifest(key: str, data: bytes) -> Manifest:
    return parse_manifest(data, _digest(key))


def _delivery(key: str, data: bytes) -> Delivery:
    return parse_delivery(data, key)


def _digest(key: str) -> Digest:
    return Digest(f"sha256:{key.split('/')[1]}")


def _check_layers(walk: _Walk, deliveries: Mapping[Digest, list[Delivery]]) -> None:
    """Finds layers that the store lacks or has with other sizes, and those that no bundle names."""
    named: set[str] = set()
    for digest, manifest in walk.manifests.items():
        given = deliveries[digest]
        for each in layer_parts(manifest, given):
            named.add(each.key)
            size = walk.sizes.get(each.key)
            known = {
                one.archives[name].size
                for one in given
                for name in [layout.archive_name(each.key)]
                if name in one.archives
            }
            if size is None:
                kind: Kind = "lost" if each.optional else "missing"
                walk.add(kind, each.key, f"{each.title}, of bundle {digest}")
            elif known and size not in known:
                walk.add("damaged", each.key, f"{size} bytes, and the delivery says {max(known)}")
    for key in walk.sizes:
        if key.startswith("layers/") and key not in named and KNOWN.fullmatch(key):
            walk.add("unreachable", key, "no bundle names it")


def _check_data(walk: _Walk) -> None:
    """Finds large files that the store lacks or has with other sizes, and those that no bundle names."""
    named: dict[str, int] = {}
    for digest, manifest in walk.manifests.items():
        for key, packed in data_of(manifest):
            named[key] = packed.size
            size = walk.sizes.get(key)
            if size is None:
                walk.add("missing", key, f"a large file of bundle {digest}")
            elif size != packed.size:
                walk.add("damaged", key, f"{size} bytes, and the manifest says {packed.size}")
    for key in walk.sizes:
        if key.startswith("data/") and key not in named and KNOWN.fullmatch(key):
            walk.add("unreachable", key, "no bundle names it")


def _check_signatures(walk: _Walk) -> None:
    """Finds envelopes that hold something else than their keys say. Whose signature counts, users decide."""
    manifests = {digest: format_manifest(manifest) for digest, manifest in walk.manifests.items()}

    def parse(key: str, data: bytes) -> None:
        if fault := fault_of(data, _digest(key), manifests[_digest(key)], key):
            raise ValueError(fault)

    matches = {key: match for key in walk.sizes if (match := KNOWN.fullmatch(key)) and match["signed"]}
    walk.documents([key for key in matches if _digest(key) in manifests], parse)


def _check_names(walk: _Walk) -> None:
    numbers: dict[str, list[int]] = defaultdict(list)
    keys = []
    for key in walk.sizes:
        match = KNOWN.fullmatch(key)
        if match is not None and match["name"]:
            keys.append(key)
            numbers[f"names/{match['name']}/{match['moves'] or ''}"].append(int(match["number"]))
    for folder, found in sorted(numbers.items()):
        for number in sorted(set(range(1, max(found))) - set(found)):
            walk.add("gap", f"{folder}{number}.json", f"the numbers go to {max(found)}")
    versions = walk.documents([key for key in keys if "/moves/" not in key], _named)
    for key, digest in versions.items():
        _require_bundle(walk, key, digest)
    moves = walk.documents([key for key in keys if "/moves/" in key], _moved)
    for key, (version, after) in moves.items():
        known = numbers[key.rpartition("moves/")[0]]
        if not (version in known and after in known and version <= after):
            walk.add("damaged", key, f"version {version} after {after}, and there are {sorted(known)}")


def _named(key: str, data: bytes) -> Digest:
    return parse_version(_number(key), json.loads(data)).bundle


def _moved(key: str, data: bytes) -> tuple[int, int]:
    move = parse_move(_number(key), json.loads(data))
    return move.version, move.after


def _number(key: str) -> int:
    return int(key.rpartition("/")[2].removesuffix(".json"))


def _check_runs(walk: _Walk) -> None:
    """Finds damaged records, those of bundles that are gone, and events and marks without a record."""
    matches = {key: match for key in walk.sizes if (match := KNOWN.fullmatch(key)) is not None}
    records = {match["record"]: key for key, match in matches.items() if match["record"]}
    for key, run in walk.documents(records.values(), lambda _, data: parse_run(json.loads(data))).items():
        _require_bundle(walk, key, run.bundle)
    for key, match in matches.items():
        name = match["event"] or marked_run(match)
        if name is not None and name not in records:
            walk.add("missing", f"runs/{name}.json", f"{key} is about that run")


def _require_bundle(walk: _Walk, key: str, digest: str) -> None:
    manifest = f"bundles/{digest.removeprefix('sha256:')}/manifest.json"
    if manifest not in walk.sizes:
        walk.add("missing", manifest, f"{key} names it")


def _read_data(walk: _Walk) -> None:
    """Reads all archives; notes what is damaged."""
    layers: dict[str, LayerPart] = {}
    parts: list[Part] = []
    for digest, manifest in walk.manifests.items():
        found, deliveries = verify_archives(walk.shelf, digest, manifest)
        parts += [*found, verify_graph(walk.shelf, layout.graph_key(digest))]
        for each in layer_parts(manifest, deliveries):
            known = layers[each.key].known if each.key in layers else frozenset()
            layers[each.key] = each._replace(known=known | each.known)
    for key in walk.sizes:
        if key.startswith("layers/") and KNOWN.fullmatch(key):
            layers.setdefault(key, LayerPart(key))
    data = [
        (key, Packed(key.removeprefix("data/"), size))
        for key, size in walk.sizes.items()
        if key.startswith("data/") and KNOWN.fullmatch(key)
    ]
    with ThreadPoolExecutor(AT_ONCE) as threads:
        parts += threads.map(lambda each: verify_layer(walk.shelf, each), list(layers.values()))
        parts += threads.map(lambda each: verify_data(walk.shelf, *each), data)
    for part in parts:
        walk.read_bytes += part.bytes
        if part.state == "damaged":
            walk.add("damaged", part.key, part.fault or "")


def lines_of(found: Checked) -> Iterator[str]:
    """Yields a line for each finding."""
    width = max((len(each.kind) for each in found.findings), default=0)
    for each in found.findings:
        yield f"{each.kind:<{width}}  {each.key}: {each.found}"
