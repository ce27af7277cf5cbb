"""Puts signatures beside a bundle in its store, and finds them there.

An envelope with the manifest says that a key vouches for a bundle. Another one says that it is a version of a
name. Both are in the folder of the bundle, and are created once.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, NamedTuple

from raybundle.bundle.manifest import format_manifest
from raybundle.errors import UNREADABLE, ObjectMissingError, UsageError
from raybundle.formats.canonical import FORMAT, canonical_json
from raybundle.publish import layout, putting
from raybundle.publish.bundles import find_bundle
from raybundle.publish.names import read_version
from raybundle.publish.trust.envelope import MANIFEST, VERSION, open_envelope, seal, unseal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from raybundle.model import Digest
    from raybundle.publish.stored import Stored
    from raybundle.publish.trust.keys import PublicKey, Signer
    from raybundle.store.base import Store

_SIGNED = re.compile(r"[0-9a-f]{64}(?=\.json)")
_NAMED = re.compile(r"(?P<name>.+)@(?P<number>[1-9][0-9]*)")


LARGEST_REST = 1 << 16
"""Bytes of an envelope besides its payload: some hundred signatures."""


class Signed(NamedTuple):
    """A bundle that a key has signed."""

    digest: Digest
    key: PublicKey
    name: str | None
    """The version that was signed as well, such as `fraud@3`."""
    new: bool
    """The store did not have these signatures yet."""


class Signature(NamedTuple):
    """A signature that the store has of a manifest."""

    key_id: str
    state: Literal["trusted", "unknown", "invalid"]


def sign_bundle(store: Store, ref: str, signer: Signer, version: str | None = None) -> Signed:
    """Signs the manifest of a bundle, and that it is a version of a name if the REF names one.

    Args:
        store: that has the bundle, and gets the signatures.
        ref: names the bundle.
        signer: the key.
        version: `NAME@N`, which must be this bundle.

    Raises:
        UsageError: the version is another bundle.
        ObjectMissingError: the store has no such bundle.
        DigestMismatchError: other bytes are in the place of a signature.
    """
    stored = find_bundle(store, ref)
    named = stored.name if version is None else _checked(store, version, stored)
    putting.prepare(store)
    made = {
        layout.signature_key(stored.digest, signer.public.id): seal(MANIFEST, manifest_of(stored), signer)
    }
    if named is not None:
        key = layout.signature_key(stored.digest, signer.public.id, named)
        made[key] = seal(VERSION, claim_of(stored.digest, named), signer)
    new = [putting.put_compared(store, key, data) for key, data in made.items()]
    return Signed(stored.digest, signer.public, named, any(new))


def _checked(store: Store, version: str, stored: Stored) -> str:
    match = _NAMED.fullmatch(version)
    if match is None:
        raise UsageError(f"{version!r} is not a version of a name", hint="write one as fraud@3")
    found = read_version(store, layout.check_name(match["name"]), int(match["number"])).bundle
    if found != stored.digest:
        raise UsageError(f"{version} is {found}, and not {stored.digest}: nothing was signed")
    return version


def manifest_of(stored: Stored) -> bytes:
    """Returns the exact bytes of the manifest of a stored bundle."""
    return format_manifest(stored.manifest)


def claim_of(digest: Digest, named: str) -> bytes:
    """Returns what is signed for a version of a name, such as `fraud@3`."""
    name, _, number = named.rpartition("@")
    return canonical_json({"bundle": digest, "format": FORMAT, "name": name, "version": int(number)})


def trusted_signatures(
    store: Store, digest: Digest, manifest: bytes, keys: Sequence[PublicKey]
) -> list[tuple[PublicKey, bytes]]:
    """Returns the signatures of a manifest by these keys that are right."""
    return _by(store, {key: layout.signature_key(digest, key.id) for key in keys}, MANIFEST, manifest)


def is_signed_as(store: Store, digest: Digest, named: str, keys: Sequence[PublicKey]) -> bool:
    """Whether one of these keys has signed that a bundle is a version of a name, such as `fraud@3`."""
    places = {key: layout.signature_key(digest, key.id, named) for key in keys}
    return bool(_by(store, places, VERSION, claim_of(digest, named)))


def _by(
    store: Store, places: dict[PublicKey, str], kind: str, payload: bytes
) -> list[tuple[PublicKey, bytes]]:
    found = []
    for key, place in places.items():
        try:
            made = open_envelope(_read(store, place, len(payload)), kind, payload, key)
        except ObjectMissingError:
            continue
        if made is not None:
            found.append((key, made))
    return found


def _read(store: Store, key: str, payload: int) -> bytes:
    """Returns an envelope; no more of it than one of such a payload can have."""
    data = bytearray()
    for piece in store.pieces(key):
        data += piece
        if len(data) > 2 * payload + LARGEST_REST:
            break
    return bytes(data)


def list_signatures(
    store: Store, digest: Digest, manifest: bytes, keys: Sequence[PublicKey] = ()
) -> tuple[Signature, ...]:
    """Returns all signatures of a bundle's manifest, sorted by key; `unknown` is one by no key in `keys`."""
    folder = layout.signature_folder(digest)
    ids = [match[0] for key in store.keys(folder) if (match := _SIGNED.match(key, len(folder)))]
    known = {each.id for each in keys}
    right = {key.id for key, _ in trusted_signatures(store, digest, manifest, keys)}
    return tuple(
        Signature(each, "trusted" if each in right else "invalid" if each in known else "unknown")
        for each in ids
    )


def fault_of(data: bytes, digest: Digest, manifest: bytes, key: str) -> str | None:
    """Returns why an envelope is not what its key says, whoever signed it; None if it may be right."""
    try:
        kind, payload, signatures = unseal(data)
        named = layout.named_in(key)
        expected = (MANIFEST, manifest) if named is None else (VERSION, claim_of(digest, named))
    except UNREADABLE:
        return "not an envelope with a signature"
    if (kind, payload) != expected:
        return "the envelope has another payload than the key says"
    return None if signatures else "no signature"
