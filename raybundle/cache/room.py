"""Makes room in a folder of the cache: what was used longest ago goes, but nothing that may be in use."""

from __future__ import annotations

import contextlib
import os
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

IN_USE = 3600 * 10**9
"""Nanoseconds after its last use in which a running build may still need a file."""
ABANDONED = 24 * IN_USE
"""Nanoseconds after its last change at which unfinished work belongs to no running build."""
_HIDDEN = "."
"""Starts the name of a file or directory that is being made or removed."""

V = TypeVar("V")


def make_room(
    folder: Path, most: int, now: int, in_use: int = 0, weigh: Callable[[os.stat_result], int] | None = None
) -> None:
    """Removes what was used longest ago from a folder that holds too much, down to three quarters of `most`.

    Unfinished work has a hidden name. It does not count, and is removed a day after its last change.

    Args:
        folder: files and directories, each with the time of its last use as its modification time.
        most: entries, or their total weight.
        now: nanoseconds since the epoch.
        in_use: an entry used within this many nanoseconds stays.
        weigh: returns the weight of an entry; by default, each weighs 1.
    """
    names: list[str] = []
    with contextlib.suppress(OSError):  # nothing is kept there
        names = os.listdir(folder)  # noqa: PTH208 - up to thousands, and most often only counted
    if weigh is None and len(names) <= most and not any(name.startswith(_HIDDEN) for name in names):
        return
    found = sorted(_found(folder, names), key=lambda each: each[1].st_mtime_ns)
    weights = {
        path: 1 if weigh is None else weigh(status)
        for path, status in found
        if not path.name.startswith(_HIDDEN)
    }
    excess = sum(weights.values()) - most
    if excess > 0:
        excess += most // 4  # else each of the next writes would have to make room again
    for path, status in found:
        unused = now - status.st_mtime_ns
        if (excess > 0 and unused >= in_use) if path in weights else unused > ABANDONED:
            with contextlib.suppress(OSError):
                if os.lstat(path).st_mtime_ns == status.st_mtime_ns:  # else another process uses it by now
                    excess -= weights.get(path, 0)
                    remove(path)


def _found(folder: Path, names: Iterable[str]) -> Iterator[tuple[Path, os.stat_result]]:
    """Yields the entries of a folder, except those that another process removes at the same time."""
    for name in names:
        with contextlib.suppress(OSError):
            yield folder / name, os.lstat(folder / name)


def touch(kept: Path | int) -> bool:
    """Notes that a file or directory is in use now; returns whether it exists."""
    try:
        os.utime(kept)
    except OSError as error:
        return not isinstance(error, FileNotFoundError)  # a cache may be read-only
    return True


def remove(path: Path) -> None:
    """Removes a file or directory, if it exists; a directory loses its name before its content."""
    try:
        if path.is_symlink() or not path.is_dir():
            path.unlink()
            return
        doomed = path.with_name(f"{_HIDDEN}removed-{path.name}-{os.getpid()}")
        path.rename(doomed)
    except FileNotFoundError:
        return
    import shutil  # noqa: PLC0415 - start-up: directories are seldom removed

    shutil.rmtree(doomed, ignore_errors=True)


def latest(known: Mapping[str, V], used: Mapping[str, V], most: int) -> dict[str, V]:
    """Returns the rows with `used` at the end; of more than `most`, drops the first ones that are unused."""
    rows = {**{key: row for key, row in known.items() if key not in used}, **used}
    return dict(islice(rows.items(), max(0, len(rows) - max(most, len(used))), None))
