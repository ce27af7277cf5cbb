"""The command line: the one place that prints, reads `sys.argv` and turns errors into exit codes."""

from __future__ import annotations

import atexit
import gc

YOUNG_OBJECTS = 50_000
"""New objects before the collector looks at them. With Python's 700, it runs 58 times while a submission is
imported, and finds hardly anything."""

gc.set_threshold(YOUNG_OBJECTS)
atexit.register(gc.freeze)  # the process ends: nothing has to be searched for cycles again

from raybundle.cli.main import main  # noqa: E402 - the imports are what takes the time

__all__ = ["main"]
