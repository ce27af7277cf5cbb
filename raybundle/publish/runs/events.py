"""What the events of a run say (docs/runs.md); whoever can write to the store may have written them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from raybundle.publish.runs.run import SCHEMA_VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Check = Callable[[Any], object]

_YEARS = range(1971, 9000)
"""Years of a moment: arithmetic with it stays within what Python can represent."""
_LONGEST = 1e9
"""Seconds of a stage, at most."""


def parse_event(event: str, document: dict[str, Any]) -> dict[str, Any]:
    """Returns the document of an event, in which all that is read of it has the right type.

    Raises:
        ValueError, TypeError, LookupError: it is damaged, or of another format.
    """
    if document["schema_version"] != SCHEMA_VERSION:
        raise ValueError(document)
    _moment(document["at"])
    for name, check in _REQUIRED.get(event, {}).items():
        check(document[name])
    _check_known(_OPTIONAL, document)
    return document


def end_of(document: dict[str, Any]) -> tuple[str, int, datetime]:
    """Returns the status, the exit code and the time of the event that ends a run.

    Raises:
        ValueError, TypeError, LookupError: as `parse_event` does.
    """
    parse_event("end", document)
    return document["status"], document["exit_code"], datetime.fromisoformat(document["ended"])


def _moment(value: Any) -> None:
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None or moment.year not in _YEARS:
        raise ValueError(value)


def _text(value: Any) -> None:
    if not isinstance(value, str):
        raise TypeError(value)


def _count(value: Any) -> None:
    if type(value) is not int:
        raise TypeError(value)


def _seconds(value: Any) -> None:
    if type(value) not in {int, float} or not 0 <= value <= _LONGEST:
        raise ValueError(value)


def _each(check: Check) -> Check:
    """Returns a check of the members of a list, or of the values of an object."""

    def check_each(values: Any) -> None:
        if not isinstance(values, list | dict):
            raise TypeError(values)
        for value in values.values() if isinstance(values, dict) else values:
            check(value)

    return check_each


def _check_known(checks: Mapping[str, Check], document: Mapping[str, Any]) -> None:
    for name in checks.keys() & document.keys():
        checks[name](document[name])


def _node(value: Any) -> None:
    for name, check in _OF_A_NODE.items():
        check(value[name])
    _check_known(_WHEN, value)
    if "booted" in value:
        _seconds(value["boot_seconds"])


def _outside(value: Any) -> None:
    for name in ("module", "file", "process", "node"):
        _text(value[name])


_WHEN: dict[str, Check] = {"booted": _moment, "first_task": _moment}
_OF_A_NODE: dict[str, Check] = {
    **dict.fromkeys(("node", "node_id", "platform", "libc"), _text),
    **dict.fromkeys(("python", "provided"), _each(_text)),
    "processes": _each(_count),
}
_END: dict[str, Check] = {"status": _text, "exit_code": _count, "ended": _moment}
_REQUIRED: dict[str, dict[str, Check]] = {
    "end": _END,
    "lost": _END,
    "observed": {"nodes": _each(_node), "outside": _each(_outside)},
}
_OPTIONAL: dict[str, Check] = {
    "timings": _each(_seconds),
    "started": _moment,
    "driver_node": _text,
    "error": _text,
    "omitted": _count,
}
