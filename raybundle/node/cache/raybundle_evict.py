"""Keeps the cache of a node within its limit: removes what no process uses, least recently used first.

Each tree and each environment has a lock file. Processes that run from it hold a shared lock, and the mtime
of the file is the last use. A layer is removed with the last environment that links to it, data with the last
tree. The caller holds `materialise.lock`.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from raybundle.node.stub import Stub

LISTS = (".files", ".layers", ".files.new", ".layers.new")
"""Ends of the names of files beside a directory: its record and its layers, also while they are written."""
ABANDONED = 86400
"""Seconds after its last byte at which a fetched archive, or a part of one, is no longer waited for."""
UNUSED = 30 * 86400
"""Seconds after its last use at which a copy of a boot, a directory of links or a lock file goes."""
CACHE_BYTES = 10 << 30
"""Limit for files in trees, layers, scratches and `fetched`, in bytes; RAYBUNDLE_CACHE_BYTES overrides it."""


def make_room(stub: Stub, needed: int, keep: Collection[str]) -> None:
    """Removes unused directories until `needed` more bytes fit within the limit and on the disk.

    If that is not enough, the job runs all the same: a bundle may be larger than the limit.

    Args:
        stub: the module `sitecustomize`.
        needed: bytes of the files that will be written next.
        keep: absolute paths of the tree, the environment and the layers that must stay.

    Raises:
        RuntimeError: RAYBUNDLE_CACHE_BYTES is not a number.
    """
    private = stub.PRIVATE
    used = _used(private)
    allowed = min(_limit(), used + _free(private)) - needed
    if used <= allowed:
        return
    remove_orphans(stub, keep)
    for path in _by_last_use(private):
        used = _used(private)
        if used <= allowed:
            return
        if path not in keep and remove_unused(stub, path):
            remove_orphans(stub, keep)


def _limit() -> int:
    text = os.environ.get("RAYBUNDLE_CACHE_BYTES", str(CACHE_BYTES))
    if not text.isdecimal():
        raise RuntimeError(f"variable RAYBUNDLE_CACHE_BYTES: expected a number of bytes, found {text}")
    return int(text)


def _free(private: str) -> int:
    status = os.statvfs(private)
    return status.f_bavail * status.f_frsize


def _used(private: str) -> int:
    """Returns the bytes of all trees, layers, data, scratches, and of what is being fetched.

    What several have links to counts once.

    A scratch counts with the files copied into it from the tree, not with those that the job writes.
    """
    trees = sum(_recorded_bytes(f"{path}/record") for path in _entries(f"{private}/trees"))
    layers: dict[str, int] = {}
    for path in _entries(f"{private}/environments"):
        layers.update(layers_of(path))
    orphans = [path for path in _entries(f"{private}/layers") if path not in layers]
    scratches = sum(_recorded_bytes(f"{path}.job") for path in _entries(f"{private}/jobs"))
    rest = sum(map(_bytes_below, (*orphans, *_entries(f"{private}/data"), f"{private}/fetched")))
    return trees + sum(layers.values()) + scratches + rest


def _entries(parent: str) -> Iterator[str]:
    """Yields the directories in `parent`, without lock files and lists."""
    return (entry.path for entry in os.scandir(parent) if entry.is_dir(follow_symlinks=False))


def _recorded_bytes(record: str) -> int:
    try:
        with open(record, encoding="utf-8", errors="surrogateescape") as stream:
            found = (line[6:].strip() for line in stream if line.startswith("bytes "))
            return next((int(each) for each in found if each.isdecimal()), 0)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.EISDIR):
            raise
        return 0


def layers_of(environment: str) -> dict[str, int]:
    """Returns the bytes of each layer of an environment, by its absolute path; nothing of a damaged list."""
    parent = os.path.dirname(os.path.dirname(environment))
    try:
        with open(f"{environment}.layers", encoding="utf-8") as stream:
            rows = [line.split(" ") for line in stream.read().split("\n") if line]
        return {f"{parent}/layers/{name}": int(size) for size, name in rows}
    except (OSError, ValueError):
        return {}


def _bytes_below(directory: str) -> int:
    return sum(_size(f"{folder}/{name}") for folder, _, names in os.walk(directory) for name in names)


def _size(file: str) -> int:
    try:
        return os.lstat(file).st_size
    except FileNotFoundError:  # a process that fetches has renamed it
        return 0


def _by_last_use(private: str) -> list[str]:
    """Returns all trees and environments, least recently used first."""
    paths = [*_entries(f"{private}/trees"), *_entries(f"{private}/environments")]
    return sorted(paths, key=lambda path: (_last_use(path), path))


def _last_use(path: str) -> int:
    try:
        return os.stat(f"{path}.lock").st_mtime_ns
    except FileNotFoundError:
        return 0  # the process that made it was killed before it could lock it


def remove_unused(stub: Stub, path: str) -> bool:
    """Removes a tree or an environment unless a process uses it; returns whether it is removed."""
    with open(f"{path}.lock", "a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        with stub.load("raybundle_record").relinking(layers_of(path)):
            _remove_at_once(stub, path)
        return True


def remove_orphans(stub: Stub, keep: Collection[str]) -> None:
    """Removes the layers and data that no environment, tree or scratch links to."""
    used = set(keep)
    for path in _entries(f"{stub.PRIVATE}/environments"):
        used.update(layers_of(path))
    for path in list(_entries(f"{stub.PRIVATE}/layers")):
        if path.removesuffix(".partial") not in used:
            _remove_at_once(stub, path)
    for path in list(_entries(f"{stub.PRIVATE}/data")):
        if path not in used and not _is_linked(f"{path}/content"):
            _remove_at_once(stub, path)


def _is_linked(file: str) -> bool:
    """Returns whether a tree or a scratch has a link to a file."""
    try:
        return os.lstat(file).st_nlink > 1
    except OSError:
        return False


def _remove_at_once(stub: Stub, path: str) -> None:
    """Removes a directory. It is renamed first, so that no process sees a part of it."""
    os.rename(path, f"{path}.evicted")
    stub.load("raybundle_record").remove(f"{path}.evicted")
    for end in LISTS:
        stub.load("raybundle_record").remove(f"{path}{end}")


def remove_leftovers(stub: Stub) -> None:
    """Removes what failed or killed processes have left.

    Unfinished layers stay: the next process that needs them completes them. If room is needed, they are
    removed like other layers without an environment.
    """
    remove = stub.load("raybundle_record").remove
    _remove_fetched(f"{stub.PRIVATE}/fetched", remove)
    _remove_unused(stub.PRIVATE, remove)
    for parent in ("trees", "layers", "environments", "data"):
        ended = (".evicted",) if parent == "layers" else (".partial", ".evicted")
        for entry in list(os.scandir(f"{stub.PRIVATE}/{parent}")):
            stray = entry.name.endswith(LISTS) and not _is_of_something(entry.path)
            if stray or entry.name.endswith(ended):
                remove(entry.path)


def _remove_fetched(directory: str, remove: Callable[[str], object]) -> None:
    """Removes what killed fetches have left: a day later, because a fetch outlives its worker.

    Nothing goes while a process fetches: it may take longer than that, and a clock may be set meanwhile.
    """
    old = [entry.path for entry in os.scandir(directory) if _age(entry) > ABANDONED]
    if old:
        with open(f"{directory}.lock", "a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            for path in old:
                remove(path)


def _remove_unused(private: str, remove: Callable[[str], object]) -> None:
    """Removes copies of boots, links to Ray, and lock files of what is gone, after a month.

    A job that needs them makes them anew. Each process of a job has a shared lock on the cache: while one
    lives, nothing goes.
    """
    old = list(_unused(private))
    descriptor = os.open(private, os.O_RDONLY)
    try:
        if old:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for path in old:
            remove(path)
    except BlockingIOError:
        pass
    finally:
        os.close(descriptor)


def _unused(private: str) -> Iterator[str]:
    for parent in ("boot", "links", "jobs", "trees", "environments"):
        if not os.path.isdir(f"{private}/{parent}"):
            continue  # an earlier version had none
        entries = list(os.scandir(f"{private}/{parent}"))
        names = {entry.name for entry in entries}
        young = {_stem(entry.name) for entry in entries if _age(entry) <= UNUSED}
        for entry in entries:
            if parent in ("boot", "links"):
                used = entry.name == "lock" or _stem(entry.name) in young
            else:
                stem = entry.name.removesuffix(".lock")
                used = stem == entry.name or not names.isdisjoint((stem, f"{stem}.job", f"{stem}.partial"))
            if not used and _age(entry) > UNUSED:
                yield entry.path


def _stem(name: str) -> str:
    """Returns what a boot and its records, or a link and the directories that it led to, have in common."""
    return name.lstrip(".").partition(".")[0].partition("-")[0]


def _age(entry: os.DirEntry[str]) -> float:
    """Returns the seconds since the last change; 0 if a process that fetches has removed it."""
    try:
        return time.time() - entry.stat(follow_symlinks=False).st_mtime
    except OSError:
        return 0


def _is_of_something(file: str) -> bool:
    """Returns whether a list or record belongs to a directory, if only to an unfinished one."""
    path = file.removesuffix(".new").rpartition(".")[0]
    return os.path.isdir(path) or os.path.isdir(f"{path}.partial")
