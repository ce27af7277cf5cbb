"""Jobs of a cluster: `submit`, `run`, `attach` and `jobs`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING

from raybundle.api.handle import Heard, Job, Source
from raybundle.api.job_keywords import RerunKeywords
from raybundle.api.keywords import (
    AttachKeywords,
    ClusterKeywords,
    DoctorKeywords,
    PathKeywords,
    PathText,
    RunKeywords,
    SubmitKeywords,
    require,
    takes,
)
from raybundle.api.reading import client_of, connecting_of, given_in, heard_of, job_options, request_of
from raybundle.errors import UsageError
from raybundle.pipeline.examining import examine, needs_of_plan, needs_of_stored, require_fit
from raybundle.pipeline.findings import Needs
from raybundle.pipeline.orders import order_bundle, order_target
from raybundle.pipeline.past.rerunning import Again, order_rerun
from raybundle.pipeline.viewing.story import view_nodes, view_plain, view_stored, view_target
from raybundle.planning import checked_plan
from raybundle.publish.bundles import open_configured
from raybundle.request import prepare
from raybundle.resolve.driver.project import parse_directory
from raybundle.submission.attempts import submit_order
from raybundle.submission.ray_environment import RayEnvironment

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from raybundle.cluster.jobs import JobInfo
    from raybundle.pipeline.findings import Finding
    from raybundle.pipeline.viewing.values import PathView
    from raybundle.submission.attempts import Order
    from raybundle.submission.connecting import Connecting


@takes(SubmitKeywords)
def submit(target: PathText, arguments: Sequence[str] = (), **options: Unpack[SubmitKeywords]) -> Job:
    """Returns the job of a target, once its bundle is stored and the cluster has accepted it.

    Args:
        target: as for `plan`.
        arguments: of the job.
        options: as `raybundle.api.keywords.SubmitKeywords` lists them.

    Raises:
        UsageError: an argument or a setting is wrong.
        BundleError: the target cannot be bundled, or not for this cluster.
        StoreError: the store cannot be used.
        ClusterError: the cluster cannot be reached, or refuses the job.
    """
    request, environment = request_of(target, arguments, options)
    heard = heard_of(options)
    job = job_options(
        options, request.settings, request.arguments, request.start(options.get("cwd")), environment
    )
    connecting = connecting_of(options, request.settings, heard)
    order = order_target(request, job, connecting, heard, strict=options.get("strict", False))
    return submitted(order, heard, connecting if options.get("check") else None)


@takes(RunKeywords)
def run(ref: str, arguments: Sequence[str] = (), **options: Unpack[RunKeywords]) -> Job:
    """Returns the job of a bundle of the store, once the cluster has accepted it.

    Args:
        ref: the bundle's digest, the start of it, a name, or the id of a run.
        arguments: of the job.
        options: as `raybundle.api.keywords.RunKeywords` lists them.

    Raises:
        UsageError: an argument or a setting is wrong.
        StoreError: the store has no such bundle, or cannot be used.
        BundleError: the bundle does not run on this cluster.
        ClusterError: the cluster cannot be reached, or refuses the job.
    """
    require("ref", ref, str)
    require("arguments", arguments, Sequence[str])
    heard, settings = heard_of(options), given_in(options).settings()
    start = parse_directory(options.get("cwd") or "")
    job = job_options(options, settings, tuple(arguments), start, RayEnvironment())
    connecting = connecting_of(options, settings, heard)
    order = order_bundle(ref, job, connecting, heard)
    return submitted(order, heard, connecting if options.get("check") else None)


@takes(RerunKeywords)
def rerun(run_id: str, arguments: Sequence[str] | None = None, **options: Unpack[RerunKeywords]) -> Job:
    """Returns the job of a past run again, once the cluster has accepted it.

    Args:
        run_id: of the run.
        arguments: in place of the run's own.
        options: as `raybundle.api.job_keywords.RerunKeywords` lists them; `env` adds to the run's own.

    Raises:
        UsageError: an argument or a setting is wrong, or a value is not recorded and not given.
        StoreError: the store has no such run, or no longer all of its bundle.
        BundleError: the bundle does not run on this cluster, or the cluster differs from that of the run.
        ClusterError: the cluster cannot be reached, or refuses the job.
    """
    require("run_id", run_id, str)
    require("arguments", arguments, Sequence[str] | None)
    heard, settings = heard_of(options), given_in(options).settings()
    start = parse_directory(options.get("cwd") or "")
    words = None if arguments is None else tuple(arguments)
    job = job_options(options, settings, words or (), start, RayEnvironment())
    again = Again(run_id, words, bool(options.get("accept_drift")))
    connecting = connecting_of(options, settings, heard)
    order = order_rerun(again, job, connecting, heard)
    return submitted(order, heard, connecting if options.get("check") else None)


@takes(AttachKeywords)
def attach(submission_id: str, **options: Unpack[AttachKeywords]) -> Job:
    """Returns a job of the cluster, whoever submitted it.

    Args:
        submission_id: of the job.
        options: as `raybundle.api.keywords.AttachKeywords` lists them.

    Raises:
        JobLostError: the cluster knows no such job.
        ClusterError: the cluster cannot be reached.
    """
    require("submission_id", submission_id, str)
    with closing(client_of(options)) as client:
        bundle = client.info(submission_id).metadata.get("raybundle")
        settings = given_in(options).settings()
        return Job(submission_id, bundle, client, lambda: open_configured(settings, os.environ))


@takes(ClusterKeywords)
def jobs(**options: Unpack[ClusterKeywords]) -> list[JobInfo]:
    """Returns the jobs of the cluster, the oldest first.

    Args:
        options: as `raybundle.api.keywords.ClusterKeywords` lists them.

    Raises:
        ClusterError: the cluster cannot be reached.
    """
    with closing(client_of(options)) as client:
        return client.list()


@takes(DoctorKeywords)
def doctor(target: PathText | None = None, **options: Unpack[DoctorKeywords]) -> tuple[Finding, ...]:
    """Returns whether the cluster can run a bundle: a finding for each check of store, cluster and node.

    Args:
        target: as for `plan`; without a target or `ref`, what any bundle needs is examined.
        options: as `raybundle.api.keywords.DoctorKeywords` lists them.

    Raises:
        UsageError: an argument or a setting is wrong.
        BundleError: the target cannot be bundled.
        StoreError: the store has no bundle `ref`.
    """
    settings, heard, ref = given_in(options).settings(), heard_of(options), options.get("ref")
    needs = Needs()
    if target is not None:
        request, _ = request_of(target, (), options)
        settings = request.settings
        needs = needs_of_plan(checked_plan(prepare(request), heard, strict=bool(options.get("strict"))))
    elif ref is not None:
        needs = needs_of_stored(ref, settings, os.environ)
    return tuple(examine(connecting_of(options, settings, heard), needs))


@takes(PathKeywords)
def path(target: PathText | None = None, **options: Unpack[PathKeywords]) -> PathView:
    """Returns what driver, tasks and actors import from: here, in the bundle, and on every node.

    Args:
        target: as for `plan`; without a target or `ref`, the nodes are asked as any job finds them.
        options: as `raybundle.api.keywords.PathKeywords` lists them.

    Raises:
        UsageError: an argument or a setting is wrong.
        BundleError: the target cannot be bundled.
        StoreError: the store has no bundle `ref`, or cannot be used.
        ClusterError: the cluster cannot be reached.
    """
    settings, heard, only = given_in(options).settings(), heard_of(options), options.get("imports")
    ref, plain = options.get("ref"), bool(options.get("plain"))
    if target is None:
        if plain:
            raise UsageError(
                "`plain` shows what plain Ray does with the directory of a target, and there is none"
            )
        connecting = connecting_of(options, settings, heard)
        return view_nodes(connecting, only) if ref is None else view_stored(ref, connecting, heard, only)
    request, environment = request_of(target, (), options)
    connecting = connecting_of(options, request.settings, heard)
    if plain:
        return view_plain(request, environment, connecting, only)
    return view_target(request, environment, connecting, heard, only, strict=bool(options.get("strict")))


def submitted(order: Order, heard: Heard, checked: Connecting | None) -> Job:
    """Returns the job of an order, once the cluster has accepted it; `checked` examines the cluster first."""
    with closing(order.cluster.client) as client:
        if checked is not None:
            require_fit(checked, order, heard.note)
        submission = submit_order(order, heard)
        source = Source(order, submission, heard)
        return Job(submission.run.id, order.stored.digest, client, lambda: order.store, source)
