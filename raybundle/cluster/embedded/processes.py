"""Identifies processes, finds all descendants of a process, and ends them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from raybundle.errors import ClusterError

if TYPE_CHECKING:
    from collections.abc import Iterable

GRACE = 3.0
"""Seconds between SIGTERM and SIGKILL; Ray's processes need less than one."""

KILL_PATIENCE = 10.0
"""Seconds that killed processes get to end."""

POLL_INTERVAL = 0.05
"""Seconds between two looks at the process table; one look costs 5 ms for 300 processes."""


@dataclass(frozen=True, slots=True)
class Process:
    """Identifies a process: a pid is reused, a pid with its start time is not."""

    pid: int
    started: str
    """Opaque; on Linux the boot and the ticks since then, so that no record survives a reboot."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the process table."""

    process: Process
    parent: int
    session: int
    """Without /proc, the process group."""


def find_process(pid: int) -> Process | None:
    """Returns the process that has this pid now; None if there is none or it has ended (zombie)."""
    entry = _read_stat(Path("/proc", str(pid), "stat")) if _has_proc() else read_table().get(pid)
    return entry.process if entry else None


def find_family(known: Iterable[Process]) -> set[Process]:
    """Returns the living processes of `known`, of sessions that these lead or led, and all descendants."""
    table = read_table()
    family = {
        process.pid for process in known if process.pid in table and table[process.pid].process == process
    }
    leaders = {process.pid for process in known}
    sessions = {table[pid].session for pid in family} & leaders
    family |= {pid for pid, entry in table.items() if entry.session in sessions}
    while young := {pid for pid, entry in table.items() if entry.parent in family and pid not in family}:
        family |= young
    return {table[pid].process for pid in family}


def end_family(known: Iterable[Process]) -> int:
    """Ends the family (SIGTERM, then SIGKILL) and returns the number of its processes.

    Raises:
        ClusterError: some do not end.
    """
    ended: set[Process] = set()
    family = set(known)
    for number, patience in ((signal.SIGTERM, GRACE), (signal.SIGKILL, KILL_PATIENCE)):
        deadline = time.monotonic() + patience
        signalled: set[Process] = set()
        while living := find_family(family):
            family |= living  # a process that loses its parent meanwhile stays known
            _send(number, living - signalled)
            signalled |= living
            if time.monotonic() > deadline:
                break
            time.sleep(POLL_INTERVAL)
        ended |= signalled
    if living := find_family(family):
        raise ClusterError(f"processes {sorted(process.pid for process in living)} do not end")
    return len(ended)


def _send(number: signal.Signals, processes: Iterable[Process]) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, number)


def read_table() -> dict[int, Entry]:
    """Returns all living processes by pid."""
    entries = _read_proc() if _has_proc() else _ask_ps()
    return {entry.process.pid: entry for entry in entries}


def _has_proc() -> bool:
    return Path("/proc/self/stat").exists()


def _read_proc() -> list[Entry]:
    entries = [
        _read_stat(Path(directory.path, "stat"))
        for directory in os.scandir("/proc")
        if directory.name.isdigit()
    ]
    return [entry for entry in entries if entry]


def _read_stat(file: Path) -> Entry | None:
    """Returns what a file says of its process; None if the process has ended."""
    try:
        return _parse_stat(file.read_bytes())
    except OSError:
        return None


def _parse_stat(stat: bytes) -> Entry | None:
    """Parses /proc/PID/stat (proc(5)); the name in brackets may itself hold brackets."""
    pid = int(stat.split(b" ", 1)[0])
    state, parent, _group, session, *rest = stat.rpartition(b")")[2].split()
    if state in b"ZX":
        return None
    ticks = rest[15].decode()
    return Entry(Process(pid, f"{_boot()}:{ticks}"), int(parent), int(session))


@cache
def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def _ask_ps() -> list[Entry]:
    """Reads the output of ps(1), for systems without /proc (macOS)."""
    command = ["ps", "-A", "-o", "pid=,ppid=,pgid=,stat=,lstart="]
    environment = {**os.environ, "LC_ALL": "C", "TZ": "UTC"}
    output = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    entries = []
    for line in output.splitlines():
        pid, parent, group, state, started = line.split(maxsplit=4)
        if not state.startswith("Z"):
            entries.append(Entry(Process(int(pid), started), int(parent), int(group)))
    return entries
