"""Seals and opens DSSE envelopes with ed25519 keys (docs/format.md, section 6.2)."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

from raybundle.errors import UNREADABLE
from raybundle.formats.canonical import canonical_json
from raybundle.node.raybundle_signature import MANIFEST, is_signed, pae

if TYPE_CHECKING:
    from raybundle.publish.trust.keys import PublicKey, Signer

VERSION = "application/vnd.raybundle.version+json"
"""Payload type of the claim that a bundle is a version of a name."""

__all__ = ["MANIFEST", "VERSION", "open_envelope", "seal", "unseal"]


def seal(kind: str, payload: bytes, signer: Signer) -> bytes:
    """Returns the envelope of a payload. The same key gives the same bytes."""
    signature = signer.sign(pae(kind, payload))
    return canonical_json(
        {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": kind,
            "signatures": [{"keyid": signer.public.id, "sig": base64.b64encode(signature).decode()}],
        }
    )


def open_envelope(data: bytes, kind: str, payload: bytes, key: PublicKey) -> bytes | None:
    """Returns the signature by a key in an envelope; None if the envelope has none that is right.

    Args:
        data: the envelope.
        kind: payload type that it must have.
        payload: bytes that it must have.
        key: that must have signed; the `keyid` in the envelope is not believed.
    """
    try:
        found_kind, found, signatures = unseal(data)
    except UNREADABLE:
        return None
    if (found_kind, found) != (kind, payload):
        return None
    message = pae(kind, payload)
    return next((each for each in signatures if is_signed(key.public, message, each)), None)


def unseal(data: bytes) -> tuple[str, bytes, list[bytes]]:
    """Returns payload type, payload and signatures of an envelope. They are not verified.

    Raises:
        ValueError, TypeError, LookupError: it is not an envelope.
    """
    document = json.loads(data)
    signatures = [base64.b64decode(each["sig"], validate=True) for each in document["signatures"]]
    return str(document["payloadType"]), base64.b64decode(document["payload"], validate=True), signatures
