"""The command line without its start: a process that has loaded raybundle forks one for each command.

Most CPU of a command goes into the import of its modules. A fork has arguments, directory, variables, umask,
streams and an exit code of its own. What a Python reads only as it starts is as in the process that forks: a
command whose variables differ there is not forked. Run as a program, this file is the process that forks.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import pkgutil
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LOADED = ("cli", "pipeline", "store", "resolve", "explain", "wheels", "functions")
"""Rooms that are loaded whole, with what they import; not their programs, whose names begin with `_`."""
AT_START = ("PYTHON", "LD_", "LC_", "LANG", "MALLOC_", "COVERAGE_", "FSSPEC_")
"""Prefixes of variables that count where a process starts."""
LARGEST = 60_000
"""Bytes of a request, which is one message."""


class Request(NamedTuple):
    """A command, and the process that it becomes."""

    words: list[str]
    directory: str
    environ: dict[str, str]
    umask: int


class Forker:
    """The process that forks, as the tests see it."""

    def __init__(self) -> None:
        """Starts it; it loads raybundle while the first request waits."""
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "COVERAGE_"))
        }
        self._environ = {**kept, "PYTHONUTF8": "1"}
        self._requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(theirs.fileno())],
                env=self._environ,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
            )
        atexit.register(self.end)

    def end(self) -> None:
        """Ends the process."""
        self._requests.close()
        self._process.wait()

    def run(
        self, words: Sequence[str], directory: Path, environ: Mapping[str, str], timeout: float
    ) -> subprocess.CompletedProcess[str] | None:
        """Runs a command without standard input; returns None if it has to be started."""
        variables = {name: os.fspath(value) for name, value in environ.items()}
        request = Request([*map(os.fspath, words)], os.fspath(directory), variables, _umask())
        data = json.dumps(request).encode()
        if len(data) > LARGEST or _at_start(variables) != _at_start(self._environ):
            return None
        pipes = [os.pipe() for _ in range(3)]
        try:
            socket.send_fds(self._requests, [data], [writer for _, writer in pipes])
        finally:
            for _, writer in pipes:
                os.close(writer)
        with contextlib.ExitStack() as stack:
            readers = [stack.enter_context(os.fdopen(reader, "rb", 0)) for reader, _ in pipes]
            process = int(readers[2].readline())  # once raybundle is loaded
            out, err, status = _read(readers, time.monotonic() + timeout)
        if not status:
            os.kill(process, signal.SIGKILL)
            raise subprocess.TimeoutExpired([*words], timeout, out, err)
        return subprocess.CompletedProcess(
            [*words], os.waitstatus_to_exitcode(int(status)), _text(out), _text(err)
        )


def _umask() -> int:
    status = Path("/proc/self/status").read_text("utf-8")
    return int(status.partition("Umask:")[2].split()[0], 8)


def _at_start(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if name.startswith(AT_START)}


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape").replace("\r\n", "\n").replace("\r", "\n")


def _read(readers: Sequence[BinaryIO], deadline: float) -> list[bytes]:
    """Reads all, until their ends or the deadline."""
    found = [b"" for _ in readers]
    with selectors.DefaultSelector() as selector:
        for number, reader in enumerate(readers):
            selector.register(reader, selectors.EVENT_READ, number)
        while selector.get_map() and (ready := selector.select(max(0, deadline - time.monotonic()))):
            for key, _ in ready:
                piece = os.read(key.fd, 1 << 16)
                found[key.data] += piece
                if not piece:
                    selector.unregister(key.fileobj)
    return found


@functools.cache
def forker() -> Forker | None:
    """Returns the process that forks, started once; None on a system without handles of processes."""
    return Forker() if hasattr(os, "pidfd_open") else None


def _load() -> None:
    for room in LOADED:
        package = importlib.import_module(f"raybundle.{room}")
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if "._" not in module.name:
                importlib.import_module(module.name)
    gc.freeze()
    assert len(os.listdir("/proc/self/task")) == 1, "a fork has none of the threads of its parent"  # noqa: PTH208


def _serve(requests: socket.socket) -> Request | None:
    """Forks for each request. Returns the request in the fork, and None once there are no more."""
    with selectors.DefaultSelector() as selector:
        selector.register(requests, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.data is not None:
                    selector.unregister(key.fd)
                    _tell_end(key.fd, *key.data)
                    continue
                data, streams, _, _ = socket.recv_fds(requests, LARGEST, 3)
                if not data:
                    return None
                if (process := os.fork()) == 0:
                    for number, stream in enumerate(streams[:2], 1):
                        os.dup2(stream, number)
                    return Request(*json.loads(data))
                _tell(streams[2], process)
                for stream in streams[:2]:
                    os.close(stream)
                handle = os.pidfd_open(process)
                selector.register(handle, selectors.EVENT_READ, (process, streams[2]))


def _tell_end(handle: int, process: int, answer: int) -> None:
    os.close(handle)
    _tell(answer, os.waitpid(process, 0)[1])
    os.close(answer)


def _tell(answer: int, number: int) -> None:
    with contextlib.suppress(BrokenPipeError):  # a test that was interrupted
        os.write(answer, b"%d\n" % number)


def _become(request: Request) -> None:
    """Makes this process the command."""
    os.closerange(3, 1024)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.umask(request.umask)
    os.chdir(request.directory)
    os.environ.clear()
    os.environ.update(request.environ)
    time.tzset()
    sys.argv = ["raybundle", *request.words]
    sys.path[0] = request.directory
    try:
        runpy.run_module("raybundle", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if isinstance(end.code, int):
            _exit(end.code)
        raise


def _exit(code: int) -> None:
    """Ends as a Python does, but frees nothing: that copies the memory of the process that forks."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def main() -> None:
    """Loads raybundle, then forks."""
    _load()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with socket.socket(fileno=int(sys.argv[1])) as requests:
        request = _serve(requests)
    if request:
        _become(request)


if __name__ == "__main__":
    main()
