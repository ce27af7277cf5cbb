"""Writes data to stdout and everything else to stderr."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterable

    from raybundle.errors import RaybundleError
    from raybundle.model import Warning

SCHEMA_VERSION = 1
"""Of the documents that `--json` prints."""
_RED, _YELLOW, _RESET = "\033[31m", "\033[33m", "\033[0m"


class Console:
    """Where words go; with `--json`, stdout carries one document and the job's log goes to stderr."""

    def __init__(self, *, quiet: bool, json_mode: bool, color: bool) -> None:
        self.json_mode = json_mode
        self._quiet = quiet
        self._color = color and "NO_COLOR" not in os.environ and sys.stderr.isatty()

    def data(self, text: str) -> None:
        """Writes one line of what the command was asked for."""
        _write(sys.stdout, f"{text}\n")

    def document(self, document: dict[str, Any]) -> None:
        """Writes the one document of `--json`."""
        _write(sys.stdout, json.dumps({"schema_version": SCHEMA_VERSION, **document}, indent=2) + "\n")

    def log(self, piece: bytes) -> None:
        """Writes a piece of a job's log, as it is."""
        _write(sys.stderr if self.json_mode else sys.stdout, piece)

    def note(self, text: str) -> None:
        """Writes a line that `--quiet` leaves out."""
        if not self._quiet:
            _write(sys.stderr, f"{text}\n")

    def warnings(self, warnings: Iterable[Warning]) -> None:
        """Writes warnings, each with its place and what settles it."""
        for warning in warnings:
            place = f"{warning.file}:{warning.line}: " if warning.file and warning.line else ""
            if warning.file and not warning.line and str(warning.file) not in warning.text:
                place = f"{warning.file}: "
            self.note(f"{self._paint('warning', _YELLOW)}: {place}{warning.text}")
            if warning.hint:
                self.note(f"  hint: {warning.hint}")

    def error(self, error: RaybundleError) -> None:
        """Writes what went wrong, and what to do next."""
        hint = f"\nhint: {error.hint}\n" if error.hint else ""
        _write(sys.stderr, f"{self._paint('error', _RED)}: {error}\n{hint}")

    def _paint(self, word: str, color: str) -> str:
        return f"{color}{word}{_RESET}" if self._color else word


def _write(stream: TextIO, text: str | bytes) -> None:
    """Writes text as it is; where the reader has left, a command still goes on to its end."""
    data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")
    try:
        stream.flush()
        stream.buffer.write(data)
        stream.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
