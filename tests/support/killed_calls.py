"""Command lines that end at any of their system calls: forks of a client, which ask before each of them.

The kernel asks for a fork, its threads and its children, one call after the other (seccomp_unotify(2)). A
fork has the modules of raybundle imported already, which is most of what a start costs.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import platform
import select
import signal
import socket
import struct
import subprocess
import sys
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path

_NUMBERS = {
    "write": (1, 18, 20),
    "copy": (40, 326),
    "truncate": (77,),
    "connect": (42,),
    "send": (44,),
    "receive": (45,),
    "lock": (73,),
    "sync": (74, 75),
    "rename": (82, 264, 316),
    "link": (86, 265, 88, 266),
    "mkdir": (83, 258),
    "remove": (84, 87, 263),
    "chmod": (90, 91, 268),
    "utime": (280,),
}
CALLS = {number: name for name, numbers in _NUMBERS.items() for number in numbers}
"""Calls that change files or talk to a server, by number (x86-64). Between two, a kill leaves the same."""
LONGEST = 120_000
"""Milliseconds between two calls of a client that is not stuck."""
_SECCOMP, _FILTER, _NEW_LISTENER, _NO_NEW_PRIVILEGES = 317, 1, 8, 38
_LOAD, _IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _ASK = 0x7FFF0000, 0x7FC00000
_RECEIVE, _ANSWER, _CONTINUE = 0xC0502100, 0xC0182101, 1


class Ended(NamedTuple):
    """How a command line ended."""

    code: int
    """Negative: the signal that killed it."""
    stdout: str
    stderr: str
    calls: tuple[str, ...]
    """Those that it began, in their order."""


class Forks:
    """A process that forks for each command line."""

    def __init__(self, process: subprocess.Popen[str], directory: Path) -> None:
        self._process, self._directory = process, directory

    def run(self, words: Sequence[str], cwd: Path, environ: Mapping[str, str], last: int | None = 0) -> Ended:
        """Runs a command line; the process that makes the call with the number `last` is killed before it.

        None kills nobody and asks about no call, which takes less time.
        """
        out, err = self._directory / "out", self._directory / "err"
        order = {"words": words, "cwd": str(cwd), "environ": dict(environ), "out": str(out), "err": str(err)}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({**order, "last": last}) + "\n")
        self._process.stdin.flush()
        code, calls = json.loads(self._process.stdout.readline())
        return Ended(code, out.read_text(), err.read_text(), tuple(calls))


@contextmanager
def forks(directory: Path) -> Iterator[Forks]:
    """Starts the process, and ends it with the block."""
    command = [sys.executable, "-m", "tests.support.killed_calls"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Forks(process, directory)
        assert process.stdin is not None
        process.stdin.close()


def can_ask() -> bool:
    """Claims that this kernel asks, and that `CALLS` has its numbers."""
    return sys.platform == "linux" and platform.machine() == "x86_64"


def _serve() -> None:
    """Answers orders. What the first client has imported, the next ones find imported."""
    for line in sys.stdin:
        order = json.loads(line)
        ours, theirs = socket.socketpair()
        pid = os.fork()
        if pid == 0:
            _become(order, theirs)
        theirs.close()
        _, listeners, _, _ = socket.recv_fds(ours, 1, 1)
        calls: list[str] = []
        for listener in listeners:
            calls += _let_through(listener, order["last"])
            os.close(listener)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        with ours.makefile() as names:
            for name in names.read().split():
                with suppress(Exception):
                    import_module(name)
        sys.stdout.write(json.dumps([code, calls]) + "\n")
        sys.stdout.flush()


def _let_through(listener: int, last: int) -> Iterator[str]:
    """Yields the calls of a client and of its children until all have ended."""
    waiting = select.poll()
    waiting.register(listener, select.POLLIN)
    number = 0
    while events := waiting.poll(LONGEST):
        if not events[0][1] & select.POLLIN:
            return
        question = bytearray(80)
        with suppress(FileNotFoundError):  # the process has ended meanwhile
            fcntl.ioctl(listener, _RECEIVE, question)
            identity, pid, _, call = struct.unpack_from("QIIi", question)
            number += 1
            yield CALLS[call]
            if number == last:
                os.kill(pid, signal.SIGKILL)
                continue
            fcntl.ioctl(listener, _ANSWER, struct.pack("QqiI", identity, 0, 0, _CONTINUE))
    raise AssertionError("the client hangs")


def _become(order: Mapping[str, Any], ours: socket.socket) -> None:
    """Runs a command line in this process, and tells what it has imported."""
    main = import_module("raybundle.cli.main").main
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["environ"])
    writable = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    for number, name, flags in (
        (0, os.devnull, os.O_RDONLY),
        (1, order["out"], writable),
        (2, order["err"], writable),
    ):
        descriptor = os.open(name, flags, 0o600)
        os.dup2(descriptor, number)
        os.close(descriptor)
    listeners = [] if order["last"] is None else [_ask_about(CALLS)]
    socket.send_fds(ours, [b"."], listeners)
    for listener in listeners:
        os.close(listener)
    try:
        code = main(order["words"])
    finally:
        ours.send(" ".join(sorted(sys.modules)).encode())
        ours.close()
    sys.exit(code)


def _ask_about(numbers: Collection[int]) -> int:
    """Returns a descriptor that has the questions about this process from now on."""
    library, count = ctypes.CDLL(None, use_errno=True), len(numbers)
    rules = [(_LOAD, 0, 0, 0)]  # the number of the call
    rules += [(_IF_EQUAL, count - place, 0, number) for place, number in enumerate(numbers)]
    rules += [(_RETURN, 0, 0, _ALLOW)]
    rules += [(_LOAD, 0, 0, 32), (_IF_EQUAL, 0, 1, 8)]  # its third argument: 8 bytes wake a thread
    rules += [(_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _ASK)]
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *rule) for rule in rules))
    header = struct.pack("HxxxxxxQ", len(rules), ctypes.addressof(program))
    library.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    found = library.syscall(_SECCOMP, _FILTER, _NEW_LISTENER, header)
    if found < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return int(found)


if __name__ == "__main__":
    _serve()
