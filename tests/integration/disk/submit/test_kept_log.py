"""`--save-logs`: a disk that is full costs the kept log, and nothing else."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = """
import os, resource, signal, sys
from raybundle.publish.runs.run import new_run
from raybundle.store import open_store
from raybundle.submission.recording.kept_log import keeping_log
store = open_store(sys.argv[1], {})
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
run = new_run("sha256:" + "a" * 64, [], {}, "http://x", "nightly")
shown = []
with keeping_log(store, run, shown.append, print) as keep:
    for number in range(3):
        keep(b"x" * 4096)
print(sum(map(len, shown)))
"""


def kept(directory: Path, limit: int) -> tuple[list[str], list[int]]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(directory), str(limit)],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines(), [each.stat().st_size for each in directory.rglob("*.log")]


def test_a_log_that_the_disk_does_not_take_is_shown_and_not_kept(tmp_path: Path) -> None:
    lines, sizes = kept(tmp_path, 6000)

    assert lines == ["the log is not kept in the store: [Errno 27] File too large", "12288"]
    assert sizes == []


def test_a_log_is_shown_and_kept(tmp_path: Path) -> None:
    assert kept(tmp_path, 1 << 20) == (["12288"], [12288])
