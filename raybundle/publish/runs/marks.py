"""Marks of runs: objects whose keys say all that a list of runs shows, so that it reads nothing else.

`history/<yyyy>/<mm>/<dd>/<start>!<id>!<bundle>!<user>!<name>` on the day of its start,
and `history/<yyyy>/<mm>/<dd>/<start>!<id>!<STATUS>!<exit code>!<end>` on the day when its end is recorded. So
nothing is added to a day that is over, and who has listed it once need not list it again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from raybundle.store.base import SEGMENT_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from raybundle.publish.runs.run import Run

HISTORY = "history/"
BUNDLE_DIGITS = 16
"""Hex digits of the bundle in a mark."""
OPEN = "OPEN"
"""The status of a run without a recorded end."""
_TIME = "%Y%m%dT%H%M%SZ"
_DIGITS = re.compile(r"[0-9a-f]{16}")
_ODD = re.compile(r"[^A-Za-z0-9._-]")


@dataclass(frozen=True, slots=True)
class Row:
    """A run as a list shows it."""

    id: str
    started: datetime
    """In UTC."""
    bundle: str
    """`sha256:` and the first 16 hex digits."""
    user: str
    """Empty if the id is too long for it to be in the mark; so is the name."""
    name: str
    """The bundle's name and version, such as `fraud@3`; empty if it was submitted without one."""
    status: str = OPEN
    exit_code: int | None = None
    ended: datetime | None = None


def event_key(run: Run, event: str) -> str:
    """Returns the key of an event of a run."""
    return f"events/{run.started.astimezone(timezone.utc):%Y/%m}/{run.id}/{event}.json"


def log_key(run: Run) -> str:
    """Returns the key of the log of a run, if it was kept."""
    return f"logs/{run.started.astimezone(timezone.utc):%Y/%m}/{run.id}.log"


def day_folder(moment: datetime) -> str:
    """Returns the start of the keys of the marks that are written on a day."""
    return f"{HISTORY}{moment.astimezone(timezone.utc):%Y/%m/%d}/"


def start_mark(run: Run) -> str:
    """Returns the key of the mark of a run that begins."""
    digits = run.bundle.removeprefix("sha256:")[:BUNDLE_DIGITS]
    name = str(run.facts.get("name", "")).replace("@", ".")
    user = plain_user(str(run.facts.get("user", "")))
    last = f"{_stem(run)}!{digits}!"
    full = f"{last}{user}!{name}"
    return day_folder(run.started) + (full if len(full) <= SEGMENT_BYTES else f"{last}!")


def end_mark(run: Run, status: str, exit_code: int, ended: datetime, written: datetime) -> str:
    """Returns the key of the mark of a run that has ended, as it is written at some time."""
    return f"{day_folder(written)}{_stem(run)}!{status}!{exit_code}!{_time_text(ended)}"


def bundle_of_mark(key: str) -> str | None:
    """Returns the first hex digits of the bundle of a run that begins; None for the mark of an end."""
    fields = key.rpartition("/")[2].split("!")
    return fields[2] if len(fields) > 2 and _DIGITS.fullmatch(fields[2]) else None  # noqa: PLR2004 - the third


def plain_user(user: str) -> str:
    """Returns a user as marks have it: with `_` in place of odd characters."""
    return _ODD.sub("_", user)[:32]


def parse_marks(keys: Iterable[str]) -> list[Row]:
    """Returns the runs of marks, the oldest first; what is not a mark is passed over.

    A run that was given up as LOST and has another end has that one.
    """
    begun: dict[str, Row] = {}
    ends: dict[str, list[tuple[str, int, datetime]]] = {}
    for key in keys:
        fields = key.rpartition("/")[2].split("!")
        try:
            start, run_id, third, fourth, fifth = fields
            stem = f"{start}!{run_id}"
            if _DIGITS.fullmatch(third):
                name, _, version = fifth.rpartition(".")
                begun[stem] = Row(
                    run_id, _parse_time(start), f"sha256:{third}", fourth, f"{name}@{version}" if name else ""
                )
            else:
                ends.setdefault(stem, []).append((third, int(fourth), _parse_time(fifth)))
        except ValueError:
            continue
    return [_ended(row, ends.get(stem, [])) for stem, row in sorted(begun.items())]


def _ended(row: Row, ends: list[tuple[str, int, datetime]]) -> Row:
    if not ends:
        return row
    status, code, moment = min(ends, key=lambda end: (end[0] == "LOST", end[2]))
    return Row(row.id, row.started, row.bundle, row.user, row.name, status, code, moment)


def _stem(run: Run) -> str:
    return f"{_time_text(run.started)}!{run.id}"


def _time_text(moment: datetime) -> str:
    return moment.astimezone(timezone.utc).strftime(_TIME)


def _parse_time(text: str) -> datetime:
    """Returns a time; `strptime` would take most of the time of a list of 10,000 runs."""
    if len(text) != len("20261126T215712Z") or text[8] != "T" or text[15] != "Z":
        raise ValueError(text)
    year, month, day = int(text[:4]), int(text[4:6]), int(text[6:8])
    return datetime(
        year, month, day, int(text[9:11]), int(text[11:13]), int(text[13:15]), tzinfo=timezone.utc
    )
