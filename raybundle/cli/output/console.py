"""Writes data to stdout and everything else to stderr."""

from __future__ import annotations

import contextlib
import json
import os
import select
import stat
import sys
from typing import TYPE_CHECKING, Any, TextIO

from raybundle.cli.services.service import Service

if TYPE_CHECKING:
    from collections.abc import Iterable

    from raybundle.errors import RaybundleError
    from raybundle.model import Warning

SCHEMA_VERSION = 1
"""Version of the documents that `--json` prints."""
_RED, _YELLOW, _RESET = "\033[31m", "\033[33m", "\033[0m"
PLACES = 5
"""Further places of a warning that the text shows; `--json` has all."""
_CLEAR = "\033[K"
"""Clears a terminal's line from the cursor to its end."""


_LONG = 100
"""Items from which on a list has one line for each: Python indents ten times as slowly as it writes JSON."""


def formatted(document: dict[str, Any]) -> str:
    """Returns a document as indented JSON. Long lists are quick to write."""
    lists = {key: value for key, value in document.items() if isinstance(value, list) and len(value) >= _LONG}
    text = json.dumps({**document, **{key: [] for key in lists}}, indent=2)
    for key, items in lists.items():
        place, lines = f"\n  {json.dumps(key)}: [", ",\n    ".join(map(json.dumps, items))
        text = text.replace(f"{place}]", f"{place}\n    {lines}\n  ]", 1)
    return text


class Console:
    """Writes output; with `--json`, stdout has one document and the job's log goes to stderr."""

    writes_events = False
    """Whether stdout has an event per line."""

    def __init__(self, *, quiet: bool, json_mode: bool, color: bool, service: Service | None = None) -> None:
        self.json_mode = json_mode
        self.service = service or Service()
        self.facts: dict[str, Any] = {}
        """What is known of bundle and job so far."""
        self._quiet = quiet
        self._log_broken = False
        dumb = "NO_COLOR" in os.environ or os.environ.get("TERM") == "dumb"
        self._color = color and not dumb and sys.stderr is not None and sys.stderr.isatty()

    def data(self, text: str) -> None:
        """Writes a line of the command's result."""
        from raybundle.formats.terminal import printable

        write_all(sys.stdout, f"{self.service.harmless(printable(text))}\n")

    def document(self, document: dict[str, Any]) -> None:
        """Writes the one document of `--json`."""
        text = formatted({"schema_version": SCHEMA_VERSION, **document})
        write_all(sys.stdout, self.service.harmless_json(text) + "\n")

    def event(self, name: str, **values: object) -> None:  # noqa: ARG002 - for those who write it
        """Takes a step of a submission."""
        self.facts.update(values)

    def mask(self) -> None:
        """Makes the CI service hide secrets; not in a file, which the service does not read."""
        if not is_file(sys.stderr):
            self._tell(self.service.masks())

    def _tell(self, lines: Iterable[str]) -> None:
        for line in lines:
            with contextlib.suppress(OSError):
                write_all(sys.stderr, f"{line}\n")

    def log(self, piece: bytes) -> None:
        """Writes a piece of a job's log unchanged; a failure does not end the wait for the job."""
        if not self._log_broken:
            try:
                write_all(self.log_stream, piece)
            except OSError as error:
                self._log_broken = True
                self.warn(f"the job's log cannot be written: {error.strerror}")

    def close_log(self) -> None:
        """Ends a job's log."""

    def note(self, text: str) -> None:
        """Writes a line, unless `--quiet` is given."""
        if not self._quiet:
            self._say(f"{shown(text)}\n")

    def warn(self, text: str) -> None:
        """Writes a problem that does not end the command, even with `--quiet`."""
        self._say(f"{self._paint('warning', _YELLOW)}: {shown(text)}\n")

    @property
    def shows_progress(self) -> bool:
        """Whether stderr is a terminal and `--quiet` is not given."""
        return not self._quiet and sys.stderr is not None and sys.stderr.isatty()

    def progress(self, text: str) -> None:
        """Overwrites the previous progress line; an empty text clears it."""
        if self.shows_progress:
            self._say(f"\r{_CLEAR}{text}")

    @property
    def log_stream(self) -> TextIO | None:
        """Where the job's log goes."""
        return sys.stderr if self.json_mode else sys.stdout

    def _say(self, text: str) -> None:
        """Writes to stderr; ignores a failure, which could not be shown."""
        with contextlib.suppress(OSError):
            write_all(sys.stderr, self.service.harmless(text))

    def warnings(self, warnings: Iterable[Warning]) -> None:
        """Writes warnings with their places; warnings with the same hint become one."""
        for first, *others in alike(warnings):
            named = first.file is None or (not first.line and str(first.file) in first.text)
            place = "" if named else f"{_place(first)}: "
            self._remark(f"{place}{first.text}")
            if others:
                more = f" and {len(others) - PLACES} more places" if len(others) > PLACES else ""
                self.note(f"  also at {', '.join(map(_place, others[:PLACES]))}{more}")
            if first.hint:
                self.note(f"  hint: {first.hint}")

    def error(self, error: RaybundleError) -> None:
        """Writes an error and its hint."""
        hint = f"hint: {shown(error.hint)}\n" if error.hint else ""
        self._say(f"{self._paint('error', _RED)}: {shown(str(error))}\n{hint}")
        self._tell(self.service.annotations(error))

    def _remark(self, text: str) -> None:
        if not self._quiet:
            self.warn(text)

    def _paint(self, word: str, color: str) -> str:
        return f"{color}{word}{_RESET}" if self._color else word


def is_file(stream: TextIO | None) -> bool:
    """Returns whether a stream goes to a file."""
    try:
        return stream is not None and stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
    except (OSError, ValueError):
        return False


def shown(text: str) -> str:
    """Returns one of raybundle's own texts as a terminal may have it: without escapes and without secrets."""
    from raybundle.formats.credentials import masked
    from raybundle.formats.terminal import printable

    return masked(printable(text))


def alike(warnings: Iterable[Warning]) -> list[list[Warning]]:
    """Groups warnings by their hint; a warning without a hint or a file is a group of its own."""
    groups: dict[object, list[Warning]] = {}
    for each in warnings:
        key = (each.hint, bool(each.line)) if each.hint and each.file else id(each)
        groups.setdefault(key, []).append(each)
    return list(groups.values())


def _place(warning: Warning) -> str:
    return f"{warning.file}:{warning.line}" if warning.line else str(warning.file)


def write_all(stream: TextIO | None, text: str | bytes) -> None:
    """Writes text unchanged; if the reader has left, the command goes on to its end.

    Raises:
        OSError: the text cannot be written for another reason, such as a full disk.
    """
    if stream is None:  # closed before this process started
        return
    data = memoryview(text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape"))
    stream.flush()
    descriptor = stream.fileno()
    while data:
        try:
            data = data[os.write(descriptor, data) :]
        except BlockingIOError:  # noqa: PERF203 - the pipe is non-blocking, and full
            select.select([], [descriptor], [])
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
            return
