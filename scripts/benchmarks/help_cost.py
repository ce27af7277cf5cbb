"""CPU of `raybundle --help`, beside that of an empty Python."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from measure import median, timed

if TYPE_CHECKING:
    from collections.abc import Mapping


def measure(environ: Mapping[str, str], rounds: int) -> dict[str, Any]:
    commands = {"help": ["-m", "raybundle", "--help"], "empty_python": ["-c", "pass"]}
    runs = {
        word: [timed([sys.executable, *words], environ, Path("/")) for _ in range(4 * rounds + 1)][1:]
        for word, words in commands.items()
    }
    return {f"{word}_cpu_ms": median(1000 * took.cpu for took in found) for word, found in runs.items()}
