"""The story of a submission, told once for the command line and the library.

request → prepare → plan → build → order → submit → wait
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from raybundle.config import load_settings
from raybundle.errors import BundleError
from raybundle.formats.amounts import counted, size_text
from raybundle.model import TRACKED
from raybundle.planning import Timings, plan
from raybundle.publish.bundles import build, bytes_of, find_bundle, open_configured
from raybundle.publish.names import record_name
from raybundle.request import Request, Tracing, prepare
from raybundle.resolve.driver.project import find_project, project_of
from raybundle.submission.attempts import Order
from raybundle.submission.deliver import begin_survey
from raybundle.submission.destination import find_embedded, nodes_of, require_embedded_for
from raybundle.submission.ray_environment import check_hook

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from raybundle.config import Settings
    from raybundle.model import Target
    from raybundle.planning import Plan
    from raybundle.publish.stored import Stored
    from raybundle.request import Prepared
    from raybundle.store.base import Store
    from raybundle.submission.attempts import Listener
    from raybundle.submission.connecting import Connecting
    from raybundle.submission.options import JobOptions
    from raybundle.submission.ray_environment import RayEnvironment


@dataclass(frozen=True, slots=True)
class Given:
    """Settings that a command or a call gives, by key, and where it is given."""

    flags: Mapping[str, Any]
    environ: Mapping[str, str]
    cwd: Path
    profile: str | None = None

    def settings(self, project: Path | None = None) -> Settings:
        """Returns all settings; the project is looked for from the current directory if absent.

        Raises:
            UsageError: a setting is wrong.
        """
        return load_settings(self.flags, self.environ, project or find_project(self.cwd), self.profile)


def ask(
    target: Target, arguments: tuple[str, ...], given: Given, environment: RayEnvironment, *, traces: bool
) -> Request:
    """Returns what is to be bundled, with all its settings.

    Args:
        target: what the job runs.
        arguments: of the job.
        given: settings of the command.
        environment: what the options of `ray job submit` say; its `working_dir` is the project.
        traces: run the target first, and add what it imports.

    Raises:
        UsageError: a setting is wrong.
    """
    project = environment.project or project_of(target, given.cwd)
    settings = given.settings(project).extended("roots", environment.roots, "--runtime-env")
    if environment.project is not None:
        settings = settings.with_default("data", "tracked", "--working-dir")
    return Request(
        target,
        settings.extended("exclude", environment.excludes, "--runtime-env"),
        project,
        environment.project or given.cwd,
        given.environ,
        Tracing(arguments) if traces else None,
        environment.set_up,
        arguments,
        environment.warnings,
    )


def checked_plan(prepared: Prepared, listener: Listener, *, strict: bool) -> Plan:
    """Returns the plan of a request, once its warnings were told.

    Raises:
        BundleError: there are warnings, and `strict` makes them errors.
    """
    planned = plan(prepared)
    warnings = planned.resolution.warnings
    listener.warnings(warnings)
    paths = {each.path for each in planned.resolution.data if each.reason == TRACKED}
    if sizes := [len(file.data) for file in planned.files if file.path in paths]:
        listener.note(
            f"data: {counted(len(sizes), 'file')}, {size_text(sum(sizes))}, that git does not ignore"
        )
    if strict and warnings:
        raise BundleError(f"{len(warnings)} warnings, and --strict makes them errors")
    return planned


def store_plan(planned: Plan, store: Store, listener: Listener) -> Stored:
    """Returns a plan's bundle, once it is in the store."""

    def progress(done: int, total: int) -> None:
        listener.progress(f"layers: {size_text(done)} of {size_text(total)} in the store")

    try:
        return build(planned, store, progress)
    finally:
        if planned.layers:
            listener.progress("")


def build_target(request: Request, listener: Listener, *, strict: bool) -> tuple[Plan, Stored, Store]:
    """Returns the bundle of a target, once the store has it under its digest and, if it has one, its name."""
    listener.warnings(request.warnings)
    planned = checked_plan(prepare(request), listener, strict=strict)
    store = open_configured(request.settings, request.environ)
    stored = store_plan(planned, store, listener)
    name = request.settings.text("name")
    if name is not None:
        stored = replace(stored, name=f"{name}@{record_name(store, name, stored.digest)}")
    return planned, stored, store


def order_target(
    request: Request, options: JobOptions, connecting: Connecting, listener: Listener, *, strict: bool
) -> Order:
    """Returns all that a job of a target is submitted from; its bundle is made for the cluster's nodes.

    Raises:
        RaybundleError: the bundle cannot be made or stored, or cannot run on the cluster.
    """
    options.check()
    connecting.check()
    listener.warnings(request.warnings)
    store = open_configured(request.settings, request.environ)
    cluster = embedded = None
    if connecting.address:
        cluster = begin_survey(connecting.cluster(), store)
        nodes = nodes_of(cluster)
        prepared = prepare(request, nodes)
        if prepared.tag is not None and replace(prepared.tag, alike=False) == nodes:
            listener.note(f"its nodes have {prepared.tag}: the bundle is for them")
    else:
        prepared = prepare(request)
        embedded = find_embedded(prepared)
        embedded.require_python()
    planned = checked_plan(prepared, listener, strict=strict)
    check_hook(options.runtime_env, planned.resolution)
    if embedded is not None:
        embedded.require_platform(planned.manifest.python)
    stored = store_plan(planned, store, listener)
    sizes = f"{size_text(planned.bytes)}, {size_text(stored.uploaded_bytes)} new"
    listener.note(f"bundle {stored.digest} ({len(planned.files)} files, {sizes})")
    cluster = cluster or connecting.cluster(prepared.interpreter.executable)
    warnings = (*request.warnings, *planned.resolution.warnings)
    counts = (len(planned.files), planned.bytes)
    return Order(stored, store, cluster, options, planned.timings, *counts, warnings, request.project)


def order_bundle(ref: str, options: JobOptions, connecting: Connecting, listener: Listener) -> Order:
    """Returns all that a job of a bundle of the store is submitted from.

    Raises:
        RaybundleError: the store has no such bundle, or it cannot run on the cluster.
    """
    options.check()
    connecting.check()
    timings = Timings()
    with timings.stage("resolve"):
        store = open_configured(connecting.settings, connecting.environ)
        stored = find_bundle(store, ref)
    listener.warnings(stored.warnings)
    size = bytes_of(store, stored)
    python = connecting.settings.text("python")
    if not connecting.address:
        python = require_embedded_for(stored.manifest.python, python, connecting.environ)
    cluster = connecting.cluster(python)
    return Order(stored, store, cluster, options, timings, len(stored.manifest.files), size, stored.warnings)
