"""From a request to a plan: resolves the target, collects its files, and names the bundle."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from raybundle.bundle.collect import collect
from raybundle.bundle.manifest import format_manifest, make_manifest
from raybundle.errors import BundleError, RaybundleError
from raybundle.formats.amounts import counted, size_text
from raybundle.formats.canonical import digest_of
from raybundle.formats.meter import Meter
from raybundle.model import TRACKED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from raybundle.bundle.layers.layer import Layer
    from raybundle.bundle.values import Manifest
    from raybundle.cache.documents import Cache
    from raybundle.config import Settings
    from raybundle.explain.unread import DataFiles, StayingData
    from raybundle.model import CollectedFile, Digest, Resolution, Warning
    from raybundle.request import Prepared, Request, Tracing
    from raybundle.resolve.missing.elsewhere import Remedy
    from raybundle.resolve.traced import Traced

_ROUNDS = 3
"""Tries with more roots: a module under a new root may itself need a module from another."""


class Listener(Protocol):
    """Hears how far a submission is."""

    def note(self, text: str) -> None:
        """Takes a line that says what is done."""

    def warn(self, text: str) -> None:
        """Takes a line about what went wrong without ending the submission."""

    def warnings(self, warnings: Iterable[Warning]) -> None:
        """Takes what is odd about a bundle."""

    def error(self, error: RaybundleError) -> None:
        """Takes the error of an attempt that is followed by another."""

    def progress(self, text: str) -> None:
        """Takes how far an upload is; an empty text says that it is over."""

    def event(self, name: str, **values: object) -> None:
        """Takes a step of a submission, for programs (docs/schemas)."""


@dataclass(slots=True)
class Timings:
    """Seconds per stage, in the order in which the stages ran."""

    seconds: dict[str, float] = field(default_factory=dict)
    listener: Listener | None = None
    """Hears when a stage begins for the first time."""

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Adds the time that its block takes to the stage `name`."""
        if self.listener is not None and name not in self.seconds:
            self.listener.event("stage", stage=name)
        begin = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.monotonic() - begin


@dataclass(frozen=True, slots=True, repr=False)
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
    staying: StayingData | None = None
    """Data of the project that the job may look for; None if there is none."""

    def __repr__(self) -> str:
        counts = f"files={len(self.files)}, layers={len(self.layers)}, bytes={self.bytes}"
        return f"Plan(digest={self.digest!r}, {counts})"

    @property
    def bytes(self) -> int:
        """Size of all files of the bundle, including those of its layers."""
        return sum(file.size for file in self.files) + sum(layer.bytes for layer in self.layers)


def plan(prepared: Prepared, listener: Listener | None = None, data_files: DataFiles | None = None) -> Plan:
    """Returns the bundle of a target: resolved, collected and named; nothing is stored.

    Args:
        prepared: the request.
        listener: hears how far it is; None if it need not be told.
        data_files: of projects that several plans look at; None looks anew.

    Raises:
        BundleError: imports resolve nowhere, or files must not or cannot travel.
        SecretError: files hold secrets.
    """
    from raybundle.bundle.secrets.refuse import refuse_secrets

    request, tag, cache = prepared.request, prepared.tag, prepared.cache
    timings = Timings(listener=listener)
    with timings.stage("resolve"):
        resolution = resolve_target(prepared)
    with timings.stage("build"):
        resolution = _for_nodes(resolution, prepared)
        meter = Meter(listener.progress if listener else lambda _text: None, "hashing")
        files = collect(resolution, cache, meter.add)
        meter.end()
        if tag is not None:
            from raybundle.wheels.retarget import refuse_foreign

            refuse_foreign(resolution, files, tag)
        unused = refuse_secrets(resolution, files, request.settings.items("allow-secrets"), cache)
        layers = _layers(resolution, prepared)
        odd = [warning for layer in layers for warning in layer.warnings]
        staying = _staying(resolution, request, data_files)
        odd += staying.warnings if staying else ()
        manifest = make_manifest(resolution, files, layers)
        if tag is None and manifest.python.abi is not None:
            odd += _newer_than_here(resolution, files, layers)
        resolution = replace(resolution, warnings=(*resolution.warnings, *unused, *odd))
        data = format_manifest(manifest)
    return Plan(resolution, files, manifest, data, digest_of(data), timings, cache, layers, staying)


def _has_layers(resolution: Resolution) -> bool:
    """Returns whether any distribution travels; without, their rooms are not loaded: it takes 10 ms."""
    return any(each.provided_by == "bundle" for each in resolution.distributions)


def _for_nodes(resolution: Resolution, prepared: Prepared) -> Resolution:
    """Returns the resolution with the versions and files of distributions for the nodes."""
    if not _has_layers(resolution):
        return resolution
    from raybundle.wheels.retarget import retarget

    return retarget(resolution, prepared.tag, prepared.request.environ, prepared.cache)


def _layers(resolution: Resolution, prepared: Prepared) -> tuple[Layer, ...]:
    """Returns the layers of its distributions."""
    if not _has_layers(resolution):
        return ()
    from raybundle.bundle.layers.describe_all import describe_layers

    exclude = prepared.request.settings.items("exclude")
    return describe_layers(resolution.distributions, resolution.interpreter, prepared.cache, exclude)


def _newer_than_here(
    resolution: Resolution, files: Sequence[CollectedFile], layers: Sequence[Layer]
) -> list[Warning]:
    """Returns a warning for all that needs a newer libc than this machine, which the bundle is for."""
    from raybundle.bundle.needs import guarded_files, newer_than_here
    from raybundle.resolve.interpreter.platforms import platform_of

    here = platform_of(resolution.interpreter)
    return list(newer_than_here(files, layers, here, guarded_files(resolution)))


def _staying(resolution: Resolution, request: Request, data_files: DataFiles | None) -> StayingData | None:
    if not resolution.opened:
        return None
    from raybundle.explain.unread import DataFiles, staying_data

    settled = request.settings.text("data") == "tracked"
    exclude = request.settings.items("exclude")
    return staying_data(resolution, exclude, data_files or DataFiles(), settled=settled)


def checked_plan(prepared: Prepared, listener: Listener, *, strict: bool) -> Plan:
    """Returns the plan of a request, once its warnings were told.

    Raises:
        BundleError: there are warnings, and `strict` makes them errors.
    """
    planned = plan(prepared, listener)
    warnings = planned.resolution.warnings
    listener.warnings(warnings)
    paths = {each.path for each in planned.resolution.data if each.reason == TRACKED}
    if sizes := [file.size for file in planned.files if file.path in paths]:
        listener.note(
            f"data: {counted(len(sizes), 'file')}, {size_text(sum(sizes))}, that git does not ignore"
        )
    if planned.staying and not planned.staying.warnings:
        listener.note(planned.staying.note)
    if strict and warnings:
        raise BundleError(f"{len(warnings)} warnings, and --strict makes them errors")
    refuse_beyond(beyond_limits(planned, prepared.request.settings))
    return planned


def refuse_beyond(lines: Sequence[str]) -> None:
    """Refuses bundles for which `beyond_limits` has lines.

    Raises:
        BundleError: has all lines.
    """
    if lines:
        each = "\n".join(dict.fromkeys(lines))
        hint = "drop the import, or change the limit in [tool.raybundle]; `raybundle why` shows all imports"
        raise BundleError(f"the limits of the project are exceeded:\n{each}", hint=hint)


def beyond_limits(planned: Plan, settings: Settings) -> tuple[str, ...]:
    """Returns a line for each limit of the settings that a bundle exceeds, with the imports responsible."""
    limits = settings.number("max-bytes"), settings.number("max-distributions")
    names, resolution = settings.items("forbid"), planned.resolution
    if limits == (None, None) and not names:
        return ()
    from raybundle.explain.budget import forbidden, overruns

    sizes = {str(file.path): file.size for file in planned.files}
    return (*overruns(resolution, planned.bytes, sizes, limits), *forbidden(resolution, names))


def resolve_target(prepared: Prepared) -> Resolution:
    """Returns the complete resolution of a target.

    Raises:
        BundleError: imports resolve nowhere, or distributions or files must not or cannot travel.
    """
    resolution = resolve_as_is(prepared)
    if resolution.missing or resolution.obstacles:
        from raybundle.resolve.missing.complete import require_complete

        require_complete(resolution, _remedy(prepared, resolution))
    return resolution


def _remedy(prepared: Prepared, resolution: Resolution) -> Remedy | None:
    """Returns roots under which more imports resolve; they are tried, with all that they lead to."""
    from raybundle.resolve.missing.elsewhere import Remedy, find_roots

    request = prepared.request
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
        extended = replace(prepared, request=replace(request, settings=settings))
        try:
            resolution = resolve_with(extended, recorded(prepared))
        except RaybundleError:  # what they lead to cannot travel: they are no remedy
            break
        left = {each.name for each in resolution.missing}
        tried = Remedy(roots, tuple(places), frozenset(missing - left))
    return tried


def resolve_as_is(prepared: Prepared) -> Resolution:
    """Returns the resolution of a target, even if imports resolve nowhere.

    Raises:
        BundleError: files must not or cannot travel.
    """
    traced = recorded(prepared)
    if prepared.request.tracing is not None:
        seen, _ = observe_target(prepared, prepared.request.tracing)
        traced = seen if traced is None else traced.joined(seen)
    return resolve_with(prepared, traced)


def resolve_with(prepared: Prepared, traced: Traced | None) -> Resolution:
    """Returns the resolution of a target, with what runs of it have shown.

    Raises:
        BundleError: files must not or cannot travel.
    """
    from raybundle.resolve.answers.answers import answer
    from raybundle.resolve.driver.arguments import modules_named_by, named_by
    from raybundle.resolve.interpreter.node_python import as_on_nodes
    from raybundle.resolve.settings import ResolveSettings

    request, tag = prepared.request, prepared.tag
    settings, given = request.settings, (request.arguments, request.project, request.cwd, request.variables)
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
            cluster_provides=_normalised(settings.items("cluster-provides")),
            set_up=request.set_up,
            arguments=named_by(*given),
            references=modules_named_by(*given),
            optional=settings.items("optional"),
            tracked=_tracked(request),
        ),
        prepared.interpreter if tag is None else as_on_nodes(prepared.interpreter, tag),
        request.cwd,
        prepared.cache,
    )


def _normalised(names: Sequence[str]) -> tuple[str, ...]:
    if not names:
        return ()
    from raybundle.resolve.distributions.installed import normalised_name

    return tuple(map(normalised_name, names))


def _tracked(request: Request) -> tuple[str, ...]:
    """Returns the data files that git does not ignore, if all of them are to travel."""
    if request.settings.text("data") != "tracked":
        return ()
    from raybundle.resolve.files.tracked import tracked_data

    return tracked_data(str(request.project), request.environ)


def recorded(prepared: Prepared) -> Traced | None:
    """Returns what the project's lock file says about the target, or None if there is none."""
    request = prepared.request
    if not (request.project / "raybundle-trace.json").exists():
        return None
    from raybundle.resolve.trace.lock import read_lock

    return read_lock(request.project, request.target, prepared.interpreter)


def observe_target(prepared: Prepared, tracing: Tracing) -> tuple[Traced, int]:
    """Returns what a run of the target imported and opened, and its exit code; this runs the user's code."""
    from raybundle.resolve.trace.run import Run, observe

    request, settings = prepared.request, prepared.request.settings
    run = Run(
        request.target,
        request.project,
        settings.items("roots"),
        request.cwd,
        {**request.environ, **settings.table("env")},
        tracing.arguments,
        tracing.as_main,
    )
    return observe(run, prepared.interpreter)
