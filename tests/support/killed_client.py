"""Runs a command line that is killed after a number of requests to the store; without one, it counts them.

`python -m tests.support.killed_client NUMBER FILE WORDS…` writes the requests to FILE, one on a line.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from raybundle.cli.main import main
from raybundle.store.local import LocalStore
from raybundle.store.s3 import S3Store

REQUESTS = ("get", "put_new", "put_new_chunks", "entry", "entries", "keys", "remove")


def count_requests(last: int, file: Path) -> None:
    """Makes stores count their requests, and end this process after the last one."""
    turn, made = threading.Lock(), [0]

    def counted(name: str, request: Any) -> Any:
        def call(store: Any, key: str, *rest: Any) -> Any:
            try:
                return request(store, key, *rest)
            finally:
                with turn:
                    made[0] += 1
                    with file.open("a", encoding="utf-8") as lines:
                        lines.write(f"{name} {key}\n")
                    if made[0] == last:
                        os.kill(os.getpid(), signal.SIGKILL)

        return call

    for kind in (LocalStore, S3Store):
        for name in REQUESTS:
            setattr(kind, name, counted(name, getattr(kind, name)))


if __name__ == "__main__":
    count_requests(int(sys.argv[1]), Path(sys.argv[2]))
    sys.exit(main(sys.argv[3:]))
