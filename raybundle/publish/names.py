"""The names and shortened digests that lead to bundles of a store."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from raybundle.errors import ObjectMissingError, StoreError, UsageError
from raybundle.formats.canonical import canonical_json
from raybundle.model import Digest
from raybundle.publish.layout import (
    FORMAT,
    SHORT_DIGEST,
    check_name,
    get_soon,
    manifest_key,
    name_key,
    read_object,
)

if TYPE_CHECKING:
    from raybundle.store.base import Store

SHORTEST_PREFIX = 8
"""Hex digits that a shortened digest needs."""

NAME_TRIES = 100
"""Versions that are tried, in case others record the same name at the same time."""

VERSION = re.compile(r"[1-9][0-9]*")
HEX_DIGEST = re.compile(r"[0-9a-f]{64}")


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
    return [Digest(f"sha256:{key.split('/')[1]}") for key in keys if key.endswith("/manifest.json")]


def look_up(store: Store, ref: str) -> Digest:
    """Returns the bundle that a REF names: `sha256:…`, at least 8 hex digits, `name` or `name@3`.

    Raises:
        ObjectMissingError: The store has no such bundle or name.
        UsageError: It is no REF, or several bundles start with these digits.
    """
    digits = ref.removeprefix("sha256:").lower()
    if ref.startswith("sha256:") or SHORT_DIGEST.fullmatch(digits):
        return _only(store, ref, find_digests(store, digits))
    name, at, version = ref.partition("@")
    if at and not VERSION.fullmatch(version):
        raise UsageError(f"{ref!r} has no version after @", hint=f"write {name}@3, or {name} for the latest")
    versions = find_versions(store, name)
    wanted = int(version) if at else max(versions, default=0)
    if wanted not in versions:
        raise ObjectMissingError(f"no bundle {ref} in {store.url}", hint=_hint_for(name, versions))
    key = name_key(name, wanted)
    hint = f"name a digest instead, or build the bundle again with `--name {name}`"
    return read_object(store, key, _named_digest, hint)


def record_name(store: Store, name: str, digest: Digest) -> int:
    """Gives the bundle the next version of a name and returns it; simultaneous callers get different ones."""
    data = canonical_json({"bundle": digest, "format": FORMAT})
    first = max(find_versions(store, name), default=0) + 1
    for version in range(first, first + NAME_TRIES):
        key = name_key(name, version)
        # Equal bytes may be this process's first try. If they are another's, the version is still right.
        if store.put_new(key, data) or get_soon(store, key) == data:
            return version
    raise StoreError(f"no free version of {name} in {store.url} after {NAME_TRIES} tries", hint="try again")


def find_versions(store: Store, name: str) -> list[int]:
    """Returns the versions of a name, ascending."""
    folder = f"names/{check_name(name)}/"
    stems = (key.removeprefix(folder).removesuffix(".json") for key in store.keys(folder))
    return sorted(int(stem) for stem in stems if VERSION.fullmatch(stem))


def _only(store: Store, ref: str, found: list[Digest]) -> Digest:
    match found:
        case [digest]:
            return digest
        case []:
            raise ObjectMissingError(
                f"no bundle {ref} in {store.url}",
                hint="is this the right --store? `raybundle build` prints the digest of a bundle",
            )
        case _:
            listing = "".join(f"\n  {digest}" for digest in found)
            raise UsageError(f"several bundles start with {ref}:{listing}", hint="give more digits")


def _hint_for(name: str, versions: list[int]) -> str:
    if versions:
        return f"{name} has the versions {', '.join(map(str, versions))}"
    return f"is this the right --store? `raybundle build --name {name}` records a bundle under the name"


def _named_digest(record: dict[str, Any]) -> Digest:
    digits = record["bundle"].removeprefix("sha256:")
    if record["format"] != FORMAT or not HEX_DIGEST.fullmatch(digits):
        raise ValueError(record)
    return Digest(f"sha256:{digits}")
