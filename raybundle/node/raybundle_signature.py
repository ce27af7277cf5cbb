"""Verifies ed25519 signatures of manifests with the standard library (RFC 8032, DSSE).

Nothing here is secret, so nothing needs to take the same time for all values. The client verifies with this
file as well: one implementation decides, and the verifying side needs no library.
"""

from __future__ import annotations

import base64
import os
from hashlib import sha256, sha512

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

MANIFEST = "application/vnd.raybundle.manifest+json"
"""Payload type of a signed manifest."""
SPKI = bytes.fromhex("302a300506032b6570032100")
"""What precedes the 32 bytes of an ed25519 key in a SubjectPublicKeyInfo (RFC 8410)."""
TRUSTED = "RAYBUNDLE_TRUSTED_KEYS"
"""Public keys in the environment of a raylet: it runs only bundles that one of them has signed."""
SIGNATURES = "RAYBUNDLE_SIGNATURES"
"""Words `PUBLIC:SIGNATURE` (hex) of a submission, separated by commas."""

KEY_BYTES, SIGNATURE_BYTES = 32, 64

_P = 2**255 - 19
_ORDER = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, _P - 2, _P) % _P
_ROOT = pow(2, (_P - 1) // 4, _P)
_Point = tuple[int, int, int, int]
"""X, Y, Z and T of extended coordinates: x = X/Z, y = Y/Z, xy = T/Z."""
_NEUTRAL: _Point = (0, 1, 1, 0)


def pae(kind: str, payload: bytes) -> bytes:
    """Returns the bytes that are signed: the pre-authentication encoding of DSSE version 1."""
    name = kind.encode()
    return b"DSSEv1 %d %b %d %b" % (len(name), name, len(payload), payload)


def key_id(public: bytes) -> str:
    """Returns the id of a public key: the hex SHA-256 of its SubjectPublicKeyInfo."""
    return sha256(SPKI + public).hexdigest()


def parse_key(text: str) -> bytes:
    """Returns the 32 bytes of a public key: the base64 of its SubjectPublicKeyInfo, with PEM's lines or not.

    Raises:
        ValueError: it is not one.
    """
    lines = [line.strip() for line in text.strip().splitlines() if not line.startswith("-----")]
    data = base64.b64decode("".join(lines), validate=True)
    if len(data) != len(SPKI) + KEY_BYTES or not data.startswith(SPKI):
        raise ValueError("it is not an ed25519 public key")
    return data[len(SPKI) :]


def is_signed(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether a signature is that of a message by the owner of a public key.

    As RFC 8032, section 5.1.7, with the equation without the cofactor; S and both points have one encoding.
    """
    if len(public) != KEY_BYTES or len(signature) != SIGNATURE_BYTES:
        return False
    first, scalar = signature[:KEY_BYTES], int.from_bytes(signature[KEY_BYTES:], "little")
    owner, point = _decode(public), _decode(first)
    if owner is None or point is None or scalar >= _ORDER:
        return False
    challenge = int.from_bytes(sha512(first + public + message).digest(), "little") % _ORDER
    left, right = _times(scalar, _BASE), _add(point, _times(challenge, owner))
    return _same(left, right)


def _add(one: _Point, other: _Point) -> _Point:
    a = (one[1] - one[0]) * (other[1] - other[0]) % _P
    b = (one[1] + one[0]) * (other[1] + other[0]) % _P
    c = 2 * one[3] * other[3] * _D % _P
    d = 2 * one[2] * other[2] % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _times(scalar: int, point: _Point) -> _Point:
    found = _NEUTRAL
    while scalar:
        if scalar & 1:
            found = _add(found, point)
        point = _add(point, point)
        scalar >>= 1
    return found


def _same(one: _Point, other: _Point) -> bool:
    x = (one[0] * other[2] - other[0] * one[2]) % _P
    y = (one[1] * other[2] - other[1] * one[2]) % _P
    return x == 0 and y == 0


def _decode(data: bytes) -> _Point | None:
    """Returns a point of the curve; None if the bytes are not the one encoding of a point."""
    number = int.from_bytes(data, "little")
    sign, y = number >> 255, number & ((1 << 255) - 1)
    if y >= _P:
        return None
    square = (y * y - 1) * pow(_D * y * y + 1, _P - 2, _P) % _P
    x = pow(square, (_P + 3) // 8, _P)
    if (x * x - square) % _P:
        x = x * _ROOT % _P
    if (x * x - square) % _P or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = _P - x
    return x, y, 1, x * y % _P


_BASE_Y = 4 * pow(5, _P - 2, _P) % _P
_BASE = _decode(_BASE_Y.to_bytes(KEY_BYTES, "little")) or _NEUTRAL


def check(manifest: bytes) -> None:
    """Refuses a manifest that no key has signed which this node trusts; a node that names none takes all.

    Raises:
        RuntimeError: it has no signature of one of them.
    """
    trusted, archive = os.environ.get(TRUSTED), os.environ.get("RAYBUNDLE_ARCHIVE")
    if not trusted:
        return
    try:
        known = [parse_key(each) for each in trusted.split(",") if each.strip()]
    except ValueError as error:
        raise RuntimeError(f"variable {TRUSTED}: expected public keys, found others: {error}") from None
    signed = list(_sent())
    if any(public in known and is_signed(public, pae(MANIFEST, manifest), made) for public, made in signed):
        return
    found = ", ".join(f"one of key {key_id(public)[:16]}" for public, _ in signed) or "none"
    raise RuntimeError(
        f"file {archive}/.raybundle/manifest.json: expected a signature of a key that this node trusts, "
        f"found {found}"
    )


def _sent() -> Iterator[tuple[bytes, bytes]]:
    """Yields public key and signature of each word of the submission."""
    for word in os.environ.get(SIGNATURES, "").split(","):
        public, colon, made = word.partition(":")
        try:
            key, signature = bytes.fromhex(public), bytes.fromhex(made)
        except ValueError:
            continue
        if colon:
            yield key, signature
