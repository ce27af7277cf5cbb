"""Makes a job's scratch on this node from the verified tree, once per job, and starts its reaper."""

from __future__ import annotations

import fcntl
import json
import os
import sys
from contextlib import contextmanager

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from raybundle.node.raybundle_path import Places
    from raybundle.node.stub import Stub

LARGE = 16 << 20
"""Bytes from which a file is cloned or linked instead of copied, if that is safe for the verified file."""
EMPTY = ".raybundle-empty"
"""A file that stands for its directory, which is empty: an archive has files only. A job never sees it."""
CHUNK = 1 << 20
"""Bytes that are copied at a time."""
FICLONE = 0x40049409
"""Makes two files share their blocks until one of them is written to: `ioctl_ficlone(2)`."""
INHERITED = ("RAY_", "HOME", "PATH", "LANG", "LC_", "TMPDIR", "LD_LIBRARY_PATH", "SSL_")
"""Prefixes of the variables that a reaper needs to ask Ray about the job. Others may be secrets."""


def make(stub: Stub, scratch: str, places: Places, about: list[str]) -> int:
    """Makes `scratch` unless another process does, and returns the descriptor of a shared lock on it.

    Args:
        stub: the module `sitecustomize`.
        scratch: absolute path.
        places: what the job runs from, compared with its records before this returns.
        about: lines for the reaper.

    Raises:
        RuntimeError: the scratch cannot be made.
    """
    jobs = os.path.dirname(scratch)
    try:
        os.makedirs(jobs, 0o700, exist_ok=True)
        # A shared lock: an exclusive one would wait until all other processes of the job have ended.
        held: int = stub.load("raybundle_scratch").lock(f"{scratch}.lock", os.O_RDWR | os.O_CREAT)
        with open(f"{jobs}/making", "w") as making:
            fcntl.flock(making, fcntl.LOCK_EX)
            _make_locked(stub, scratch, places, about)
    except OSError as error:
        status = os.statvfs(stub.PRIVATE)
        free = f"{status.f_bavail * status.f_frsize >> 20} MiB are free in {stub.PRIVATE}"
        raise RuntimeError(f"file {error.filename or scratch}: {error.strerror} ({free})") from error
    return held


def _make_locked(stub: Stub, scratch: str, places: Places, about: list[str]) -> None:
    if os.path.isdir(scratch):
        return
    for job in _without_reaper(os.path.dirname(scratch)):
        _start_reaper(stub, job)
    with open(f"{scratch}.job", "w", encoding="utf-8", errors="surrogateescape") as stream:
        stream.writelines(f"{line}\n" for line in [*about, *_machine()])
    _start_reaper(stub, f"{scratch}.job")
    partial = f"{scratch}.partial"
    if os.path.lexists(partial):  # a killed process has left it
        stub.load("raybundle_record").remove(partial)
    os.mkdir(partial, 0o700)
    check = stub.load("raybundle_check")
    if not all(check.is_unchanged(stub, os.path.realpath(link)) for link in places.links):
        places.link_anew()
    check.check(stub, places.tree, places.environment)
    copied = Filler(f"{places.tree}/project", partial).fill(_project_files(places.tree))
    with open(f"{scratch}.job", "a", encoding="utf-8") as stream:
        stream.write(f"bytes {copied}\n")
    os.rename(partial, scratch)


class Filler:
    """Fills a directory with the project's files. The job may write to them, as in a checkout."""

    def __init__(self, source: str, target: str) -> None:
        """Takes the project in a verified tree, and an empty directory."""
        self._source, self._target = source, target
        self._made = {target}
        self._clones = True
        self._links = os.geteuid() != 0

    def fill(self, paths: Iterable[str]) -> int:
        """Makes the files with these paths below the project, and returns the number of bytes copied."""
        return sum(map(self._make, paths))

    def _make(self, path: str) -> int:
        """Clones, links or copies a file, and returns the number of bytes copied.

        A link leads to the verified file, which is read-only. Root could write to it, so root gets a copy.
        """
        source, target = f"{self._source}/{path}", f"{self._target}/{path}"
        directory = os.path.dirname(target)
        if directory not in self._made:
            os.makedirs(directory, exist_ok=True)
            self._made.add(directory)
        if os.path.basename(path) == EMPTY:
            return 0
        status = os.stat(source)
        large = status.st_size >= LARGE
        if large and self._clones and self._clone(source, target, status):
            return 0
        if large and self._links:
            os.link(source, target)
            return 0
        with _both(source, target, status) as (read, written):
            return _copy(read, written)

    def _clone(self, source: str, target: str, status: os.stat_result) -> bool:
        with _both(source, target, status) as (read, written):
            try:
                fcntl.ioctl(written, FICLONE, read)
            except OSError:  # the file system cannot clone: do not ask again
                self._clones = False
                os.unlink(target)
        return self._clones


@contextmanager
def _both(source: str, target: str, status: os.stat_result) -> Iterator[tuple[int, int]]:
    """Opens `source` and a new file `target`, which is executable if `source` is."""
    read = os.open(source, os.O_RDONLY)
    try:
        mode = 0o777 if status.st_mode & 0o100 else 0o666
        written = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        try:
            yield read, written
        finally:
            os.close(written)
    finally:
        os.close(read)


def _copy(source: int, target: int) -> int:
    copied = 0
    while data := memoryview(os.read(source, CHUNK)):
        while data:  # a nearly full disk takes a part of the data
            done = os.write(target, data)
            copied, data = copied + done, data[done:]
    return copied


def _project_files(tree: str) -> Iterator[str]:
    """Yields the path of each file of the project, relative to it."""
    with open(f"{tree}/manifest.json", encoding="utf-8") as stream:
        files = json.load(stream)["files"]
    for file in files:
        folder, _, path = os.fsdecode(file["path"].encode()).partition("/")  # names on the disk are UTF-8
        if folder == "project":
            yield path


def _machine() -> Iterator[str]:
    """Yields what gives a pid its meaning: the boot id of this machine, and the namespace of pids."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as stream:
            yield f"machine {stream.read().strip()}"
        yield f"pids {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return


def _without_reaper(jobs: str) -> list[str]:
    """Returns the job files on this node that have no reaper, such as after all processes were killed."""
    return [each.path for each in os.scandir(jobs) if each.name.endswith(".job") and _is_free(each.path)]


def _is_free(file: str) -> bool:
    """Returns whether a job file exists and no reaper holds its lock."""
    try:
        with open(file, "rb") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, FileNotFoundError):
        return False
    return True


def _start_reaper(stub: Stub, job: str) -> None:
    """Starts a reaper: a process without a parent to wait for it, and without inherited open files."""
    program = f"{stub.PRIVATE}/boot/{os.environ['RAYBUNDLE_BOOT']}/raybundle_reaper.py"
    environ = {name: value for name, value in os.environ.items() if name.startswith(INHERITED)}
    child = os.fork()
    if child == 0:
        try:
            os.setsid()
            if os.fork() == 0:
                os.chdir("/")
                _close_all()
                words = [sys.executable, "-I", "-S", program, job]
                os.execve(sys.executable, words, environ)  # noqa: S606 - the interpreter that runs this
        finally:
            os._exit(0)
    os.waitpid(child, 0)


def _close_all() -> None:
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(3):
        os.dup2(null, descriptor)
    for name in os.listdir("/dev/fd"):
        if int(name) > 2:  # noqa: PLR2004 - stderr is the last that stays
            try:
                os.close(int(name))
            except OSError:  # the descriptor of the listing itself
                pass
