"""The story of `report`: facts, then the page, then the file."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from raybundle.cache.documents import Cache
from raybundle.config import cache_directory
from raybundle.errors import UsageError
from raybundle.reporting.drawing import drawing_library
from raybundle.reporting.gather import facts_of_stored, facts_of_target
from raybundle.reporting.page import page

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from raybundle.config import Settings
    from raybundle.model import Digest
    from raybundle.pipeline.viewing.values import PathView
    from raybundle.planning import Listener
    from raybundle.reporting.facts import Facts
    from raybundle.request import Request

_FILE = "name a file that can be written: `-o report.html`"


@dataclass(frozen=True, slots=True)
class Report:
    """A page that was written."""

    file: Path
    """Absolute."""
    bundle: Digest
    bytes: int
    """Of the file."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """How a report is asked for, besides what it is about."""

    output: Path
    """The file to write; one that is there is replaced."""
    against: str | None
    """What the bundle is compared with; None for the version before, if it has a name."""
    environ: Mapping[str, str]
    view: PathView | None = None
    """What processes on the nodes import from, if they were asked."""


def report_target(
    request: Request,
    wanted: Wanted,
    reload: Callable[[Path], Settings],
    listener: Listener,
    *,
    strict: bool = False,
) -> Report:
    """Returns the report of a target, once it is written; see `facts_of_target`."""
    drawing = _drawing(wanted)
    facts = facts_of_target(request, wanted.against, reload, listener, strict=strict)
    return _write(replace(facts, view=wanted.view), drawing, wanted.output)


def report_stored(ref: str, wanted: Wanted, settings: Settings, listener: Listener) -> Report:
    """Returns the report of a bundle of the store, once it is written; see `facts_of_stored`."""
    drawing = _drawing(wanted)
    facts = facts_of_stored(ref, wanted.against, settings, wanted.environ, listener)
    return _write(replace(facts, view=wanted.view), drawing, wanted.output)


def _drawing(wanted: Wanted) -> str:
    if wanted.output.is_dir():
        raise UsageError(f"`{wanted.output}` is a directory", hint=_FILE)
    if not wanted.output.absolute().parent.is_dir():
        raise UsageError(f"there is no directory for `{wanted.output}`", hint=_FILE)
    return drawing_library(Cache(cache_directory(wanted.environ)))


def _write(facts: Facts, drawing: str, output: Path) -> Report:
    data = page(facts, drawing).encode()
    try:
        output.write_bytes(data)
    except OSError as error:
        raise UsageError(f"cannot write `{output}`: {error.strerror}", hint=_FILE) from error
    return Report(output.absolute(), facts.digest, len(data))
