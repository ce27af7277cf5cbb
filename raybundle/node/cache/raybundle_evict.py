"""Keeps the cache of a node within its bound: what no process holds goes, the longest unused first.

A tree and an environment have a lock each, held shared by the processes that run from them; its time is
their last use. A layer goes with the last environment that links to it. Runs with `materialise.lock` held.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

CACHE_BYTES = 10 << 30
"""Bytes of files in the trees and layers of a node; RAYBUNDLE_CACHE_BYTES of the node is another bound."""


def make_room(private: str, needed: int, keep: Collection[str]) -> None:
    """Removes what is not in use until `needed` more bytes are within the bound, and on the disk.

    What cannot be removed stays: a bundle that is larger than the bound still runs.

    Args:
        private: the cache.
        needed: bytes of the files that are about to be written.
        keep: absolute paths of the tree, the environment and the layers that they are for.

    Raises:
        RuntimeError: RAYBUNDLE_CACHE_BYTES is no number.
    """
    bound = _bound()
    used = _used(private)
    allowed = min(bound - needed, used + _free(private) - needed)
    if used <= allowed:
        return
    _remove_orphans(private, keep)
    for path in _by_last_use(private):
        used = _used(private)
        if used <= allowed:
            return
        if path not in keep and _remove_unused(path):
            _remove_orphans(private, keep)


def _bound() -> int:
    text = os.environ.get("RAYBUNDLE_CACHE_BYTES", str(CACHE_BYTES))
    if not text.isdecimal():
        raise RuntimeError(f"variable RAYBUNDLE_CACHE_BYTES: expected a number of bytes, found {text}")
    return int(text)


def _free(private: str) -> int:
    status = os.statvfs(private)
    return status.f_bavail * status.f_frsize


def _used(private: str) -> int:
    """Returns the bytes of all trees, layers and scratches; what an environment links to counts once.

    Of a scratch only what it was filled with counts: what a job writes is its own, and goes with it.
    """
    trees = sum(_recorded_bytes(path) for path in _entries(f"{private}/trees"))
    layers: dict[str, int] = {}
    for path in _entries(f"{private}/environments"):
        layers.update(_layers_of(path))
    orphans = [path for path in _entries(f"{private}/layers") if path not in layers]
    scratches = sum(_copied_bytes(path) for path in _entries(f"{private}/jobs"))
    return trees + sum(layers.values()) + sum(map(_bytes_below, orphans)) + scratches


def _entries(parent: str) -> Iterator[str]:
    """Yields the directories below `parent`; beside them stand locks and lists."""
    return (entry.path for entry in os.scandir(parent) if entry.is_dir(follow_symlinks=False))


def _recorded_bytes(tree: str) -> int:
    return _bytes_in(f"{tree}/record")


def _copied_bytes(scratch: str) -> int:
    return _bytes_in(f"{scratch}.job")


def _bytes_in(record: str) -> int:
    try:
        with open(record, encoding="utf-8", errors="surrogateescape") as stream:
            return next((int(line[6:]) for line in stream if line.startswith("bytes ")), 0)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTDIR):
            raise
        return 0


def _layers_of(environment: str) -> dict[str, int]:
    """Returns the bytes of each layer of an environment, by its absolute path."""
    parent = os.path.dirname(os.path.dirname(environment))
    try:
        with open(f"{environment}.layers", encoding="utf-8") as stream:
            lines = stream.read().split("\n")
    except FileNotFoundError:
        return {}
    return {f"{parent}/layers/{line.split(' ')[1]}": int(line.split(" ")[0]) for line in lines if line}


def _bytes_below(directory: str) -> int:
    return sum(
        os.lstat(f"{folder}/{name}").st_size for folder, _, names in os.walk(directory) for name in names
    )


def _by_last_use(private: str) -> list[str]:
    """Returns all trees and environments, the longest unused first."""
    paths = [*_entries(f"{private}/trees"), *_entries(f"{private}/environments")]
    return sorted(paths, key=lambda path: (_last_use(path), path))


def _last_use(path: str) -> int:
    try:
        return os.stat(f"{path}.lock").st_mtime_ns
    except FileNotFoundError:
        return 0  # whoever made it was killed before it could use it


def _remove_unused(path: str) -> bool:
    with open(f"{path}.lock", "a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        _remove_at_once(path)
        return True


def _remove_orphans(private: str, keep: Collection[str]) -> None:
    """Removes the layers that no environment has links to."""
    used = set(keep)
    for path in _entries(f"{private}/environments"):
        used.update(_layers_of(path))
    for path in list(_entries(f"{private}/layers")):
        if path.removesuffix(".partial") not in used:
            _remove_at_once(path)


def _remove_at_once(path: str) -> None:
    """Takes a directory out of the way by one rename, so that nobody ever sees a part of it."""
    os.rename(path, f"{path}.evicted")
    remove_tree(f"{path}.evicted")
    if os.path.exists(f"{path}.layers"):
        os.unlink(f"{path}.layers")


def remove_tree(tree: str) -> None:
    """Removes a directory with all below it, whose folders nobody may write to."""
    for directory, _, _ in os.walk(tree):
        os.chmod(directory, 0o700)
    shutil.rmtree(tree, ignore_errors=True)


def remove_leftovers(private: str) -> None:
    """Removes what processes left that were killed while they held the lock, or that failed.

    Layers that were begun stay: the next process that needs them goes on with them, and where room is needed
    they go as others that no environment has links to.
    """
    for parent in ("trees", "boot", "layers", "environments"):
        ended = (".evicted",) if parent == "layers" else (".partial", ".evicted")
        for entry in list(os.scandir(f"{private}/{parent}")):
            if entry.name.endswith(ended):
                remove_tree(entry.path)
