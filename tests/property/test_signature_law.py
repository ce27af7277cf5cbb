"""The standard library's way to verify a signature decides as `cryptography` does."""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from raybundle.node.raybundle_signature import is_signed


@settings(max_examples=15, deadline=None)
@given(seed=st.binary(min_size=32, max_size=32), message=st.binary(max_size=200), bit=st.integers(0, 511))
def test_it_decides_as_cryptography_does(seed: bytes, message: bytes, bit: int) -> None:
    key = Ed25519PrivateKey.from_private_bytes(seed)
    public, made = key.public_key().public_bytes_raw(), key.sign(message)
    changed = bytearray(made)
    changed[bit // 8] ^= 1 << bit % 8

    assert is_signed(public, message, made)
    assert is_signed(public, message, bytes(changed)) == _cryptography(public, message, bytes(changed))


def _cryptography(public: bytes, message: bytes, made: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(made, message)
    except InvalidSignature:
        return False
    return True
