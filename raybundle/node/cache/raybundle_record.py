"""Records the state of all files below a directory of the cache, and finds those that have changed since.

The record of `DIRECTORY` is the file `DIRECTORY.files`. Its first line has a checksum of the others, and, if
the files may not have reached the disk, the machine's boot id: after a power loss nothing of them counts.
"""

from __future__ import annotations

import os
import shutil
import stat
import time
from contextlib import contextmanager
from hashlib import sha256

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    Lines = dict[str, tuple[str, str]]
    """State and SHA-256 of each file, by its path below the directory; of the directories too, `.` first."""

LARGE = 1 << 20
"""Bytes of a file above which it is data: an object of its own in a store, and a directory of its own here,
to which trees and scratches link. A link changes the ctime of a file, so that of data does not count."""
CHUNK = 1 << 20
"""Bytes that are hashed at a time."""
SYNC_SECONDS = 10.0
"""Time for a sync. Ray kills a worker that does not start in 60 s, and other programs may write a lot."""


def describe(status: os.stat_result, *, links: bool = False) -> str:
    """Returns the state of a file; without its ctime if `links` to it may be made and removed."""
    if stat.S_ISDIR(status.st_mode):
        return f"- {status.st_mtime_ns} - {status.st_ino} {status.st_mode:o}"
    changed = "-" if links else status.st_ctime_ns
    return f"{status.st_size} {status.st_mtime_ns} {changed} {status.st_ino} {status.st_mode:o}"


def is_same(file: str, state: str) -> bool:
    """Returns whether a file or directory is in its recorded state."""
    try:
        status = os.lstat(file)
    except OSError:
        return False
    return describe(status) == state or describe(status, links=True) == state


def differing(directory: str, lines: Lines) -> list[str]:
    """Returns the paths below `directory` that are not in their recorded state."""
    return [path for path, (state, _) in lines.items() if not is_same(f"{directory}/{path}", state)]


def digest(file: str) -> str:
    """Returns the SHA-256 of a file, or of where a link leads; `-` for anything else, or for nothing."""
    try:
        mode = os.lstat(file).st_mode
        if stat.S_ISLNK(mode):
            return sha256(os.fsencode(os.readlink(file))).hexdigest()
        if not stat.S_ISREG(mode):
            return "-"
        found = sha256()
        with open(file, "rb", buffering=0) as stream:
            while data := stream.read(CHUNK):
                found.update(data)
        return found.hexdigest()
    except FileNotFoundError:
        return "-"


def below(directory: str, path: str = ".") -> Iterator[str]:
    """Yields the path of each file and directory below `directory`, itself first. Links are not followed."""
    yield path
    entries = sorted(os.scandir(f"{directory}/{path}"), key=lambda entry: entry.name)
    for entry in entries:
        inside = entry.name if path == "." else f"{path}/{entry.name}"
        if entry.is_dir(follow_symlinks=False):
            yield from below(directory, inside)
        else:
            yield inside


def take(directory: str, known: Mapping[str, str], *, links: bool = False) -> Lines:
    """Returns the state of everything below `directory`.

    Args:
        directory: absolute path.
        known: SHA-256 by path of files that were verified just now; others are read.
        links: whether a large file may get links outside the cache's control.
    """
    lines: Lines = {}
    for path in below(directory):
        file = f"{directory}/{path}"
        status = os.lstat(file)
        large = links and status.st_size > LARGE
        lines[path] = describe(status, links=large), known.get(path) or digest(file)
    return lines


def states(directory: str, paths: Iterable[str]) -> Lines:
    """Returns the state of these paths below `directory`."""
    files = {path: f"{directory}/{path}" for path in paths}
    return {path: (describe(os.lstat(file)), digest(file)) for path, file in files.items()}


def note(directory: str, paths: Iterable[str]) -> None:
    """Records the new state of what the caller has written."""
    write(directory, {**(read(directory) or {}), **states(directory, paths)})


def write(directory: str, lines: Lines, *, synced: bool = True) -> None:
    """Writes the record of `directory` to the disk, in place of an earlier one."""
    body = os.fsencode("".join(f"{state}\t{found}\t{path}\n" for path, (state, found) in lines.items()))
    head = f"1 {_checksum(body)} {'-' if synced else _boot_id()}\n"
    replace(f"{directory}.files", head.encode() + body)


def replace(file: str, data: bytes) -> None:
    """Writes a file to the disk, in place of whatever has its name."""
    remove(f"{file}.new")
    with open(f"{file}.new", "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    if is_directory(file):
        remove(file)
    os.replace(f"{file}.new", file)


def read(directory: str) -> Lines | None:
    """Returns what was recorded; None if the record is missing or damaged, or a power loss made it void."""
    try:
        with open(f"{directory}.files", "rb") as stream:
            head, _, body = stream.read().partition(b"\n")
    except OSError:
        return None
    words = head.decode(errors="replace").split(" ")
    if words[:2] != ["1", _checksum(body)] or words[2] not in ("-", _boot_id()):
        return None
    rows = (line.split("\t", 2) for line in os.fsdecode(body).split("\n") if line)
    return {path: (state, found) for state, found, path in rows}


def is_right(directory: str) -> bool:
    """Returns whether each file below `directory` has its recorded bytes; removes what was added."""
    lines = read(directory)
    return lines is not None and renew(directory, lines, lines)


def renew(directory: str, expected: Lines, own: Lines) -> bool:
    """Records the state of what has changed if its bytes are right; otherwise returns False.

    Reads only files whose state has changed, and removes what was added to directories that have changed.

    Args:
        directory: absolute path.
        expected: state and SHA-256 of everything below it.
        own: those that are in the record of `directory`.
    """
    changed = differing(directory, expected)
    for path in changed:
        file, (state, found) = f"{directory}/{path}", expected[path]
        if path not in own or digest(file) != found or state.startswith("- ") != is_directory(file):
            return False
        if is_directory(file):
            os.chmod(file, 0o700)
            for name in os.listdir(file):
                if os.path.normpath(f"{path}/{name}") not in expected:
                    remove(f"{file}/{name}")
        if not os.path.islink(file):
            os.chmod(file, stat.S_IMODE(int(state.rpartition(" ")[2], 8)))
    for path in changed:
        links = not own[path][0].startswith("- ") and " - " in own[path][0]
        own[path] = describe(os.lstat(f"{directory}/{path}"), links=links), own[path][1]
    if changed:
        write(directory, own)
    return True


def is_directory(path: str) -> bool:
    """Returns whether `path` is a directory, and not a link to one."""
    return os.path.isdir(path) and not os.path.islink(path)


def remove(path: str) -> None:
    """Removes a file, a link, or a directory with everything in it, if there is one."""
    if is_directory(path):
        for directory, _, _ in os.walk(path):
            os.chmod(directory, 0o700)
        shutil.rmtree(path, ignore_errors=True)
    elif os.path.lexists(path):
        os.unlink(path)


@contextmanager
def relinking(directories: Iterable[str]) -> Iterator[None]:
    """Records the new ctimes of files whose links the caller changes, if their states were right before."""
    unchanged: dict[str, tuple[Lines, Collection[str]]] = {}
    for directory in directories:
        lines = read(directory)
        if lines is not None:
            unchanged[directory] = lines, lines.keys() - set(differing(directory, lines))
    try:
        yield
    finally:
        for directory, (lines, paths) in unchanged.items():
            _follow_links(directory, lines, paths)


def _follow_links(directory: str, lines: Lines, paths: Collection[str]) -> None:
    changed = False
    for path in paths:
        state, found = lines[path]
        try:
            status = os.lstat(f"{directory}/{path}")
        except OSError:
            continue
        size, mtime, _, *rest = state.split(" ")
        now = describe(status)
        if now != state and describe(status, links=True) == " ".join([size, mtime, "-", *rest]):
            lines[path] = now, found
            changed = True
    if changed:
        write(directory, lines)


def sync(directory: str, seconds: float = SYNC_SECONDS) -> bool:
    """Writes what is below `directory` to the disk; returns whether that was done in time."""
    return Sync(directory, seconds).done()


class Sync:
    """Writes what is below a directory to the disk, while this process goes on."""

    def __init__(self, directory: str, seconds: float = SYNC_SECONDS) -> None:
        """Starts a child process that waits for the disk: nothing can interrupt a sync.

        It has no lock of this process.
        """
        self._until = time.monotonic() + seconds
        self._reading, writing = os.pipe()
        self._child = os.fork()
        if self._child == 0:
            try:
                os.closerange(0, writing)
                os.closerange(writing + 1, 1 << 16)
                sync_now(directory)
                os.write(writing, b"1")
            finally:
                os._exit(0)
        os.close(writing)

    def done(self) -> bool:
        """Returns whether it was done in time, which it waits for."""
        import select

        try:
            if not select.select([self._reading], [], [], max(0, self._until - time.monotonic()))[0]:
                return False
            done = os.read(self._reading, 1) == b"1"
        finally:
            os.close(self._reading)
        try:
            os.waitpid(self._child, 0)
        except ChildProcessError:
            pass  # SIGCHLD is ignored, so the kernel has reaped the child
        return done


def sync_now(directory: str) -> None:
    """Syncs the file system if the platform can: for 1,000 files 20 ms instead of 190 ms (measured)."""
    try:
        import ctypes

        sync_file_system: Callable[[int], int] = ctypes.CDLL(None, use_errno=True).syncfs
    except (ImportError, OSError, AttributeError):
        for path in below(directory):
            _sync_one(f"{directory}/{path}")
        return
    descriptor = os.open(directory, os.O_RDONLY)
    if sync_file_system(descriptor) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), directory)


def _sync_one(file: str) -> None:
    if not os.path.islink(file):
        descriptor = os.open(file, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)


def _checksum(body: bytes) -> str:
    import _imp  # a hash without the cost of `hashlib`

    return _imp.source_hash(1, body).hex()


def _boot_id() -> str:
    """Returns what changes when the machine starts again; empty where it does not tell."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as stream:
            return stream.read().strip()
    except OSError:
        return ""
