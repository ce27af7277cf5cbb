"""Replays the system calls of a process up to any point, without the data that was not on the disk by then.

`record` runs a command under strace. `replay` makes a directory as it may be after a power loss: names, links
and modes survive at once, as on a journalling file system, but the bytes of a file only once it was synced.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

CALLS = (
    "openat,write,pwrite64,fsync,fdatasync,syncfs,rename,renameat,renameat2,link,linkat,symlink,symlinkat,"
    "mkdir,mkdirat,unlink,unlinkat,rmdir,chmod,fchmod,fchmodat"
)
_CALL = re.compile(
    r"^(?P<pid>\d+) +(?P<name>\w+)\((?P<arguments>.*)\) += (?P<result>-?\d+)(?P<path><[^>]*>)?"
)
_TEXT = re.compile(r'"((?:[^"\\]|\\.)*)"')
_DESCRIPTOR = re.compile(r"^(\d+)<([^>]*)>")


@dataclass(slots=True)
class File:
    """A file: what was written to it, and how much of that is on the disk."""

    data: bytearray = field(default_factory=bytearray)
    synced: bytes = b""
    mode: int = 0o600


@dataclass(frozen=True, slots=True)
class Call:
    """A system call that succeeded."""

    name: str
    paths: tuple[str, ...]
    """Absolute; for a symbolic link, first where it leads."""
    data: bytes = b""
    mode: int = 0


def record(
    command: Sequence[str | Path], environ: Mapping[str, str], cwd: Path, log: Path
) -> tuple[subprocess.CompletedProcess[str], list[Call]]:
    """Runs a command and returns its end and its system calls, those of its children included."""
    strace = ["strace", "-f", "-y", "-xx", "-s", "10000000", "-e", f"trace={CALLS}", "-o", str(log), "setsid"]
    done = subprocess.run(
        [*strace, *map(str, command)],
        env=environ,
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return done, list(_calls(log.read_text()))


def _calls(log: str) -> Iterator[Call]:
    """Yields the calls in the order of their ends. strace cuts those that others interrupt in two."""
    begun: dict[str, str] = {}
    for line in log.splitlines():
        pid = line.split(" ", 1)[0]
        whole = line
        if line.endswith("<unfinished ...>"):
            begun[pid] = line.removesuffix("<unfinished ...>").rstrip()
            continue
        if match := re.match(r"^\d+ +<\.\.\. \w+ resumed>", line):
            whole = begun.pop(pid) + line[match.end() :]
        match = _CALL.match(whole)
        if match and int(match["result"]) >= 0:
            yield from _call(match["name"], match["arguments"], match["path"])


def _call(name: str, arguments: str, opened: str | None) -> Iterator[Call]:
    texts = [bytes.fromhex(each.replace("\\x", "")) for each in _TEXT.findall(arguments)]
    if name in ("write", "pwrite64", "fsync", "fdatasync", "syncfs", "fchmod"):
        match = _DESCRIPTOR.match(arguments)
        path = _path(match[2]) if match else ""
        mode = int(arguments.rsplit(", ", 1)[-1], 8) if name == "fchmod" else 0
        yield Call(name, (path,), texts[0] if texts else b"", mode)
    elif name == "openat":
        if "O_CREAT" in arguments or "O_TRUNC" in arguments:
            given = re.search(r", (0\d+)$", arguments)
            kind = "truncate" if "O_TRUNC" in arguments else "create"
            yield Call(kind, (_path((opened or "<>")[1:-1]),), mode=int(given[1], 8) if given else 0o600)
    else:
        given = re.search(r", (0\d+)", arguments)
        paths = tuple(each.decode() for each in texts)
        yield Call(name.removesuffix("2").removesuffix("at"), paths, mode=int(given[1], 8) if given else 0)


def _path(text: str) -> str:
    return bytes.fromhex(text.replace("\\x", "")).decode() if text.startswith("\\x") else text


class Disk:
    """What is below a directory after some system calls."""

    def __init__(self, root: Path) -> None:
        self.root = str(root)
        self.files: dict[str, File | str | int] = {}
        """A file; where a symbolic link leads; the mode of a directory."""

    def do(self, call: Call) -> None:  # noqa: C901, PLR0912 - one case for each kind of call
        """Carries out a call, if it is about something below the directory."""
        if not call.paths or not call.paths[-1].startswith(self.root) or ".lock" in call.paths[-1]:
            return
        path, here = call.paths[-1], self.files.get(call.paths[-1])
        match call.name:
            case "create" | "truncate":
                if here is None:
                    self.files[path] = File(mode=call.mode)
                elif isinstance(here, File) and call.name == "truncate":
                    here.data, here.synced = bytearray(), b""
            case "write" | "pwrite64" if isinstance(here, File):
                here.data += call.data
            case "fsync" | "fdatasync" if isinstance(here, File):
                here.synced = bytes(here.data)
            case "syncfs":
                for each in self.files.values():
                    if isinstance(each, File):
                        each.synced = bytes(each.data)
            case "rename":
                self._rename(call.paths[0], path)
            case "link":
                self.files[path] = self.files[call.paths[0]]
            case "symlink":
                self.files[path] = call.paths[0]
            case "mkdir":
                self.files[path] = call.mode
            case "unlink" | "rmdir":
                self.files.pop(path, None)
            case "chmod" | "fchmod":
                self._chmod(path, call.mode)

    def _rename(self, old: str, new: str) -> None:
        for path in [path for path in self.files if path == old or path.startswith(f"{old}/")]:
            self.files[new + path[len(old) :]] = self.files.pop(path)

    def _chmod(self, path: str, mode: int) -> None:
        here = self.files.get(path)
        if isinstance(here, File):
            here.mode = mode
        elif isinstance(here, int):
            self.files[path] = mode

    def unsynced(self) -> list[str]:
        """Returns the files that would lose bytes now."""
        return [
            path for path, each in self.files.items() if isinstance(each, File) and each.synced != each.data
        ]

    def write(self, directory: Path) -> None:
        """Makes `directory` as the root is after a power loss now."""
        shutil.rmtree(directory, ignore_errors=True)
        made: dict[int, Path] = {}
        modes: list[tuple[Path, int]] = []
        for path, each in sorted(self.files.items()):
            place = directory / path[len(self.root) :].lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(each, int):
                place.mkdir(exist_ok=True)
                modes.append((place, each))
            elif isinstance(each, str):
                place.symlink_to(each)
            elif id(each) in made:
                place.hardlink_to(made[id(each)])
            else:
                place.write_bytes(each.synced)
                modes.append((place, each.mode))
                made[id(each)] = place
        for place, mode in reversed(modes):
            place.chmod(mode)
