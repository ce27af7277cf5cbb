"""Names of bundles: numbered versions, and where a name pointed at any time.

`names/<name>/<version>.json` is a version, and makes it current. `names/<name>/moves/<number>.json` makes an
earlier version current again. Both are created once, so each name keeps its history.
"""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta, timezone
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from raybundle.errors import StoreAccessError, StoreError, UsageError
from raybundle.formats.canonical import canonical_json, read_digest
from raybundle.publish.layout import (
    FORMAT,
    FORMAT_MARK,
    STORE_KEY,
    check_name,
    get_soon,
    is_name,
    move_key,
    name_key,
    read_object,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from raybundle.model import Digest
    from raybundle.store.base import Store

NAME_TRIES = 100
"""Numbers that are tried, in case others record the same name at the same time."""

READERS = 16
"""Objects that are read at once."""

_ONE_AT_A_TIME = "let one builder record names at a time (`raybundle store probe` says why)"

NUMBER = re.compile(r"[1-9][0-9]*")
HEX_DIGEST = re.compile(r"[0-9a-f]{64}")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")


class Version(NamedTuple):
    """One version of a name."""

    number: int
    bundle: Digest
    recorded: datetime
    """In UTC."""


class Move(NamedTuple):
    """A name that was made to point to an earlier version."""

    number: int
    version: int
    after: int
    """The highest version at that time: a later version made itself current."""
    recorded: datetime


class History(NamedTuple):
    """The numbers of a name's versions and moves, ascending."""

    versions: tuple[int, ...]
    moves: tuple[int, ...]


class Named(NamedTuple):
    """A version of a name, and whether the name points to it now."""

    name: str
    version: int
    current: bool


def record_name(
    store: Store, name: str, digest: Digest, warn: Callable[[str], None] = lambda _text: None
) -> int:
    """Makes a name point to a bundle, and returns the bundle's version under that name.

    A bundle that is new to the name gets the next version, and simultaneous callers get different ones. A
    bundle that has a version keeps it. A damaged move is followed by a new one. `warn` hears of a store in
    which simultaneous callers may get the same version.
    """
    known = history(store, name)
    number = _version_of(store, name, known, digest)
    if number is None:
        if not _creates_once(store):
            warn(f"{store.url} may give one version of {name} to two bundles: {_ONE_AT_A_TIME}")
        number = _claim(store, name, known, digest)
        known = History((*known.versions, number), known.moves)
    if _pointed(store, name, known) != number:
        _move(store, name, known, number)
    return number


def _creates_once(store: Store) -> bool:
    """Returns whether the store refuses to create an object that is there: the mark of its format.

    The first of two puts may have made it.
    """
    return store.exclusive and not (
        store.put_new(STORE_KEY, FORMAT_MARK) and store.put_new(STORE_KEY, FORMAT_MARK)
    )


def history(store: Store, name: str) -> History:
    """Returns which versions and moves a name has."""
    return _history(name, store.keys(f"names/{check_name(name)}/"))


def current(store: Store, name: str, known: History) -> int:
    """Returns the version to which a name points; 0 if it has none."""
    highest = max(known.versions, default=0)
    if known.moves:
        move = read_move(store, name, known.moves[-1])
        if move.after == highest:
            return move.version
    return highest


def _pointed(store: Store, name: str, known: History) -> int | None:
    """Returns the version to which a name points; None if a damaged object says it."""
    try:
        return current(store, name, known)
    except StoreAccessError:
        raise
    except StoreError:
        return None


def version_at(store: Store, name: str, moment: datetime) -> int:
    """Returns the version to which a name pointed at a time; 0 if it had none yet."""
    known = history(store, name)
    versions = _read_all(partial(read_version, store, name), known.versions)
    moves = _read_all(partial(read_move, store, name), known.moves)
    steps = [(each.number, 0, each.number, each.recorded) for each in versions]
    steps += [(each.after, each.number, each.version, each.recorded) for each in moves]
    return next((version for _, _, version, at in sorted(steps, reverse=True) if at <= moment), 0)


def read_version(store: Store, name: str, number: int) -> Version:
    """Returns a version of a name.

    Raises:
        StoreError: the object is damaged.
    """
    hint = f"name a digest instead, or build the bundle again with `--name {name}`"
    return read_object(store, name_key(name, number), lambda document: parse_version(number, document), hint)


def read_move(store: Store, name: str, number: int) -> Move:
    """Returns a move of a name.

    Raises:
        StoreError: the object is damaged.
    """
    hint = f"name a version, such as {name}@1, or `raybundle tag` a bundle {name} again"
    return read_object(store, move_key(name, number), lambda document: parse_move(number, document), hint)


def all_names(store: Store) -> dict[Digest, list[Named]]:
    """Returns the versions of all names, by bundle."""
    keys = store.keys("names/")
    found: dict[Digest, list[Named]] = {}
    for name in sorted(filter(is_name, {key.split("/")[1] for key in keys})):
        known = _history(name, keys)
        now = _pointed(store, name, known)
        for each in _read_all(partial(_whole_version, store, name), known.versions):
            if each is not None:
                found.setdefault(each.bundle, []).append(Named(name, each.number, each.number == now))
    return found


def _whole_version(store: Store, name: str, number: int) -> Version | None:
    try:
        return read_version(store, name, number)
    except StoreAccessError:
        raise
    except StoreError:
        return None


def parse_moment(text: str) -> datetime:
    """Returns the time that `name@{TEXT}` means: UTC unless it has an offset; a day means its end.

    Raises:
        UsageError: it is not a time.
    """
    try:
        if _DAY.fullmatch(text):
            midnight = datetime.combine(date.fromisoformat(text), datetime.min.time(), timezone.utc)
            return midnight + timedelta(days=1, microseconds=-1)
        found = datetime.fromisoformat(re.sub(r"Z\Z", "+00:00", text))
    except (ValueError, OverflowError) as error:
        raise UsageError(
            f"`@{{{text}}}` is not a time", hint="write a day or a time in UTC, such as @{2026-11-26T14:30}"
        ) from error
    return found if found.tzinfo else found.replace(tzinfo=timezone.utc)


def _history(name: str, keys: Iterable[str]) -> History:
    folder = f"names/{name}/"
    stems = [key.removeprefix(folder).removesuffix(".json") for key in keys if key.startswith(folder)]
    moves = [stem.removeprefix("moves/") for stem in stems if stem.startswith("moves/")]
    return History(_numbers(stems), _numbers(moves))


def _version_of(store: Store, name: str, known: History, digest: Digest) -> int | None:
    """Returns the version that a bundle has under a name; a damaged version counts as another bundle's."""

    def bundle_of(number: int) -> Digest | None:
        version = _whole_version(store, name, number)
        return None if version is None else version.bundle

    newest_first = known.versions[::-1]
    for begin in range(0, len(newest_first), READERS):  # what is built again is most often a late one
        some = newest_first[begin : begin + READERS]
        for number, bundle in zip(some, _read_all(bundle_of, some), strict=True):
            if bundle == digest:
                return number
    return None


def _claim(store: Store, name: str, known: History, digest: Digest) -> int:
    first = max(known.versions, default=0) + 1
    data = canonical_json({"bundle": digest, "format": FORMAT, "recorded": _now()})
    for number in range(first, first + NAME_TRIES):
        key = name_key(name, number)
        if store.put_new(key, data) or _names(get_soon(store, key), digest):
            return number
    raise _no_number(store, name)


def _move(store: Store, name: str, known: History, version: int) -> None:
    facts = {"after": max(known.versions), "format": FORMAT, "version": version}
    data = canonical_json({**facts, "recorded": _now()})
    first = max(known.moves, default=0) + 1
    for number in range(first, first + NAME_TRIES):
        key = move_key(name, number)
        if store.put_new(key, data) or get_soon(store, key) == data:
            return
    raise _no_number(store, name)


def _names(data: bytes, digest: Digest) -> bool:
    """Whether a version that is there already is of the same bundle: then it is right, whoever wrote it."""
    return f'"{digest}"'.encode() in data


def _no_number(store: Store, name: str) -> StoreError:
    return StoreError(f"no free version of {name} in {store.url} after {NAME_TRIES} tries", hint="try again")


def _numbers(stems: Iterable[str]) -> tuple[int, ...]:
    return tuple(sorted(int(stem) for stem in stems if NUMBER.fullmatch(stem)))


def _read_all(read: Callable[[int], Any], numbers: Sequence[int]) -> list[Any]:
    if len(numbers) < 2:  # noqa: PLR2004 - one needs no threads
        return [read(number) for number in numbers]
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - start-up

    with ThreadPoolExecutor(min(READERS, len(numbers))) as pool:
        return list(pool.map(read, numbers))


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")


def parse_version(number: int, document: dict[str, Any]) -> Version:
    """Returns the version in a document of this number; raises one of `UNREADABLE` if it is another."""
    return Version(number, read_digest(document["bundle"]), _recorded(document))


def parse_move(number: int, document: dict[str, Any]) -> Move:
    """Returns the move in a document of this number; raises one of `UNREADABLE` if it is another."""
    version, after = document["version"], document["after"]
    if not (isinstance(version, int) and isinstance(after, int)):
        raise TypeError(document)
    return Move(number, version, after, _recorded(document))


def _recorded(document: dict[str, Any]) -> datetime:
    recorded = datetime.fromisoformat(document["recorded"])
    if document["format"] != FORMAT or recorded.tzinfo is None:
        raise ValueError(document)
    return recorded
