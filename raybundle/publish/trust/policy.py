"""Decides whether a bundle may be used where signatures are required."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from raybundle.bundle.delivery import Delivery, parse_delivery
from raybundle.cache.documents import Cache
from raybundle.config import cache_directory
from raybundle.errors import UntrustedError
from raybundle.publish import layout
from raybundle.publish.bundles import find_bundle
from raybundle.publish.refs import find_ref

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from raybundle.config import Settings
    from raybundle.model import Digest
    from raybundle.publish.refs import Found
    from raybundle.publish.stored import LayerArchive, Stored
    from raybundle.publish.trust.keys import PublicKey
    from raybundle.store.base import Store

_SIGN = "`raybundle sign --key FILE"


class Trust(NamedTuple):
    """What a user's settings say about signatures."""

    required: bool
    keys: tuple[PublicKey, ...]
    environ: Mapping[str, str]

    def find(self, store: Store, ref: str) -> Stored:
        """Returns a bundle of the store, as `find_bundle` does; if signatures are required, a trusted one.

        Raises:
            UntrustedError: no trusted key has signed the bundle, or, if the REF is a name, not this version.
        """
        if not self.required:
            return find_bundle(store, ref)
        found = find_ref(store, ref)
        stored = replace(find_bundle(store, found.digest), name=found.name)
        if found.run is not None:
            raise UntrustedError(
                f"{ref} is a run of bundle {found.digest}, and nobody has signed its record",
                hint=f"name the bundle, if it is the right one: {found.digest}",
            )
        from raybundle.publish.trust.signatures import manifest_of

        stored = replace(stored, signatures=self.signatures(store, stored.digest, manifest_of(stored)))
        if found.name is not None:
            self._require_version(store, ref, found)
        return stored

    def find_plain(self, store: Store, ref: str) -> Stored:
        """Returns the same with no byte-code but what this machine has compiled."""
        return self.plain(store, self.find(store, ref))

    def plain(self, store: Store, stored: Stored) -> Stored:
        """Returns a bundle with no byte-code but what this machine has compiled: the nodes make the other.

        No manifest says what byte-code must be, so that of the store may be anything.
        """
        if len(stored.layers) == len(stored.manifest.layers):
            return stored
        from raybundle.bundle.layers.byte_code import compiled_here

        own = compiled_here(Cache(cache_directory(self.environ)))
        sources = {layout.layer_key(each.digest) for each in stored.manifest.layers}
        layers = tuple(
            each for each in stored.layers if each.key in sources or layout.archive_name(each.key) in own
        )
        return stored if layers == stored.layers else _without_others(store, stored, layers)

    def signatures(self, store: Store, digest: Digest, manifest: bytes) -> str | None:
        """Returns the trusted signatures of a manifest as the nodes read them, if signatures are required.

        Raises:
            UntrustedError: there is none.
        """
        if not self.required:
            return None
        from raybundle.publish.trust.signatures import trusted_signatures

        found = trusted_signatures(store, digest, manifest, self.keys)
        if not found:
            raise _unsigned(store, digest, manifest, self.keys)
        return ",".join(f"{key.public.hex()}:{made.hex()}" for key, made in found)

    def _require_version(self, store: Store, ref: str, found: Found) -> None:
        from raybundle.publish.names import history
        from raybundle.publish.trust.memory import remember
        from raybundle.publish.trust.signatures import is_signed_as

        named = str(found.name)
        name, _, number = named.rpartition("@")
        if "@{" in ref:
            raise UntrustedError(
                f"{ref} depends on times that nobody has signed",
                hint=f"name the version: {named}, if it is the right one",
            )
        if not is_signed_as(store, found.digest, named, self.keys):
            raise UntrustedError(
                f"no trusted key has signed that {named} is {found.digest}",
                hint=f"if it is, sign it with a trusted key: {_SIGN} --as {named} {found.digest}`",
            )
        highest = max(history(store, name).versions)
        moving = "@" not in ref
        if moving and int(number) != highest:
            raise UntrustedError(
                f"{name} points to version {number} of {highest}, and nobody has signed that it should",
                hint=f"name the version: {named}, if it is the right one",
            )
        remember(store, name, int(number), found.digest, self.environ, moving=moving)


def trust_of(settings: Settings, environ: Mapping[str, str]) -> Trust:
    """Returns what settings say about signatures.

    Raises:
        UsageError: signatures are required, and no key is trusted or one cannot be read.
    """
    if not settings.is_on("require-signature"):
        return Trust(required=False, keys=(), environ=environ)
    from raybundle.publish.trust.keys import trusted_keys

    return Trust(required=True, keys=trusted_keys(settings), environ=environ)


def _unsigned(store: Store, digest: Digest, manifest: bytes, keys: Sequence[PublicKey]) -> UntrustedError:
    from raybundle.publish.trust.signatures import list_signatures

    there = list_signatures(store, digest, manifest, keys)
    wrong = [each.key_id for each in there if each.state == "invalid"]
    if wrong:
        return UntrustedError(
            f"the signature of bundle {digest} by {wrong[0][:16]} is not one of this bundle",
            hint=f"remove {layout.signature_key(digest, wrong[0])} from the store, and sign the bundle again",
        )
    hint = f"{_SIGN} {digest}` signs it, with a key that `trusted-keys` names"
    if there:
        ids = ", ".join(each.key_id[:16] for each in there)
        return UntrustedError(f"bundle {digest} is signed by no trusted key, only by {ids}", hint=hint)
    return UntrustedError(f"bundle {digest} is not signed", hint=hint)


def _without_others(store: Store, stored: Stored, layers: tuple[LayerArchive, ...]) -> Stored:
    """Returns a bundle of which these archives of layers and of byte-code travel, and no others."""
    from raybundle.publish.deliveries import read_delivery

    data, _ = read_delivery(store, stored.archive_key)
    delivery = parse_delivery(data, f"{layout.delivery_key(stored.archive_key)} in {store.url}")
    archives = {layout.archive_name(each.key): each.packed for each in layers}
    byte_code = {
        layer: (tag, listing)
        for layer, (tag, listing) in delivery.byte_code.items()
        if f"{layer}-{tag}-{listing}" in archives
    }
    packed = Delivery(delivery.absent, byte_code, archives).format()
    return replace(stored, layers=layers, delivery=hashlib.sha256(packed).hexdigest(), delivery_data=packed)
