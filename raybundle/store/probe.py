"""Finds out by trying what a store does for several writers, and what follows if it does not."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from raybundle.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from raybundle.store.base import Store

FOLDER = "probe"
"""Where the objects of a probe are, each probe in a folder of its own. They are removed at its end."""
ABANDONED = timedelta(hours=1)
"""Age at which a folder belongs to a probe that was killed."""
WRITERS, ROUNDS = 8, 3
"""Clients that create the same object at the same time, and how often."""
LARGE_PIECES = 24
"""MiB of the large object: more than a part of an upload."""
CLOCK = timedelta(minutes=5)
"""Largest difference of the clocks: the shortest time that anything is decided by."""
ODD_NAMES = ("a b", "schön-日本", "100%-a%20b", "a+b&c=d", "a#b?d", "x:y~z!")

_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Property:
    """Something that a store should do."""

    name: str
    holds: bool
    found: str
    """What was seen."""
    follows: str
    """What raybundle does not do, or what to avoid, if it does not hold; else empty."""


@dataclass(frozen=True, slots=True)
class Probed:
    """What a store does."""

    store: str
    properties: tuple[Property, ...]
    left: tuple[str, ...]
    """Keys of objects that could not be removed."""

    @property
    def ok(self) -> bool:
        """Whether it does all that it should."""
        return all(each.holds for each in self.properties)


class _MissingError(Exception):
    """The store does not do it; the text says what was seen."""


class _EndsEarlyError(Exception):
    """The content of an object that is never whole."""


@dataclass(frozen=True, slots=True)
class _Scene:
    store: Store
    others: tuple[Store, ...]
    """The same store, as other clients see it."""
    folder: str

    def key(self, name: str) -> str:
        return f"{self.folder}/{name}"


def probe(open_again: Callable[[], Store]) -> Probed:
    """Returns what a store does, after a few dozen requests; what they wrote is removed.

    Args:
        open_again: opens the store, each time with a new client.

    Raises:
        StoreError: it cannot be read or written at all.
    """
    store = open_again()
    _sweep(store)
    scene = _Scene(store, tuple(open_again() for _ in range(WRITERS)), f"{FOLDER}/{uuid.uuid4().hex}")
    left: list[str] = []
    try:
        _read_and_write(scene)
        found = tuple(_try(scene, *each) for each in _CHECKS)
    finally:
        left += _clean(scene)
    return Probed(store.url, found, tuple(left))


def _try(scene: _Scene, name: str, check: Callable[[_Scene], str], follows: str) -> Property:
    try:
        return Property(name, holds=True, found=check(scene), follows="")
    except (_MissingError, StoreError) as error:
        return Property(name, holds=False, found=str(error), follows=follows)


def _read_and_write(scene: _Scene) -> None:
    for name, data in (("small", os.urandom(1000)), ("empty", b"")):
        scene.store.put_new(scene.key(name), data)
        if scene.store.get(scene.key(name)) != data:
            raise StoreError(f"{scene.store.url} does not return what was written to it")


def _created_once(scene: _Scene) -> str:
    for name in ("small", "empty"):
        before = scene.store.get(scene.key(name))
        created = scene.others[0].put_new(scene.key(name), b"other")
        if created or scene.store.get(scene.key(name)) != before:
            raise _MissingError("a second put replaces the object: the server ignores the condition")
    return "a second put is refused"


def _one_winner(scene: _Scene) -> str:
    def write(number: int, key: str) -> bool:
        return scene.others[number].put_new(key, b"%d" % number) is not None

    with ThreadPoolExecutor(WRITERS) as pool:
        for turn in range(ROUNDS):
            key = scene.key(f"race-{turn}")
            won = list(pool.map(write, range(WRITERS), [key] * WRITERS))
            if won.count(True) != 1:
                raise _MissingError(f"{won.count(True)} of {WRITERS} simultaneous writers succeed")
            if scene.store.get(key) != b"%d" % won.index(True):
                raise _MissingError("the object is not that of the writer that succeeded")
    if not scene.store.exclusive:
        raise _MissingError("the driver looks, and then writes")
    return f"1 of {WRITERS} simultaneous writers succeeds, {ROUNDS} times"


def _whole(scene: _Scene) -> str:
    def half() -> Iterator[bytes]:
        yield from (bytes(_PIECE) for _ in range(LARGE_PIECES))
        raise _EndsEarlyError

    key = scene.key("half")
    with contextlib.suppress(_EndsEarlyError):
        scene.store.put_new_chunks(key, half)
    if scene.others[0].size(key) is not None or key in scene.others[0].keys(key):
        raise _MissingError("an upload that ends early leaves a part of the object")
    if not scene.store.exclusive:
        raise _MissingError("the driver writes in place")
    return "an upload that ends early leaves nothing"


def _listed(scene: _Scene) -> str:
    keys = [scene.key(f"listed/{number}") for number in range(5)]
    for key in keys:
        scene.store.put_new(key, b"")
        if key not in scene.others[0].keys(scene.key("listed/")):
            raise _MissingError("a list does not show what was just written")
    scene.store.remove(keys[0])
    if scene.others[0].keys(scene.key("listed/")) != keys[1:]:
        raise _MissingError("a list shows what was just removed")
    return "a list shows at once what another client wrote or removed"


def _large(scene: _Scene) -> str:
    pieces = [os.urandom(_PIECE) for _ in range(LARGE_PIECES)]
    begin = time.monotonic()
    scene.store.put_new_chunks(scene.key("large"), lambda: pieces)
    sent, found = time.monotonic(), hashlib.sha256()
    for piece in scene.others[0].pieces(scene.key("large")):
        found.update(piece)
    read = time.monotonic()
    if found.digest() != hashlib.sha256(b"".join(pieces)).digest():
        raise _MissingError("it comes back with other bytes")
    return f"{LARGE_PIECES} MiB: {_speed(sent - begin)} up, {_speed(read - sent)} down"


def _speed(seconds: float) -> str:
    return f"{LARGE_PIECES / max(seconds, 0.001):.0f} MiB/s"


def _ranges(scene: _Scene) -> str:
    size = LARGE_PIECES * _PIECE
    if scene.store.size(scene.key("large")) != size:
        raise _MissingError("the size of a large object is wrong")
    whole = b"".join(scene.store.pieces(scene.key("large")))
    for start in (1, size // 2 + 1, size - 1):
        if b"".join(scene.others[0].pieces(scene.key("large"), start)) != whole[start:]:
            raise _MissingError(f"a read that begins at byte {start} returns other bytes")
    return "a read can begin anywhere"


def _times(scene: _Scene) -> str:
    found = [each for each in scene.store.entries(scene.folder) if each.key == scene.key("small")]
    if not found:
        raise _MissingError("a list does not show the object")
    apart = abs(datetime.now(timezone.utc) - found[0].modified)
    if apart > CLOCK:
        raise _MissingError(f"the clocks of store and client are {apart.total_seconds():.0f} s apart")
    return f"within {CLOCK.total_seconds():.0f} s of this machine's clock"


def _names(scene: _Scene) -> str:
    keys = sorted(scene.key(f"odd/{name}/{name}") for name in ODD_NAMES)
    for key in keys:
        scene.store.put_new(key, key.encode())
    if scene.others[0].keys(scene.key("odd/")) != keys:
        raise _MissingError("a list shows other names")
    for key in keys:
        if scene.store.get(key) != key.encode():
            raise _MissingError(f"{key} is another object")
    return "spaces, accents, %, +, #, ? and & are kept"


def _removal(scene: _Scene) -> str:
    key = scene.key("small")
    scene.store.remove(key)
    scene.store.remove(key)
    if scene.others[0].size(key) is not None:
        raise _MissingError("a removed object is still there")
    if not scene.store.put_new(key, b"again"):
        raise _MissingError("a removed object cannot be written again")
    return "an object can be removed, and written again"


_RACE = "one builder at a time may use `--name` and `tag`; several may give one version to two bundles"
_CHECKS: tuple[tuple[str, Callable[[_Scene], str], str], ...] = (
    ("created once", _created_once, _RACE),
    ("one winner", _one_winner, _RACE),
    ("whole objects", _whole, "a build that is killed may leave a part of an object, which must be removed"),
    ("listed at once", _listed, "`bundles`, `runs` and `tag` may miss what is new: wait before you use them"),
    ("large objects", _large, "layers and files of more than 1 MiB cannot be stored"),
    ("ranges", _ranges, "a transfer that is cut ends with an error"),
    ("times", _times, "do not run `gc`: it goes by the age of objects"),
    ("any names", _names, "ids of runs must be ASCII letters, digits, `-`, `_` and `.`"),
    ("removal", _removal, "nothing can be removed: what is listed as left stays"),
)
"""Name, check, and what follows if it fails. The later ones use objects of the earlier."""


def _clean(scene: _Scene) -> list[str]:
    """Removes what a probe wrote, and returns the keys that stay."""
    with contextlib.suppress(StoreError):
        for key in scene.store.keys(f"{scene.folder}/"):
            with contextlib.suppress(StoreError):
                scene.store.remove(key)
        return scene.store.keys(f"{scene.folder}/")
    return []


def _sweep(store: Store) -> None:
    """Removes what probes that were killed have left."""
    for each in store.entries(f"{FOLDER}/"):
        if datetime.now(timezone.utc) - each.modified > ABANDONED:
            store.remove(each.key)
