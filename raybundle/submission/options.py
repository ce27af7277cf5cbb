"""What a user may say about a job besides its bundle."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from raybundle.cluster.runtime_env import refuse_owned
from raybundle.cluster.secrets import refuse_literals
from raybundle.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

IfExists = Literal["attach", "fail", "new"]
_IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


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

    def check(self) -> None:
        """Refuses what no cluster takes, before anything is built.

        Raises:
            UsageError: the id is not valid, or a variable belongs to the bundle or may hold a secret.
        """
        identifier = self.submission_id
        if identifier is not None and not _IDENTIFIER.fullmatch(identifier):
            raise UsageError(
                f"the id {identifier!r} has characters other than letters, digits and `._-`",
                hint="start it with a letter or digit, such as `train-7`",
            )
        refuse_owned(self.env)
        refuse_literals(self.env)
