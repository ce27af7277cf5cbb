"""Shares files among processes that scan them. The caller scans the files they do not answer for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import astuple, dataclass, field
from pathlib import Path
from select import select
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from raybundle.resolve.interpreter.markers import Environment

BATCH = 4
"""Files of one request. A worker has at most two requests: it does not idle or block on its pipe."""

_START = "import sys; sys.path.append(sys.argv[1]); from raybundle.resolve.scan.worker import main; main()"
_CHUNK = 1 << 16
"""Bytes that a pipe holds."""


def processors() -> int:
    """Returns how many processors this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS
        return os.cpu_count() or 1


@dataclass(slots=True)
class _Worker:
    process: subprocess.Popen[bytes]
    waiting: int = 0
    """Files without an answer yet."""
    rest: bytes = b""


@dataclass(slots=True)
class Workers:
    """Processes that scan. They are new processes, not forks, because the caller may have threads."""

    environment: Environment
    _workers: list[_Worker] = field(default_factory=list)

    def start(self, count: int) -> None:
        """Starts processes. If that is not possible, there are none."""
        root = str(Path(__file__).parents[3])
        command = [sys.executable, "-I", "-S", "-c", _START, root]
        head = json.dumps(astuple(self.environment)).encode() + b"\n"
        for _ in range(count):
            try:
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    bufsize=0,
                )
            except OSError:
                return
            worker = _Worker(process)
            self._workers.append(worker)
            self._write(worker, head)

    @property
    def busy(self) -> bool:
        """Some files are with a worker."""
        return any(each.waiting for each in self._workers)

    def give(self, files: list[str]) -> None:
        """Takes files from the start of `files` and hands them to workers that have room."""
        for worker in self._workers:
            while files and worker.waiting <= BATCH:
                taken, files[:BATCH] = files[:BATCH], []
                worker.waiting += len(taken)
                self._write(worker, json.dumps(taken).encode() + b"\n")

    def answers(self, *, wait: bool) -> Iterator[list[Any]]:
        """Yields the rows that have arrived. With `wait`, yields at least one unless all workers are gone."""
        streams = {
            each.process.stdout: each for each in self._workers if each.waiting and each.process.stdout
        }
        if not streams:
            return
        ready, _, _ = select(list(streams), [], [], None if wait else 0)
        for stream in ready:
            yield from self._read(streams[stream])

    def stop(self) -> None:
        """Ends all processes."""
        for worker in self._workers:
            worker.process.kill()
            for stream in (worker.process.stdin, worker.process.stdout):
                if stream:
                    stream.close()
            worker.process.wait()
        self._workers.clear()

    def _read(self, worker: _Worker) -> Iterator[list[Any]]:
        assert worker.process.stdout is not None  # noqa: S101 - for mypy: it is a pipe
        data = os.read(worker.process.stdout.fileno(), _CHUNK)
        if not data:
            worker.waiting = 0  # it died: the walk scans its files
            return
        *lines, worker.rest = (worker.rest + data).split(b"\n")
        for line in lines:
            worker.waiting -= 1
            yield json.loads(line)

    def _write(self, worker: _Worker, data: bytes) -> None:
        assert worker.process.stdin is not None  # noqa: S101 - as above
        try:
            worker.process.stdin.write(data)
        except OSError:
            worker.waiting = 0
