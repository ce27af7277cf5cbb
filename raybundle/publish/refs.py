"""What a REF means, the same for every command: a digest, the start of one, a name, or the id of a run."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from raybundle.errors import ObjectMissingError, UsageError
from raybundle.formats.canonical import read_digest
from raybundle.model import Digest
from raybundle.publish.layout import (
    NAME,
    SHORT_DIGEST,
    bundle_of,
    check_name,
    manifest_key,
    read_object,
    run_key_in,
)
from raybundle.publish.names import (
    HEX_DIGEST,
    NUMBER,
    current,
    history,
    parse_moment,
    read_version,
    version_at,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from raybundle.store.base import Store

SHORTEST_PREFIX = 8
"""Hex digits that a shortened digest needs."""

MADE_ID = re.compile(r"rb-(?P<year>\d{4})(?P<month>\d\d)\d\d-\d{6}-[0-9a-f]{8}(-retry\d+)?")
"""The id of a run that raybundle chose: it says in which month its record is."""

_HINT = "is this the right --store? `raybundle bundles` lists what it has"


class Found(NamedTuple):
    """What a REF leads to."""

    digest: Digest
    name: str | None = None
    """The name and version, such as `fraud@3`, if the REF is a name."""
    run: str | None = None
    """The key of the run's record, if the REF is the id of a run."""


def look_up(store: Store, ref: str) -> Digest:
    """Returns the bundle that a REF names, as `find_ref` reads it."""
    return find_ref(store, ref).digest


def find_ref(store: Store, ref: str) -> Found:
    """Returns what a REF leads to.

    `sha256:…`; at least 8 hex digits; `name`, `name@3` or `name@{2026-11-26}`; the id of a run. A digest
    precedes a name, and a name precedes the id of a run.

    Raises:
        ObjectMissingError: the store has nothing of that name.
        UsageError: it is no REF, or several bundles start with these digits.
        StoreError: what it leads to is damaged.
    """
    digits = ref.removeprefix("sha256:").lower()
    is_digest = ref.startswith("sha256:") or SHORT_DIGEST.fullmatch(digits) is not None
    if is_digest:
        found = find_digests(store, digits)
        if found or ref.startswith("sha256:"):
            return Found(_only(store, ref, found))
    elif "@" in ref:
        return _by_name(store, ref)
    elif not MADE_ID.fullmatch(ref) and NAME.fullmatch(ref):
        known = history(store, ref)
        if known.versions:
            return _named(store, ref, current(store, ref, known))
    key = find_run(store, ref)
    if key is not None:
        return Found(read_object(store, key, lambda record: read_digest(record["bundle"]), _HINT), run=key)
    if is_digest:
        return Found(_only(store, ref, []))
    check_name(ref)
    raise ObjectMissingError(f"no bundle {ref} in {store.url}", hint=_hint_for(ref, ()))


def find_digests(store: Store, hex_prefix: str) -> list[Digest]:
    """Returns the bundles whose digests start with these hex digits (at least 8), sorted.

    Raises:
        UsageError: Fewer digits, or something else.
    """
    if not SHORT_DIGEST.fullmatch(hex_prefix):
        raise UsageError(
            f"{hex_prefix!r} is not the start of a digest", hint=f"give at least {SHORTEST_PREFIX} hex digits"
        )
    if HEX_DIGEST.fullmatch(hex_prefix):
        digest = Digest(f"sha256:{hex_prefix}")
        return [digest] if store.size(manifest_key(digest)) is not None else []
    keys = store.keys(f"bundles/{hex_prefix}")
    return [digest for digest in map(bundle_of, keys) if digest is not None]


def find_run(store: Store, run_id: str) -> str | None:
    """Returns the key of the latest record of a run; None if there is none.

    An id that is chosen, or of a retry that began in another month, is looked for among all runs.
    """
    made = MADE_ID.fullmatch(run_id)
    if made is not None:
        key = run_key_in(f"{made['year']}/{made['month']}", run_id)
        if store.size(key) is not None:
            return key
    ends = f"/{run_id}.json"
    return max((key for key in store.keys("runs/") if key.endswith(ends)), default=None)


def _by_name(store: Store, ref: str) -> Found:
    name, _, which = ref.partition("@")
    check_name(name)
    if which.startswith("{") and which.endswith("}"):
        version = version_at(store, name, parse_moment(which[1:-1]))
        if not version:
            raise ObjectMissingError(
                f"no bundle {ref} in {store.url}", hint=_hint_for(name, history(store, name).versions)
            )
        return _named(store, name, version)
    if not NUMBER.fullmatch(which):
        hint = f"write {name}@3, {name}@{{2026-11-26}}, or {name} for the current one"
        raise UsageError(f"{ref!r} has no version after @", hint=hint)
    versions = history(store, name).versions
    if int(which) not in versions:
        raise ObjectMissingError(f"no bundle {ref} in {store.url}", hint=_hint_for(name, versions))
    return _named(store, name, int(which))


def _named(store: Store, name: str, number: int) -> Found:
    return Found(read_version(store, name, number).bundle, name=f"{name}@{number}")


def _only(store: Store, ref: str, found: list[Digest]) -> Digest:
    match found:
        case [digest]:
            return digest
        case []:
            raise ObjectMissingError(f"no bundle {ref} in {store.url}", hint=_HINT)
        case _:
            listing = "".join(f"\n  {digest}" for digest in found)
            raise UsageError(f"several bundles start with {ref}:{listing}", hint="give more digits")


def _hint_for(name: str, versions: Sequence[int]) -> str:
    if versions:
        return f"{name} has the versions {', '.join(map(str, versions))}"
    return f"{_HINT}; `raybundle build --name {name}` records a bundle under the name"
