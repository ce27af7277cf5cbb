"""Writes each step of a submission as a line of JSON (docs/schemas)."""

from __future__ import annotations

import codecs
import json
import sys
import time
from typing import TYPE_CHECKING, Any

from raybundle.cli.output.console import SCHEMA_VERSION, Console, shown, write_all

if TYPE_CHECKING:
    from collections.abc import Iterable

    from raybundle.errors import RaybundleError
    from raybundle.model import Warning


class EventConsole(Console):
    """Stdout has a JSON document per line, and stderr what it always has; the job's log is events too."""

    _line = ""
    """What came of a line of the log that has not ended."""
    _broken = False
    writes_events = True

    def __init__(self, **options: Any) -> None:
        super().__init__(**{**options, "json_mode": True})
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def event(self, name: str, **values: object) -> None:
        """Writes an event."""
        super().event(name, **values)
        moment = round(time.time(), 3)
        document = {"schema_version": SCHEMA_VERSION, "event": name, "time": moment, **values}
        if self._broken:
            return
        try:
            write_all(sys.stdout, self.service.harmless_json(json.dumps(document)) + "\n")
        except OSError as error:
            self._broken = True
            self.warn(f"the events cannot be written: {error.strerror}")

    def log(self, piece: bytes) -> None:
        """Writes an event for each line; bytes that are not UTF-8 are replaced."""
        *lines, self._line = (self._line + self._decoder.decode(piece)).split("\n")
        for line in lines:
            self.event("log", text=line)

    def close_log(self) -> None:
        """Writes what the log has after its last newline."""
        if self._line:
            self.log(b"\n")

    def warnings(self, warnings: Iterable[Warning]) -> None:
        """Writes an event for each warning."""
        found = list(warnings)
        super().warnings(found)
        for each in found:
            file = None if each.file is None else str(each.file)
            self.event("warning", text=each.text, file=file, line=each.line, hint=each.hint)

    def error(self, error: RaybundleError) -> None:
        """Writes why an attempt or the command failed."""
        super().error(error)
        hint = error.hint and shown(error.hint)
        self.event("error", error=shown(str(error)), hint=hint or None, exit_code=error.exit_code)

    def document(self, document: dict[str, Any]) -> None:
        """Writes the command's result as its last event."""
        self.event("ended", result={"schema_version": SCHEMA_VERSION, **document})
