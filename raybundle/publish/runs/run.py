"""A run and its record: one submission of one bundle with its arguments, to one cluster."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from raybundle.formats.canonical import read_digest
from raybundle.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from raybundle.model import Digest

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
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What else the record has (docs/runs.md); never a secret."""

    @property
    def recorded_arguments(self) -> list[str]:
        """The arguments as the record has them, with `…` in place of what looks like a secret."""
        return list(self.facts.get("arguments", self.arguments))


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
    started = datetime.now(timezone.utc).replace(microsecond=0)
    fresh = f"rb-{started:%Y%m%d-%H%M%S}-{secrets.token_hex(4)}"
    return Run(submission_id or fresh, bundle, tuple(arguments), dict(env), address, started, cwd)


def document_of(run: Run) -> dict[str, Any]:
    """Returns the record of a run. Values of environment variables are only in it if `facts` has them."""
    return {
        "schema_version": SCHEMA_VERSION,
        "id": run.id,
        "bundle": run.bundle,
        "address": run.address,
        "cwd": run.cwd or ".",
        "started": run.started.isoformat(timespec="seconds"),
        "raybundle": __version__,
        **({} if run.session is None else {"session": run.session}),
        "env": {},
        "env_names": sorted(run.env),
        **run.facts,
        "arguments": run.recorded_arguments,
    }


def parse_run(document: dict[str, Any]) -> Run:
    """Returns the run of a record; its environment has the values that the record has.

    Raises:
        ValueError, TypeError, LookupError: it is damaged, or of another format.
    """
    if document["schema_version"] != SCHEMA_VERSION:
        raise ValueError(document)
    texts = [
        document[name] for name in ("id", "address", "cwd", *(["session"] if "session" in document else []))
    ]
    words, env, names = document["arguments"], document["env"], document["env_names"]
    if not all(isinstance(each, str) for each in (*texts, *words, *env, *env.values(), *names)):
        raise TypeError(document)
    started = datetime.fromisoformat(document["started"]).astimezone(timezone.utc)
    own = {"schema_version", "id", "bundle", "address", "cwd", "started", "session"}
    return Run(
        document["id"],
        read_digest(document["bundle"]),
        tuple(words),
        dict(env),
        document["address"],
        started,
        "" if document["cwd"] == "." else document["cwd"],
        document.get("session"),
        {name: value for name, value in document.items() if name not in own},
    )
