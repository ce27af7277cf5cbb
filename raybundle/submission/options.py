"""What a user may say about a job besides its bundle."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from raybundle.cluster.runtime_env import refuse_owned
from raybundle.cluster.secrets import arguments_warning, refuse_literals, refuse_sent
from raybundle.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from raybundle.model import Warning

IfExists = Literal["attach", "fail", "new"]
_IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")

LONGEST_ID = 200
"""Characters: the log of the driver is `job-driver-ID.log`, and a job whose log has a longer name than its
file system allows stays PENDING for ever (Ray 2.60); the ids of retries are longer than the first."""


@dataclass(frozen=True, slots=True)
class JobOptions:
    """The options of one job; `resources` as the Jobs API names them."""

    arguments: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    submission_id: str | None = None
    if_exists: IfExists = "attach"
    """What to do with a job of that id: follow it if it is the same, refuse, or take another id."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    resources: Mapping[str, Any] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    """References to secrets by environment variable; the nodes resolve them."""
    runtime_env: Mapping[str, Any] = field(default_factory=dict)
    """More keys of the `runtime_env`, such as `pip`."""
    cwd: str = ""
    """Where the job starts, relative to the project; empty for its root."""
    recorded: tuple[str, ...] = ()
    """Names and globs of variables whose values the run's record may have."""
    saves_log: bool = False
    """The store keeps the job's log."""
    rerun_of: str | None = None
    """The id of the run that this one repeats."""

    def check(self) -> None:
        """Refuses what no cluster takes, before anything is built.

        Raises:
            UsageError: the id is not valid, or a variable belongs to the bundle or may hold a secret.
        """
        identifier = self.submission_id
        if identifier is not None and len(identifier) > LONGEST_ID:
            raise UsageError(
                f"the id {identifier[:20]}… has {len(identifier)} characters, and an id has at most "
                f"{LONGEST_ID}",
                hint="Ray names a file on the driver's node after it",
            )
        if identifier is not None and not _IDENTIFIER.fullmatch(identifier):
            raise UsageError(
                f"the id {identifier!r} has characters other than letters, digits and `._-`",
                hint="start it with a letter or digit, such as `train-7`",
            )
        refuse_owned(self.env)
        refuse_literals(self.env)
        refuse_sent(
            {
                "runtime_env": dict(self.runtime_env),
                "metadata": dict(self.metadata),
                "resources": dict(self.resources),
                "submission_id": identifier,
                "cwd": self.cwd,
            }
        )

    @property
    def warnings(self) -> tuple[Warning, ...]:
        """What the user should know about the options."""
        return tuple(filter(None, [arguments_warning(self.arguments)]))
