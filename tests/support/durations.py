"""How long each file of tests takes: a plugin that writes the seconds of each to a file, for scripts/test."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

VARIABLE = "RAYBUNDLE_TEST_DURATIONS"
"""Names the file to write. Without it nothing is written."""


class Durations:
    """Adds up the seconds of set-up, call and tear-down of the tests of each file."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._seconds: defaultdict[str, float] = defaultdict(float)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Adds one phase of one test."""
        self._seconds[report.nodeid.partition("::")[0]] += report.duration

    def pytest_sessionfinish(self) -> None:
        """Writes the log; files of which no test ran keep what the log says of them."""
        known = json.loads(self._log.read_text("utf-8")) if self._log.exists() else {}
        seconds = {file: round(each, 2) for file, each in self._seconds.items()}
        self._log.write_text(json.dumps(known | seconds, indent=1, sort_keys=True), encoding="utf-8")


def register(config: pytest.Config) -> None:
    """Adds the plugin if the environment names a log."""
    if log := os.environ.get(VARIABLE):
        config.pluginmanager.register(Durations(Path(log)))
