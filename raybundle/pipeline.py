"""The story: target, resolution, collected files, manifest, archive, store, runtime_env, job, run."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from raybundle.bundle.collect import collect
from raybundle.bundle.manifest import digest_of, format_manifest, make_manifest, parse_manifest
from raybundle.bundle.pack import boot_digest, pack, read_boot
from raybundle.config import cache_directory, default_store
from raybundle.errors import ObjectMissingError
from raybundle.store import layout, open_store
from raybundle.submission import Stored

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from raybundle.bundle.manifest import Manifest
    from raybundle.bundle.pack import Archive
    from raybundle.config import Settings
    from raybundle.graph.cache import ScanCache
    from raybundle.graph.traced import Traced
    from raybundle.model import CollectedFile, Digest, Interpreter, Resolution, Target
    from raybundle.store.base import Store


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

    @property
    def bytes(self) -> int:
        """Size of all files of the bundle together."""
        return sum(len(file.data) for file in self.files)


def plan(request: Request) -> Plan:
    """Returns the bundle of a target: resolved, collected, named; nothing is stored.

    Raises:
        BundleError: imports resolve nowhere, or files must not or cannot travel.
        SecretError: files hold secrets.
    """
    from raybundle.bundle.secrets import refuse_secrets

    timings = Timings()
    with timings.stage("resolve"):
        resolution = resolve_target(request)
    with timings.stage("build"):
        files = collect(resolution)
        unused = refuse_secrets(
            resolution, files, request.settings.items("allow-secrets"), _scan_cache(request)
        )
        resolution = replace(resolution, warnings=(*resolution.warnings, *unused))
        manifest = make_manifest(resolution, files)
        data = format_manifest(manifest)
    return Plan(resolution, files, manifest, data, digest_of(data), timings)


def _scan_cache(request: Request) -> ScanCache:
    from raybundle.graph.cache import ScanCache

    return ScanCache(cache_directory(request.environ))


def resolve_target(request: Request) -> Resolution:
    """Returns the complete resolution of a target.

    Raises:
        BundleError: imports resolve nowhere, or distributions or files must not or cannot travel.
    """
    resolution = resolve_as_is(request)
    if resolution.missing or resolution.obstacles:
        from raybundle.graph.resolve import require_complete

        require_complete(resolution)
    return resolution


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
    from raybundle.graph.answers import answer
    from raybundle.graph.cache import ScanCache
    from raybundle.graph.metadata import normalised_name
    from raybundle.graph.settings import ResolveSettings

    settings = request.settings
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
        ),
        target_interpreter(request),
        request.cwd,
        ScanCache(cache_directory(request.environ)),
    )


def target_interpreter(request: Request) -> Interpreter:
    """Returns the interpreter that a target is resolved against."""
    from raybundle.graph.interpreter import describe, find_interpreter

    executable = find_interpreter(request.settings.text("python"), request.project, request.environ)
    cache = cache_directory(request.environ)
    return describe(executable, request.environ, request.cwd, cache, request.target.options)


def recorded(request: Request) -> Traced | None:
    """Returns what the project's lock file says of the target, or None if there is none."""
    if not (request.project / "raybundle-trace.json").exists():
        return None
    from raybundle.graph.trace_lock import read_lock

    return read_lock(request.project, request.target, target_interpreter(request))


def observe_target(request: Request, tracing: Tracing) -> tuple[Traced, int]:
    """Returns what a run of the target imported and opened, and its exit code; this runs the user's code."""
    from raybundle.graph.trace import Run, observe

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


def build(planned: Plan, store: Store, graph: bytes) -> Stored:
    """Puts a bundle into the store, unless it is there, and returns what is needed to run it.

    Raises:
        DigestMismatchError: an object of the bundle is there and holds something else.
        StoreError: the store refuses us or cannot be reached.
    """
    with planned.timings.stage("build"):
        archive = pack(planned.manifest_bytes, planned.files)
    with planned.timings.stage("upload"):
        uploaded = _put_bundle(store, planned, archive, graph)
    return Stored(
        planned.digest,
        planned.manifest,
        layout.archive_key(planned.digest, archive.boot, archive.sha256),
        archive.boot,
        uploaded,
    )


def _put_bundle(store: Store, planned: Plan, archive: Archive, graph: bytes) -> int:
    """Puts archive, graph and manifest in this order: a bundle whose manifest is there is complete."""
    layout.prepare(store)
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
        ObjectMissingError: there is none, or it lost its archive.
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
    return Stored(digest, manifest, key, boot, 0)
