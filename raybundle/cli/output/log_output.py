"""Writes a job's log to a file as well, and puts times before its lines."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from raybundle.cli.output.console import is_file
from raybundle.errors import UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

    from raybundle.cli.output.console import Console

    Write = Callable[[bytes], None]


@contextmanager
def log_output(arguments: argparse.Namespace, console: Console) -> Iterator[Write]:
    """Yields a writer for a job's log: to stdout, and with `--log-file` to a file as well, byte for byte.

    Raises:
        UsageError: the file cannot be written.
    """
    shown = _Shown(console)
    show = with_timestamps(shown.write) if arguments.timestamps else shown.write
    copy = None
    if arguments.log_file is not None:
        try:
            file = Path(arguments.log_file).open("wb")  # noqa: SIM115 - closed below
        except OSError as error:
            raise UsageError(f"cannot write --log-file {arguments.log_file}: {error.strerror}") from error
        copy = _Copy(file, console)

    def write(piece: bytes) -> None:
        show(piece)
        if copy is not None:
            copy.write(piece)

    try:
        yield write
    finally:
        shown.close()
        if copy is not None:
            copy.close()


class _Shown:
    """The log on the console, between what the CI service needs around it; not if it goes to a file."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._last = b"\n"
        self._opened = False

    def write(self, piece: bytes) -> None:
        if piece and not self._opened and not self._console.writes_events:
            self._opened = not is_file(self._console.log_stream)
            if self._opened:
                self._console.log(self._console.service.opening())
        self._console.log(piece)
        self._last = piece[-1:] or self._last

    def close(self) -> None:
        self._console.close_log()
        closing = self._console.service.closing() if self._opened else b""
        if closing:
            self._console.log((b"" if self._last == b"\n" else b"\n") + closing)


class _Copy:
    """A file for the log; after a failed write it gets no more, and the command still follows the job."""

    def __init__(self, file: BinaryIO, console: Console) -> None:
        self._file = file
        self._console = console
        self._broken = False

    def write(self, piece: bytes) -> None:
        if not self._broken:
            self._try(lambda: self._file.write(piece))
            self._try(self._file.flush)

    def close(self) -> None:
        self._try(self._file.close)

    def _try(self, action: Callable[[], object]) -> None:
        try:
            action()
        except OSError as error:
            if not self._broken:
                self._console.note(f"warning: the log in {self._file.name} is cut: {error.strerror}")
            self._broken = True


def with_timestamps(write: Write) -> Write:
    """Returns a writer that puts the time of arrival, in UTC, before each line."""
    at_start = True

    def stamped(piece: bytes) -> None:
        nonlocal at_start
        if not piece:
            return
        now = f"{datetime.now(timezone.utc).isoformat(timespec='milliseconds')[:-6]}Z ".encode()
        ended = piece.endswith(b"\n")
        text = piece[: len(piece) - ended].replace(b"\n", b"\n" + now) + b"\n" * ended
        write((now if at_start else b"") + text)
        at_start = ended

    return stamped
