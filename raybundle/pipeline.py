"""The story: target, resolution, collected files, manifest, archive, store, runtime_env, job, run."""

from __future__ import annotations

import hashlib
import json
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from raybundle.bundle.collect import collect
from raybundle.bundle.manifest import format_manifest, make_manifest, parse_manifest
from raybundle.bundle.pack import boot_digest, pack, read_boot
from raybundle.config import cache_directory, default_store
from raybundle.errors import ObjectMissingError, RaybundleError, StoreError
from raybundle.formats.canonical import digest_of
from raybundle.publish import layout
from raybundle.store import open_store
from raybundle.submission.submission import Stored

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from raybundle.bundle.layers.byte_code import ByteCode
    from raybundle.bundle.layers.layer import Layer
    from raybundle.bundle.pack import Archive
    from raybundle.bundle.values import Manifest
    from raybundle.cache.documents import Cache
    from raybundle.config import Settings
    from raybundle.model import CollectedFile, Digest, Interpreter, Resolution, Target
    from raybundle.publish.layers import Progress
    from raybundle.resolve.interpreter.node_python import NodePython
    from raybundle.resolve.missing.elsewhere import Remedy
    from raybundle.resolve.traced import Traced
    from raybundle.store.base import Store


_ROUNDS = 3
"""How often folders are looked for in which a missing module is, and what that one misses in turn."""


@dataclass(slots=True)
class Timings:
    """Seconds per stage, in the order in which the stages ran."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Adds the time that its block takes to the stage `name`."""
        begin = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.monotonic() - begin


@dataclass(frozen=True, slots=True)
class Request:
    """What the user asks for: a target, the settings, and where the command stands."""

    target: Target
    settings: Settings
    project: Path
    cwd: Path
    environ: Mapping[str, str]
    tracing: Tracing | None = None
    """How the target is run before it is resolved; None runs nothing."""
    set_up: tuple[str, ...] = ()
    """Distributions that Ray installs on the nodes for this job, normalised: `pip`, `uv`, `conda`."""
    arguments: tuple[str, ...] = ()
    """Of the job, where they are known: files of the project that they name travel."""
    cluster: NodePython | None = None
    """What the cluster says that it runs; the settings `python` and `platform` count before it."""


@dataclass(frozen=True, slots=True)
class Tracing:
    """A run of the target that is observed."""

    arguments: tuple[str, ...] = ()
    as_main: bool = False
    """Else `if __name__ == "__main__":` is not entered."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A bundle that is computed and not yet stored."""

    resolution: Resolution
    files: tuple[CollectedFile, ...]
    manifest: Manifest
    manifest_bytes: bytes
    digest: Digest
    timings: Timings
    cache: Cache
    layers: tuple[Layer, ...] = ()

    @property
    def bytes(self) -> int:
        """Size of all files of the bundle together, those of its layers too."""
        return sum(len(file.data) for file in self.files) + sum(layer.bytes for layer in self.layers)


def plan(request: Request) -> Plan:
    """Returns the bundle of a target: resolved, collected, named; nothing is stored.

    Raises:
        BundleError: imports resolve nowhere, or files must not or cannot travel.
        SecretError: files hold secrets.
    """
    from raybundle.bundle.layers.describe_all import describe_layers
    from raybundle.bundle.secrets.refuse import refuse_secrets
    from raybundle.wheels.retarget import refuse_foreign, retarget

    timings, cache = Timings(), _cache(request)
    with timings.stage("resolve"):
        resolution = resolve_target(request)
    tag = target_tag(request)
    with timings.stage("build"):
        resolution = retarget(resolution, tag, request.environ, cache)
        files = collect(resolution)
        if tag is not None:
            refuse_foreign(resolution, files, tag)
        unused = refuse_secrets(resolution, files, request.settings.items("allow-secrets"), cache)
        exclude = request.settings.items("exclude")
        layers = describe_layers(resolution.distributions, resolution.interpreter, cache, exclude)
        odd = [warning for layer in layers for warning in layer.warnings]
        resolution = replace(resolution, warnings=(*resolution.warnings, *unused, *odd))
        manifest = make_manifest(resolution, files, layers)
        data = format_manifest(manifest)
    return Plan(resolution, files, manifest, data, digest_of(data), timings, cache, layers)


def _cache(request: Request) -> Cache:
    from raybundle.cache.documents import Cache

    return Cache(cache_directory(request.environ))


def resolve_target(request: Request) -> Resolution:
    """Returns the complete resolution of a target.

    Raises:
        BundleError: imports resolve nowhere, or distributions or files must not or cannot travel.
    """
    resolution = resolve_as_is(request)
    if resolution.missing or resolution.obstacles:
        from raybundle.resolve.missing.complete import require_complete

        require_complete(resolution, _remedy(request, resolution))
    return resolution


def _remedy(request: Request, resolution: Resolution) -> Remedy | None:
    """Returns roots with which more imports resolve: they are tried, and so is what those lead to."""
    from raybundle.resolve.missing.elsewhere import Remedy, find_roots

    declared = [each for each in request.settings.items("roots") if each != str(request.project)]
    missing = {each.name for each in resolution.missing}
    places, tried = [], None
    for _ in range(_ROUNDS):
        found = find_roots(resolution)
        if not found:
            break
        places += found
        roots = tuple(dict.fromkeys([*declared, *(each.root for each in places)]))
        settings = request.settings.extended("roots", [each.root for each in places], "hint")
        try:
            resolution = resolve_with(replace(request, settings=settings), recorded(request))
        except RaybundleError:  # what they lead to cannot travel: they are no remedy
            break
        left = {each.name for each in resolution.missing}
        tried = Remedy(roots, tuple(places), frozenset(missing - left))
    return tried


def resolve_as_is(request: Request) -> Resolution:
    """Returns the resolution of a target, also where imports resolve nowhere.

    Raises:
        BundleError: files must not or cannot travel.
    """
    traced = recorded(request)
    if request.tracing is not None:
        seen, _ = observe_target(request, request.tracing)
        traced = seen if traced is None else traced.joined(seen)
    return resolve_with(request, traced)


def resolve_with(request: Request, traced: Traced | None) -> Resolution:
    """Returns the resolution of a target, with what runs of it have shown.

    Raises:
        BundleError: files must not or cannot travel.
    """
    from raybundle.resolve.answers.answers import answer
    from raybundle.resolve.distributions.installed import normalised_name
    from raybundle.resolve.driver.project import named_by
    from raybundle.resolve.interpreter.node_python import as_on_nodes
    from raybundle.resolve.settings import ResolveSettings

    settings = request.settings
    interpreter, tag = target_interpreter(request), target_tag(request)
    return answer(
        request.target,
        ResolveSettings(
            roots=settings.items("roots"),
            include=settings.items("include"),
            exclude=settings.items("exclude"),
            project=request.project,
            rules_off=settings.switched_off("rules"),
            traced=traced,
            dependencies="cluster" if settings.text("dependencies") == "cluster" else "bundle",
            cluster_provides=tuple(map(normalised_name, settings.items("cluster-provides"))),
            set_up=request.set_up,
            arguments=named_by(request.arguments, request.project, request.cwd),
            optional=settings.items("optional"),
            tracked=_tracked(request),
        ),
        interpreter if tag is None else as_on_nodes(interpreter, tag),
        request.cwd,
        _cache(request),
    )


def _tracked(request: Request) -> tuple[str, ...]:
    """Returns the data files that git does not ignore, if all of them are to travel."""
    if request.settings.text("data") != "tracked":
        return ()
    from raybundle.resolve.files.tracked import tracked_data

    return tracked_data(str(request.project), request.environ)


def target_tag(request: Request) -> NodePython | None:
    """Returns the Python of the nodes, where it is another than the one that the target is resolved against.

    Raises:
        UsageError: a setting names no Python or platform that a bundle can be made for.
    """
    from raybundle.resolve.interpreter.node_python import find_node_python

    python, platform = (request.settings.text(key) for key in ("python", "platform"))
    if not (python or platform or request.cluster):
        return None
    return find_node_python(python, platform, target_interpreter(request), request.cluster)


def target_interpreter(request: Request) -> Interpreter:
    """Returns the interpreter that a target is resolved against."""
    from raybundle.resolve.interpreter.describe import describe, find_interpreter

    executable = find_interpreter(request.settings.text("python"), request.project, request.environ)
    return describe(executable, request.environ, request.cwd, _cache(request), request.target.options)


def recorded(request: Request) -> Traced | None:
    """Returns what the project's lock file says of the target, or None if there is none."""
    if not (request.project / "raybundle-trace.json").exists():
        return None
    from raybundle.resolve.trace.lock import read_lock

    return read_lock(request.project, request.target, target_interpreter(request))


def observe_target(request: Request, tracing: Tracing) -> tuple[Traced, int]:
    """Returns what a run of the target imported and opened, and its exit code; this runs the user's code."""
    from raybundle.resolve.trace.run import Run, observe

    settings = request.settings
    run = Run(
        request.target,
        request.project,
        settings.items("roots"),
        request.cwd,
        {**request.environ, **settings.table("env")},
        tracing.arguments,
        tracing.as_main,
    )
    return observe(run, target_interpreter(request))


def open_request_store(settings: Settings, environ: Mapping[str, str]) -> Store:
    """Returns the configured store, else the user's local one."""
    return open_store(settings.text("store") or default_store(environ), environ)


def build(planned: Plan, store: Store, graph: bytes, progress: Progress | None = None) -> Stored:
    """Puts a bundle into the store, unless it is there, and returns what is needed to run it.

    Args:
        planned: the bundle.
        store: where it goes.
        graph: how it was resolved, kept beside it.
        progress: takes how many bytes of layers are done, and of how many.

    Raises:
        BundleError: files of layers are no longer what they were when the bundle was planned.
        DigestMismatchError: an object of the bundle is there and holds something else.
        StoreError: the store refuses us or cannot be reached.
    """
    with planned.timings.stage("build"):
        byte_code = _byte_code(planned)
        delivery = _delivery(planned, byte_code)
        archive = pack(planned.manifest_bytes, planned.files, delivery)
    key = layout.archive_key(planned.digest, archive.boot, archive.sha256)
    with planned.timings.stage("upload"):
        layout.prepare(store)
        uploaded = _put_layers(store, planned, byte_code, progress)
        if delivery is not None and layout.put_compared(store, layout.delivery_key(key), delivery):
            uploaded += len(delivery)
        uploaded += _put_bundle(store, planned, archive, graph)
    compiled = {each.layer: (each.tag, each.listing) for each in byte_code}
    return Stored(
        planned.digest,
        planned.manifest,
        key,
        archive.boot,
        uploaded,
        tuple(key for key, _ in layout.layer_keys(planned.manifest.layers, compiled)),
        None if delivery is None else hashlib.sha256(delivery).hexdigest(),
    )


def _byte_code(planned: Plan) -> tuple[ByteCode, ...]:
    if not planned.layers:
        return ()
    from raybundle.bundle.layers.byte_code import find_byte_code

    return find_byte_code(planned.layers, planned.resolution.interpreter, planned.cache)


def _delivery(planned: Plan, byte_code: Sequence[ByteCode]) -> bytes | None:
    """Returns how the layers of a bundle travel, and what does not; None where there is nothing to say."""
    from raybundle.resolve.missing.left_modules import left_modules

    resolution = planned.resolution
    absent = dict(left_modules(resolution))
    if not (planned.layers or absent):
        return None
    from raybundle.bundle.delivery import Delivery

    if planned.layers:
        from raybundle.resolve.distributions.modules import absent_modules

        present = {each.name for each in resolution.distributions}
        missed = {*(each.name for each in resolution.optional), *resolution.mentioned} - present
        absent |= absent_modules(resolution.interpreter, missed, present, planned.cache)
    byte_code_of = {each.layer: (each.tag, each.listing) for each in byte_code}
    return Delivery(absent, byte_code_of).format()


def _put_layers(store: Store, planned: Plan, byte_code: Sequence[ByteCode], progress: Progress | None) -> int:
    """Puts layers and their byte-code, and returns the bytes of what was new."""
    if not planned.layers:
        return 0
    from raybundle.publish.layers import LayerSender, byte_code_objects, layer_objects
    from raybundle.publish.receipts import Receipts

    sender = LayerSender(store, Receipts(planned.cache, store.place), planned.cache, progress)
    return sender.put([*layer_objects(planned.layers, planned.cache), *byte_code_objects(byte_code)])


def _put_bundle(store: Store, planned: Plan, archive: Archive, graph: bytes) -> int:
    """Puts archive, graph and manifest in this order: a bundle whose manifest is there is complete."""
    digest = planned.digest
    uploaded = 0
    if layout.put_compared(store, layout.archive_key(digest, archive.boot, archive.sha256), archive.data):
        uploaded += len(archive.data)
    if store.size(layout.graph_key(digest)) is None and store.put_new(layout.graph_key(digest), graph):
        uploaded += len(graph)
    if layout.put_compared(store, layout.manifest_key(digest), planned.manifest_bytes):
        uploaded += len(planned.manifest_bytes)
    return uploaded


def find_bundle(store: Store, ref: str) -> Stored:
    """Returns a bundle of the store by its digest, the start of it, or a name.

    Raises:
        ObjectMissingError: there is none, or it lost its archive or layers; those are named.
        DigestMismatchError: its manifest is not what its digest says.
    """
    digest = layout.look_up(store, ref)
    manifest = parse_manifest(store.get(layout.manifest_key(digest)), digest)
    archives = layout.find_archives(store, digest)
    if not archives:
        raise ObjectMissingError(
            f"bundle {digest} has no archive in {store.url}", hint="build it again from its sources"
        )
    ours = boot_digest(read_boot())
    key, boot = min(archives, key=lambda archive: (archive[1] != ours, archive))
    stored = Stored(digest, manifest, key, boot, 0)
    from raybundle.publish.deliveries import find_layers, find_plain_delivery

    if not manifest.layers:
        return replace(stored, delivery=find_plain_delivery(store, key))

    found = find_layers(store, manifest.layers, key)
    return replace(stored, layer_keys=found.keys, delivery=found.delivery, warnings=found.warnings)


def bytes_of(store: Store, stored: Stored) -> int:
    """Returns the size of all files of a bundle of the store together, those of its layers too.

    What layers have is not in the manifest: where the graph cannot be read, they are not counted.
    """
    size = sum(file.size for file in stored.manifest.files)
    layers = {layer.name for layer in stored.manifest.layers}
    if layers:
        with suppress(StoreError, ValueError, LookupError, TypeError):
            graph = json.loads(store.get(layout.graph_key(stored.digest)))
            size += sum(each["bytes"] for each in graph["distributions"] if each["name"] in layers)
    return size
