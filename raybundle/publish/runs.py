"""Run records: one object when a bundle is submitted, one when its job has ended, both written once."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from raybundle.errors import UsageError
from raybundle.formats.canonical import canonical_json
from raybundle.publish.layout import read_object, run_end_key, run_key
from raybundle.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from raybundle.model import Digest
    from raybundle.store.base import Store

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class Run:
    """One submission of one bundle with its arguments, to one cluster."""

    id: str
    """The submission id."""
    bundle: Digest
    arguments: tuple[str, ...]
    env: Mapping[str, str]
    address: str
    started: datetime
    """In UTC."""
    cwd: str = ""
    """Where it starts, relative to the project; empty for its root."""
    session: str | None = None
    """The start of the cluster, if the id was chosen by the user, who may choose it again."""


def new_run(  # noqa: PLR0913 - all that a run is made of
    bundle: Digest,
    arguments: Sequence[str],
    env: Mapping[str, str],
    address: str,
    submission_id: str | None = None,
    *,
    cwd: str = "",
) -> Run:
    """Returns a run that starts now, under the given id or a new one."""
    started = datetime.now(timezone.utc)
    fresh = f"rb-{started:%Y%m%d-%H%M%S}-{secrets.token_hex(4)}"
    return Run(submission_id or fresh, bundle, tuple(arguments), dict(env), address, started, cwd)


def record_start(store: Store, run: Run) -> None:
    """Writes the record of a run that is about to be submitted.

    An equal record of a run without an end belongs to an attempt that was cut short, and counts for this one
    if the cluster is still the same: one that was started anew does not know what ran before.

    Raises:
        UsageError: an earlier run has this id.
    """
    key = run_key(run.id, run.started)
    if store.put_new(key, canonical_json(_document(run))):
        return
    hint = "choose another --submission-id"
    bundle, arguments, session = read_object(store, key, _what_ran, hint)
    ended = store.size(run_end_key(run.id, run.started)) is not None
    same = (bundle, arguments) == (run.bundle, list(run.arguments))
    if same and not ended and session is not None and session != run.session:
        raise UsageError(
            f"a run with the id {run.id} is recorded in {store.url}, and may have run before the cluster "
            "was started anew",
            hint=hint,
        )
    if ended or not same:
        raise UsageError(f"a run with the id {run.id} is recorded in {store.url}", hint=hint)


def record_end(store: Store, run: Run, status: str, exit_code: int, driver_exit_code: int | None) -> None:
    """Writes how a run ended, beside its record."""
    document: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "id": run.id,
        "status": status,
        "exit_code": exit_code,
        "ended": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }
    if driver_exit_code is not None:
        document["driver_exit_code"] = driver_exit_code
    store.put_new(run_end_key(run.id, run.started), canonical_json(document))


def _what_ran(record: dict[str, Any]) -> tuple[str, list[str], str | None]:
    if record["schema_version"] != SCHEMA_VERSION:
        raise ValueError(record)
    return record["bundle"], record["arguments"], record.get("session")


def _document(run: Run) -> dict[str, Any]:
    return {
        "schema_version": SCHEMA_VERSION,
        "id": run.id,
        "bundle": run.bundle,
        "arguments": list(run.arguments),
        "env": dict(run.env),
        "address": run.address,
        "cwd": run.cwd or ".",
        "started": run.started.isoformat(timespec="seconds"),
        "raybundle": __version__,
        **({} if run.session is None else {"session": run.session}),
    }
