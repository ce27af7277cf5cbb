"""The key of each kind of object in a store, and how objects are put there (docs/format.md)."""

from __future__ import annotations

import hashlib
import json
import re
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

from raybundle.errors import UNREADABLE, DigestMismatchError, ObjectMissingError, StoreError, UsageError
from raybundle.formats.canonical import canonical_json, digest_of
from raybundle.model import Digest
from raybundle.outage import Outage
from raybundle.store.base import LARGEST_DOCUMENT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from raybundle.bundle.values import LayerEntry
    from raybundle.store.base import Entry, Store

T = TypeVar("T")

STORE_KEY = "store.json"
FORMAT = 1
"""Version of the layout."""

FORMAT_MARK = canonical_json({"features": [], "format": FORMAT})
"""The object `STORE_KEY` of a store of this format."""

LARGE_BYTES = 1 << 20
"""Bytes from which an object is looked for before it is uploaded."""

LARGEST_RECORD = 8 << 20
"""Bytes of the largest object that `read_object` reads: a command line has 2 MiB at most, a name a line."""

LARGEST_MANIFEST = 256 << 20
"""Bytes of the largest manifest that is read, of a million files. It is parsed once its digest is right."""

LARGEST_SIGNATURE = LARGEST_MANIFEST * 3 // 2
"""Bytes of the largest signature that is read: it has the manifest, as base64."""

CHUNK = 1 << 20
"""Bytes of a large object in memory at once."""

LOOKS = 16
"""Simultaneous questions for objects; each is one small request."""

READ_AGAIN = 5
"""Tries to read an object that another process creates: it may not be visible yet."""

READ_AGAIN_DELAY = 0.1
"""Seconds before the second try; doubles."""

SHORT_DIGEST = re.compile(r"[0-9a-f]{8,64}")
ARCHIVE = re.compile(r"(?P<boot>[0-9a-f]{64})-[0-9a-f]{64}\.zip")
MANIFEST = re.compile(r"bundles/([0-9a-f]{64})/manifest\.json")
NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}")


def manifest_key(digest: Digest) -> str:
    """Returns the key of the bundle's manifest."""
    return f"bundles/{_hex(digest)}/manifest.json"


def bundle_of(key: str) -> Digest | None:
    """Returns the bundle whose manifest has this key; None for another key, such as that of a copy."""
    match = MANIFEST.fullmatch(key)
    return Digest(f"sha256:{match[1]}") if match else None


def archive_key(digest: Digest, boot: str, archive_sha256: str) -> str:
    """Returns the key of one of the bundle's archives, which names its boot and its own bytes.

    The boot differs between versions of raybundle, and the bytes may differ between versions of zlib.
    """
    return f"bundles/{_hex(digest)}/{boot}-{archive_sha256}.zip"


def find_archives(store: Store, digest: Digest) -> list[tuple[str, str]]:
    """Returns key and boot of each archive of a bundle, sorted."""
    folder = f"bundles/{_hex(digest)}/"
    return [
        (key, match["boot"]) for key in store.keys(folder) if (match := ARCHIVE.fullmatch(key, len(folder)))
    ]


def delivery_key(archive: str) -> str:
    """Returns the key of the delivery that belongs to an archive."""
    return archive.removesuffix(".zip") + ".json"


def layer_key(digest: Digest) -> str:
    """Returns the key of a layer's archive."""
    return f"layers/{_hex(digest)}.zip"


def byte_code_key(digest: Digest, tag: str, listing: str) -> str:
    """Returns the key of the byte-code of a layer, for interpreters with this cache tag."""
    return f"layers/{_hex(digest)}-{tag}-{listing}.zip"


def data_key(sha256: str) -> str:
    """Returns the key of a large file of bundles; `sha256` of its content is in hex."""
    return f"data/{sha256}"


def archive_name(key: str) -> str:
    """Returns the name of a layer's archive or its byte-code, by which the delivery knows it."""
    return key.rpartition("/")[2].removesuffix(".zip")


def layer_keys(
    layers: Iterable[LayerEntry], byte_code: Mapping[str, tuple[str, str]]
) -> list[tuple[str, LayerEntry]]:
    """Returns the keys of layers with their layers; the byte-code of a layer follows it.

    Args:
        layers: of a manifest, in its order.
        byte_code: cache tag and listing by the layer's hex digest, if it has byte-code.
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


def signature_folder(digest: Digest) -> str:
    """Returns the folder of the bundle's signatures."""
    return f"bundles/{_hex(digest)}/signatures/"


def signature_key(digest: Digest, key_id: str, named: str | None = None) -> str:
    """Returns the key of a signature: of the bundle, or of its being a version of a name (`fraud@3`)."""
    name, _, version = (named or "").rpartition("@")
    return signature_folder(digest) + (f"{name}/{version}-{key_id}.json" if named else f"{key_id}.json")


def named_in(key: str) -> str | None:
    """Returns the version of a name that the key of a signature has; None if it is that of a manifest."""
    _, _, _, *names, file = key.split("/")
    return f"{names[0]}@{file.partition('-')[0]}" if names else None


def name_key(name: str, version: int) -> str:
    """Returns the key of one version of a name."""
    return f"names/{check_name(name)}/{version}.json"


def move_key(name: str, number: int) -> str:
    """Returns the key of a move of a name to an earlier version."""
    return f"names/{check_name(name)}/moves/{number}.json"


def run_key(run_id: str, started: datetime) -> str:
    """Returns the key of a run's record; year and month are in UTC."""
    return run_key_in(f"{started.astimezone(timezone.utc):%Y/%m}", run_id)


def run_key_in(month: str, run_id: str) -> str:
    """Returns the key of the record of a run that started in a month, such as `2026/11`."""
    return f"runs/{month}/{run_id}.json"


def result_key(run_id: str, digest: Digest) -> str:
    """Returns the key of the result of a function; the job writes it."""
    return f"results/{run_id}/{_hex(digest)}"


def source_of(store: Store) -> str | None:
    """Returns the URL by which nodes read a store; None if Ray does not know the scheme."""
    url = store.node_url(STORE_KEY)
    return url and url.removesuffix(f"/{STORE_KEY}")


def require_format(store: Store) -> bool:
    """Returns whether the store is marked with the format that this version reads; false if it has no mark.

    Raises:
        StoreError: It has another format, or features that this version does not know.
    """
    try:
        found, features = read_object(
            store,
            STORE_KEY,
            lambda document: (document["format"], document["features"]),
            hint="name another store with --store",
        )
    except ObjectMissingError:
        return False
    if found != FORMAT or features:
        raise StoreError(
            f"{store.url} has format {found!r} and features {features!r}; "
            f"this version reads format {FORMAT} without features",
            hint="upgrade raybundle, or name another store with --store",
        )
    return True


@contextmanager
def open_checked(store: Store, key: str, sha256: str) -> Iterator[BinaryIO]:
    """Opens an object whose SHA-256 (hex) is known, once its bytes are compared; see `read_twice`.

    Raises:
        DigestMismatchError: It has other bytes.
        ObjectMissingError: There is none.
    """
    for last in (False, True):
        with store.open(key) as stream:
            found = hashlib.sha256()
            while data := stream.read(CHUNK):
                found.update(data)
            if found.hexdigest() == sha256:
                stream.seek(0)
                yield stream
                return
        if last:
            raise other_bytes(store, key, sha256, found.hexdigest())


def other_bytes(store: Store, key: str, expected: str, found: str) -> DigestMismatchError:
    """Returns the error for an object with another SHA-256; both in hex."""
    return DigestMismatchError(
        f"{key} in {store.url}", expected=f"sha256:{expected}", found=f"sha256:{found}"
    )


def archive_sha256(key: str) -> str:
    """Returns the SHA-256 of a bundle's archive in hex, which is a part of its key."""
    return key.rpartition("-")[2].removesuffix(".zip")


def get_checked(store: Store, key: str, digest: str, size: int) -> bytes:
    """Returns an object of which the digest and the size are known, even if it has just been created.

    Raises:
        DigestMismatchError: other bytes are there.
    """

    def check(data: bytes) -> bytes:
        if digest_of(data) != digest:
            raise DigestMismatchError(f"{key} in {store.url}", expected=digest, found=digest_of(data))
        return data

    return read_twice(lambda: get_soon(store, key, size), check)


def read_twice(read: Callable[[], bytes], check: Callable[[bytes], T]) -> T:
    """Returns what `check` makes of an object. If it refuses the bytes, they are read once more.

    One bad answer of the network does not make a damaged object.
    """
    try:
        return check(read())
    except (DigestMismatchError, *UNREADABLE):
        return check(read())


def is_name(text: str) -> bool:
    """Returns whether a text can be the name of a bundle: it must not look like a shortened digest."""
    return NAME.fullmatch(text) is not None and not SHORT_DIGEST.fullmatch(text.lower())


def check_name(name: str) -> str:
    """Returns the name if it can be one.

    Raises:
        UsageError: It holds other characters, starts with a dot, or looks like a shortened digest.
    """
    if not is_name(name):
        raise UsageError(
            f"{name!r} cannot be the name of a bundle",
            hint="use letters, digits, `.`, `_` and `-`, no dot first, and not 8 or more hex digits alone",
        )
    return name


def get_document(store: Store, key: str) -> bytes:
    """Returns a manifest, its signature, or another document that describes bundles."""
    if key.endswith("/manifest.json"):
        return store.get(key, LARGEST_MANIFEST)
    return store.get(key, LARGEST_SIGNATURE if "/signatures/" in key else LARGEST_DOCUMENT)


def get_soon(store: Store, key: str, most: int = LARGEST_DOCUMENT) -> bytes:
    """Returns an object of at most `most` bytes that another process has just created."""
    return soon(lambda: store.get(key, most))


def soon(read: Callable[[], T]) -> T:
    """Returns an object that another process has just created: it may not be visible yet."""
    outage = Outage(READ_AGAIN_DELAY, tries=READ_AGAIN)
    while True:
        try:
            return read()
        except ObjectMissingError:  # noqa: PERF203 - a request each
            if not outage.wait():
                raise


def read_object(store: Store, key: str, parse: Callable[[Any], T], hint: str) -> T:
    """Returns what `parse` makes of the JSON that an object of a store holds.

    Raises:
        StoreError: it holds something else; the error has the hint.
    """
    try:
        return read_twice(lambda: store.get(key, LARGEST_RECORD), lambda data: parse(json.loads(data)))
    except UNREADABLE as error:
        raise StoreError(f"{key} in {store.url} is damaged, or of another format", hint=hint) from error


def _hex(digest: Digest) -> str:
    return digest.removeprefix("sha256:")


def find_sizes(store: Store, keys: Sequence[str]) -> dict[str, int | None]:
    """Returns the bytes of objects by key, None for a missing one; asks for several at a time."""
    return _ask(store, store.size, keys)


def find_entries(store: Store, keys: Sequence[str]) -> dict[str, Entry | None]:
    """Does the same for all that a store tells of objects."""
    return _ask(store, store.entry, keys)


def _ask(store: Store, question: Callable[[str], T], keys: Sequence[str]) -> dict[str, T]:
    if len(keys) <= (LOOKS if store.url.startswith("file://") else 1):
        return {key: question(key) for key in keys}
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - start-up: few files need no threads

    with ThreadPoolExecutor(LOOKS) as threads:
        return dict(zip(keys, threads.map(question, keys), strict=True))
