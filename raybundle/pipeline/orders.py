"""The story of a submission, told once for the command line and the library.

request → prepare → plan → build → order → submit → wait
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from raybundle.errors import BundleError
from raybundle.formats.amounts import counted, size_text
from raybundle.model import FunctionTarget
from raybundle.pipeline.diffing.last import remember, since_last
from raybundle.planning import Timings, checked_plan
from raybundle.publish.bundles import (
    bytes_of,
    find_bundle,
    name_bundle,
    open_configured,
    refuse_name,
    store_plan,
    tell_stored,
)
from raybundle.publish.keeping import lease_old
from raybundle.publish.trust.policy import trust_of
from raybundle.request import prepare
from raybundle.resolve.interpreter.node_python import minor_of
from raybundle.submission.attempts import Order
from raybundle.submission.deliver import begin_survey
from raybundle.submission.destination import find_embedded, nodes_of, require_embedded_for
from raybundle.submission.ray_environment import check_hook
from raybundle.submission.recording.origin import Origin

if TYPE_CHECKING:
    from raybundle.planning import Listener, Plan
    from raybundle.publish.stored import Stored
    from raybundle.publish.trust.policy import Trust
    from raybundle.request import Prepared, Request
    from raybundle.store.base import Store
    from raybundle.submission.connecting import Connecting
    from raybundle.submission.deliver import Cluster
    from raybundle.submission.destination import Embedded
    from raybundle.submission.options import JobOptions


def order_target(
    request: Request, options: JobOptions, connecting: Connecting, listener: Listener, *, strict: bool
) -> Order:
    """Returns all that a job of a target is submitted from; its bundle is made for the cluster's nodes.

    Raises:
        RaybundleError: the bundle cannot be made or stored, or cannot run on the cluster.
    """
    options.check()
    connecting.check()
    refuse_name(request.settings)
    given = (*request.warnings, *options.warnings)
    listener.warnings(given)
    store = open_configured(request.settings, request.environ)
    asked = Origin(request.project, request.environ)
    with ExitStack() as unfinished:
        cluster = None
        if connecting.address:
            cluster = begin_survey(connecting.cluster(), store)
            unfinished.callback(cluster.client.close)
        prepared, embedded = prepared_for(request, cluster, listener)
        planned = checked_plan(prepared, listener, strict=strict)
        signed = trust_of(request.settings, request.environ).signatures(
            store, planned.digest, planned.manifest_bytes
        )
        check_hook(options.runtime_env, planned.resolution)
        if embedded is not None:
            embedded.require_platform(planned.manifest.python)
        stored = name_bundle(store, store_plan(planned, store, listener), request.settings, listener)
        stored = replace(stored, signatures=signed)
        _tell(request, planned, stored, listener)
        cluster = cluster or connecting.cluster(prepared.interpreter.executable)
        unfinished.pop_all()
    warnings = (*given, *planned.resolution.warnings)
    counts = (len(planned.files), planned.bytes)
    order = Order(stored, store, cluster, options, planned.timings, *counts, warnings, request.project)
    sites, accepted = planned.resolution.interpreter.site, partial(remember, request, planned)
    return replace(order, sites=sites, origin=asked, accepted=accepted)


def _tell(request: Request, planned: Plan, stored: Stored, listener: Listener) -> None:
    """Says which bundle was stored, how large it is, and what is new in it."""
    sizes = f"{size_text(planned.bytes)}, {size_text(stored.uploaded_bytes)} new"
    named = f" {stored.name}" if stored.name else ""
    listener.note(f"bundle {stored.digest}{named} ({counted(len(planned.files), 'file')}, {sizes})")
    if (news := since_last(request, planned)) is not None:
        listener.note(news)


def prepared_for(
    request: Request, cluster: Cluster | None, listener: Listener
) -> tuple[Prepared, Embedded | None]:
    """Returns the request prepared for the nodes of a cluster, or for the embedded one."""
    if cluster is None:
        prepared = prepare(request)
        embedded = find_embedded(prepared)
        embedded.require_python()
        return prepared, embedded
    nodes = nodes_of(cluster)
    prepared = prepare(request, nodes)
    if isinstance(request.target, FunctionTarget) and nodes and nodes.minor != minor_of(prepared.interpreter):
        raise BundleError(
            f"the function is pickled by Python {minor_of(prepared.interpreter)}, and the nodes of "
            f"{cluster.client.address} have {nodes}: they cannot read the pickle",
            hint=f"call it from a Python {nodes.minor}, or submit a script, whose bundle suits the nodes",
        )
    if prepared.tag is not None and replace(prepared.tag, alike=False) == nodes:
        listener.note(f"its nodes have {prepared.tag}: the bundle is for them")
    return prepared, None


def order_bundle(
    ref: str, options: JobOptions, connecting: Connecting, listener: Listener, *, made_here: bool = False
) -> Order:
    """Returns all that a job of a bundle of the store is submitted from.

    Args:
        ref: names the bundle.
        options: of the job.
        connecting: the store's settings, and how the cluster is reached.
        listener: hears warnings.
        made_here: this process made the bundle of trusted parts: no signature is required of it.

    Raises:
        RaybundleError: the store has no such bundle, or it cannot run on the cluster.
    """
    options.check()
    connecting.check()
    timings = Timings(listener=listener)
    with timings.stage("resolve"):
        store = open_configured(connecting.settings, connecting.environ)
        trust = trust_of(connecting.settings, connecting.environ)
        stored = _find(trust, store, ref, made_here=made_here)
        if lease_old(store, stored.digest, listener.note):
            stored = _find(trust, store, ref, made_here=made_here)
    warnings = (*options.warnings, *stored.warnings)
    listener.warnings(warnings)
    size = bytes_of(store, stored)
    tell_stored(stored, size, listener)
    python = connecting.settings.text("python")
    if not connecting.address:
        python = require_embedded_for(stored.manifest.python, python, connecting.environ)
    cluster = connecting.cluster(python)
    return Order(stored, store, cluster, options, timings, len(stored.manifest.files), size, warnings)


def _find(trust: Trust, store: Store, ref: str, *, made_here: bool) -> Stored:
    return trust.plain(store, find_bundle(store, ref)) if made_here else trust.find_plain(store, ref)
