"""Where each kind of object lies in a store, and the names that lead to bundles (DESIGN, section 7)."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from raybundle.errors import DigestMismatchError, ObjectMissingError, StoreError, UsageError
from raybundle.model import Digest
from raybundle.outage import Outage

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from raybundle.bundle.values import LayerEntry
    from raybundle.store.base import Store

STORE_KEY = "store.json"
FORMAT = 1
"""Of the layout; another number is another layout."""

SHORTEST_PREFIX = 8
"""Hex digits that a shortened digest needs."""

LARGE_BYTES = 1 << 20
"""From here on an object is looked for before it is uploaded."""

READ_AGAIN = 5
"""Tries to read an object whose creation we lost; one that another is just creating may be invisible."""

READ_AGAIN_DELAY = 0.1
"""Seconds before the second try; doubles."""

NAME_TRIES = 100
"""Versions tried before giving up: more than this many others record the same name at once."""

HEX_DIGEST = re.compile(r"[0-9a-f]{64}")
SHORT_DIGEST = re.compile(r"[0-9a-f]{8,64}")
ARCHIVE = re.compile(r"(?P<boot>[0-9a-f]{64})-[0-9a-f]{64}\.zip")
NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}")


def manifest_key(digest: Digest) -> str:
    """Returns the key of the bundle's manifest."""
    return f"bundles/{_hex(digest)}/manifest.json"


def archive_key(digest: Digest, boot: str, archive_sha256: str) -> str:
    """Returns the key of one of the bundle's archives: by the boot that it holds, and by its own bytes.

    The boot is another in another version of raybundle, the bytes may differ between versions of zlib.
    """
    return f"bundles/{_hex(digest)}/{boot}-{archive_sha256}.zip"


def find_archives(store: Store, digest: Digest) -> list[tuple[str, str]]:
    """Returns key and boot of each archive of a bundle, sorted."""
    folder = f"bundles/{_hex(digest)}/"
    return [
        (key, match["boot"]) for key in store.keys(folder) if (match := ARCHIVE.fullmatch(key, len(folder)))
    ]


def delivery_key(archive: str) -> str:
    """Returns the key of what says how the layers of a bundle travel that has this archive."""
    return archive.removesuffix(".zip") + ".json"


def layer_key(digest: Digest) -> str:
    """Returns the key of a layer's archive."""
    return f"layers/{_hex(digest)}.zip"


def byte_code_key(digest: Digest, tag: str, listing: str) -> str:
    """Returns the key of the byte-code of a layer, for interpreters with this cache tag."""
    return f"layers/{_hex(digest)}-{tag}-{listing}.zip"


def layer_keys(
    layers: Iterable[LayerEntry], byte_code: Mapping[str, tuple[str, str]]
) -> list[tuple[str, LayerEntry]]:
    """Returns the keys of layers and the layer of each: every layer is followed by its byte-code.

    Args:
        layers: of a manifest, in its order.
        byte_code: cache tag and listing by the layer's hex digest, where it has some.
    """
    found = []
    for each in layers:
        found.append((layer_key(each.digest), each))
        compiled = byte_code.get(_hex(each.digest))
        if compiled is not None:
            found.append((byte_code_key(each.digest, *compiled), each))
    return found


def graph_key(digest: Digest) -> str:
    """Returns the key of the bundle's import graph."""
    return f"bundles/{_hex(digest)}/graph.json"


def name_key(name: str, version: int) -> str:
    """Returns the key of one version of a name."""
    return f"names/{check_name(name)}/{version}.json"


def run_key(run_id: str, started: datetime) -> str:
    """Returns the key of a run's record; year and month are those of UTC."""
    return f"runs/{started.astimezone(timezone.utc):%Y/%m}/{run_id}.json"


def run_end_key(run_id: str, started: datetime) -> str:
    """Returns the key of the object that says how a run ended."""
    return f"runs/{started.astimezone(timezone.utc):%Y/%m}/{run_id}.end.json"


def prepare(store: Store) -> None:
    """Marks a new store with its format, and refuses one of another.

    Raises:
        StoreError: It has another format, or features that this version does not know.
    """
    try:
        data = store.get(STORE_KEY)
    except ObjectMissingError:
        put_compared(store, STORE_KEY, _canonical({"features": [], "format": FORMAT}))
        return
    found = _parse(store, STORE_KEY, data)
    if found.get("format") != FORMAT or found.get("features"):
        raise StoreError(
            f"{store.url} has format {found.get('format')!r} and features {found.get('features', [])!r}; "
            f"this version reads format {FORMAT} without features",
            hint="upgrade raybundle, or name another store with --store",
        )


def put_compared(store: Store, key: str, data: bytes) -> bool:
    """Creates the object and returns True; returns False if the same bytes are there already.

    Raises:
        DigestMismatchError: Other bytes are there.
    """
    present = len(data) >= LARGE_BYTES and store.size(key) is not None
    if not present and store.put_new(key, data):
        return True
    found = get_soon(store, key)
    if found != data:
        raise DigestMismatchError(f"{key} in {store.url}", expected=_sha256(data), found=_sha256(found))
    return False


def get_archive(store: Store, key: str) -> bytes:
    """Returns a bundle's archive.

    Raises:
        DigestMismatchError: It is not what its name says.
        ObjectMissingError: There is none.
    """
    data = store.get(key)
    expected = "sha256:" + key.rpartition("-")[2].removesuffix(".zip")
    if _sha256(data) != expected:
        raise DigestMismatchError(f"{key} in {store.url}", expected=expected, found=_sha256(data))
    return data


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
    if at and not re.fullmatch(r"[1-9][0-9]*", version):
        raise UsageError(f"{ref!r} has no version after @", hint=f"write {name}@3, or {name} for the latest")
    versions = find_versions(store, name)
    wanted = int(version) if at else max(versions, default=0)
    if wanted not in versions:
        raise ObjectMissingError(f"no bundle {ref} in {store.url}", hint=_hint_for(name, versions))
    key = name_key(name, wanted)
    return _digest_of(store, key, _parse(store, key, store.get(key)))


def record_name(store: Store, name: str, digest: Digest) -> int:
    """Gives the bundle the next version of this name and returns it; racers get different versions."""
    data = _canonical({"bundle": digest, "format": FORMAT})
    first = max(find_versions(store, name), default=0) + 1
    for version in range(first, first + NAME_TRIES):
        key = name_key(name, version)
        # Equal bytes may be our own first try; if they are another's, the version is true all the same.
        if store.put_new(key, data) or get_soon(store, key) == data:
            return version
    raise StoreError(f"no free version of {name} in {store.url} after {NAME_TRIES} tries", hint="try again")


def find_versions(store: Store, name: str) -> list[int]:
    """Returns the versions of a name, ascending."""
    folder = f"names/{check_name(name)}/"
    stems = (key.removeprefix(folder).removesuffix(".json") for key in store.keys(folder))
    return sorted(int(stem) for stem in stems if stem.isdecimal())


def check_name(name: str) -> str:
    """Returns the name if it can be one.

    Raises:
        UsageError: It holds other characters, starts with a dot, or looks like a shortened digest.
    """
    if not NAME.fullmatch(name) or SHORT_DIGEST.fullmatch(name.lower()):
        raise UsageError(
            f"{name!r} cannot be the name of a bundle",
            hint="use letters, digits, `.`, `_` and `-`, no dot first, and not 8 or more hex digits alone",
        )
    return name


def _only(store: Store, ref: str, found: list[Digest]) -> Digest:
    match found:
        case [digest]:
            return digest
        case []:
            raise ObjectMissingError(
                f"no bundle {ref} in {store.url}",
                hint="`raybundle bundles` lists them; is this the right --store?",
            )
        case _:
            listing = "".join(f"\n  {digest}" for digest in found)
            raise UsageError(f"several bundles start with {ref}:{listing}", hint="give more digits")


def _hint_for(name: str, versions: list[int]) -> str:
    if versions:
        return f"{name} has the versions {', '.join(map(str, versions))}"
    return "`raybundle bundles` lists them; is this the right --store?"


def get_soon(store: Store, key: str) -> bytes:
    """Returns an object that is said to exist; a conflict (409) may come before others can see it."""
    outage = Outage(READ_AGAIN_DELAY, tries=READ_AGAIN)
    while True:
        try:
            return store.get(key)
        except ObjectMissingError:  # noqa: PERF203 - a request each
            if not outage.wait():
                raise


def _parse(store: Store, key: str, data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except ValueError as error:
        raise StoreError(f"{key} in {store.url} is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise StoreError(f"{key} in {store.url} is not a JSON object")
    return found


def _digest_of(store: Store, key: str, record: dict[str, Any]) -> Digest:
    digits = str(record.get("bundle")).removeprefix("sha256:")
    if not HEX_DIGEST.fullmatch(digits):
        raise StoreError(f"{key} in {store.url} names no bundle")
    return Digest(f"sha256:{digits}")


def _canonical(value: dict[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _hex(digest: Digest) -> str:
    return digest.removeprefix("sha256:")


def _sha256(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
