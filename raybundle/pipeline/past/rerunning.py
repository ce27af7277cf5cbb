"""The story of `rerun`: a past run again, after a look at what has changed around it."""

from __future__ import annotations

import shlex
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from raybundle.cache.documents import Cache
from raybundle.cluster.jobs import FUNCTION
from raybundle.config import cache_directory
from raybundle.errors import BundleError, UntrustedError, UsageError
from raybundle.pipeline.findings import Answered, Needs, judge
from raybundle.pipeline.orders import order_bundle
from raybundle.publish.bundles import find_bundle, open_configured
from raybundle.publish.content.objects import open_shelf
from raybundle.publish.content.verifying import verify_bundle
from raybundle.publish.runs.records import require_recorded
from raybundle.publish.trust.policy import trust_of
from raybundle.submission.recording.nodes import drift_between, node_facts
from raybundle.submission.survey import NodeDescription, ask_nodes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from raybundle.cluster.jobs import JobsClient
    from raybundle.planning import Listener
    from raybundle.publish.runs.run import Run
    from raybundle.publish.stored import Stored
    from raybundle.submission.attempts import Order
    from raybundle.submission.connecting import Connecting
    from raybundle.submission.options import JobOptions
    from raybundle.submission.recording.nodes import Drift

_REQUIRED = ("python", "provided")
"""Checks of `doctor` without which a bundle does not run."""


@dataclass(frozen=True, slots=True)
class Again:
    """What of a past run is changed."""

    run_id: str
    arguments: tuple[str, ...] | None = None
    """In place of its arguments; None keeps them."""
    accept_drift: bool = False


def order_rerun(again: Again, options: JobOptions, connecting: Connecting, listener: Listener) -> Order:
    """Returns all that a past run is submitted again from.

    Args:
        again: the run, and what is changed of it.
        options: of the new job; what they leave out is as it was.
        connecting: the store's settings, and how the cluster is reached.
        listener: hears what differs.

    Raises:
        UsageError: a value is not recorded, and not given.
        StoreError: the store has no such run, or no longer all of its bundle.
        BundleError: the bundle is damaged, does not run on this cluster, or the cluster differs from that of
            the run and this is not accepted.
    """
    store = open_configured(connecting.settings, connecting.environ)
    run = require_recorded(store, again.run_id)
    if trust_of(connecting.settings, connecting.environ).required:
        _require_given(run, options)
        if again.arguments is None and run.arguments:
            listener.note(f"arguments, which nobody has signed: {shlex.join(run.recorded_arguments)}")
    options = _options_of(run, again, options)
    verified = verify_bundle(open_shelf(store, Cache(cache_directory(connecting.environ))), run.bundle)
    if verified.faults:
        lines = "\n".join(f"{each.key}: {each.state}" for each in verified.faults)
        raise BundleError(
            f"bundle {run.bundle} is not as it was stored:\n{lines}", hint="build it again from its sources"
        )
    listener.note(f"run {run.id} of {run.started:%Y-%m-%d %H:%M} UTC: bundle {run.bundle} is whole")
    stored = find_bundle(store, run.bundle)
    order = order_bundle(run.bundle, options, connecting, listener)
    name = run.facts.get("name")
    _compare(run, stored, order.cluster.client, listener, accepted=again.accept_drift)
    return replace(order, stored=replace(order.stored, name=None if name is None else str(name)))


def _options_of(run: Run, again: Again, options: JobOptions) -> JobOptions:
    facts = run.facts
    if again.arguments is None and facts.get("masked_arguments"):
        numbers = ", ".join(map(str, facts["masked_arguments"]))
        raise UsageError(
            f"argument {numbers} of run {run.id} is not recorded, because it looked like a secret",
            hint="give all arguments with `--args`",
        )
    missing = [name for name in facts.get("env_names", ()) if name not in options.env]
    if missing:
        each = " ".join(f"--env {name}=VALUE" for name in missing)
        raise UsageError(
            f"the values of {', '.join(missing)} of run {run.id} are not recorded",
            hint=f"give them: {each}; `record-env` in the configuration lets later records have them",
        )
    return replace(
        options,
        arguments=run.arguments if again.arguments is None else again.arguments,
        env={**run.env, **options.env},
        cwd=options.cwd or run.cwd,
        secrets={**facts.get("secrets", {}), **options.secrets},
        metadata={**_own(facts.get("metadata", {})), **options.metadata},
        resources={**facts.get("resources", {}), **options.resources},
        runtime_env=options.runtime_env or facts.get("runtime_env", {}),
        rerun_of=run.id,
    )


def _require_given(run: Run, options: JobOptions) -> None:
    """Refuses what an unsigned record brings that may run other code than the bundle's."""
    names = [*run.env, *run.facts.get("secrets", {})]
    brought = sorted(name for name in names if name not in options.env and name not in options.secrets)
    if run.facts.get("runtime_env") and not options.runtime_env:
        brought.append("runtime_env")
    if brought:
        raise UntrustedError(
            f"the record of run {run.id} is not signed, and brings {', '.join(brought)}",
            hint=f"give them: `raybundle run {run.bundle}`, with `--env` and `--secret`",
        )


def _own(metadata: dict[str, Any]) -> dict[str, Any]:
    """Returns metadata without that of retries, which belongs to the jobs of one submission."""
    return {
        name: value
        for name, value in metadata.items()
        if name == FUNCTION or not name.startswith("raybundle.")
    }


def _compare(run: Run, stored: Stored, client: JobsClient, listener: Listener, *, accepted: bool) -> None:
    """Compares the cluster with what the bundle needs, and with the cluster of the run."""
    manifest = stored.manifest
    begin = time.time()
    rows, fault = ask_nodes(client, None, [each.name for each in manifest.provided])
    if fault is not None:
        listener.warn(f"the nodes of {client.address} are not compared with those of the run: {fault}")
        return
    needs = Needs(manifest.python, manifest.provided, manifest.layers, 0)
    nodes, lines = [], []
    for row in rows:
        if "fault" in row:
            listener.warn(f"node {row['host']} ({row['address']}): {row['fault']}")
            continue
        facts = {name: value for name, value in row.items() if name != "checks"}
        node = NodeDescription(**facts)
        nodes.append(node)
        found = judge(Answered(node, row["checks"], (begin, time.time())), needs, None)
        lines += [f"node {each.where}: {each.found}" for each in found if _is_lacking(each.check, each.state)]
    if lines:
        hint = "`raybundle doctor` has the next command to run for each"
        each = "\n".join(lines)
        raise BundleError(f"the bundle does not run here:\n{each}", hint=hint)
    drift = drift_between(run.facts.get("nodes", {}), node_facts(nodes)) if nodes else []
    for line in drift_lines(drift):
        listener.note(line)
    if drift and not accepted:
        differing = ", ".join(each.fact for each in drift)
        raise BundleError(
            f"this cluster is not like that of run {run.id}: {differing}",
            hint="`--accept-drift` runs it nevertheless",
        )


def _is_lacking(check: str, state: str) -> bool:
    return state == "failed" and check in _REQUIRED


def drift_lines(drift: Sequence[Drift]) -> list[str]:
    """Returns the table of what differs from the recorded run; no line if nothing does."""
    if not drift:
        return []
    rows = [("", "THEN", "NOW"), *drift]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    return [f"{fact:<{widths[0]}}  {before:<{widths[1]}}  {now}" for fact, before, now in rows]
