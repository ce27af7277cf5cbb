"""Signatures with the standard library alone: RFC 8032's vectors, DSSE's, and what must be refused."""

from __future__ import annotations

import base64
import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from raybundle.node.raybundle_signature import SPKI, is_signed, key_id, pae, parse_key

VECTORS = [  # RFC 8032, section 7.1: public key, message, signature
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        (
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b"
            "d25bf5f0595bbe24655141438e7a100b"
        ),
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        (
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c"
            "387b2eaeb4302aeeb00d291612bb0c00"
        ),
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        (
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc659"
            "4a7c15e9716ed28dc027beceea1ec40a"
        ),
    ),
]
ORDER = 2**252 + 27742317777372353535851937790883648493
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw()


@pytest.mark.parametrize(("public", "message", "signature"), VECTORS)
def test_the_vectors_of_rfc_8032_are_signed_and_their_neighbours_are_not(
    public: str, message: str, signature: str
) -> None:
    key, text, made = map(bytes.fromhex, (public, message, signature))

    assert is_signed(key, text, made)
    assert not is_signed(key, text + b"\0", made)
    assert not is_signed(key, text, made[:32] + bytes([made[32] ^ 1]) + made[33:])
    assert not is_signed(PUBLIC, text, made)


def test_what_is_signed_is_encoded_as_dsse_says() -> None:
    # https://github.com/secure-systems-lab/dsse/blob/master/protocol.md, "Test vectors"
    encoded = pae("http://example.com/HelloWorld", b"hello world")

    assert encoded == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"


def test_a_second_form_of_a_signature_is_refused() -> None:
    made = KEY.sign(b"text")
    scalar = int.from_bytes(made[32:], "little") + ORDER

    assert is_signed(PUBLIC, b"text", made)
    assert not is_signed(PUBLIC, b"text", made[:32] + scalar.to_bytes(32, "little"))


@pytest.mark.parametrize(
    "public",
    [
        (2**255 - 18).to_bytes(32, "little"),  # 1 with a second encoding
        (2**255 + 1).to_bytes(32, "little"),  # x is 0, and the sign says it is odd
        (2).to_bytes(32, "little"),  # no point of the curve has this y
        b"short",
    ],
)
def test_bytes_that_are_not_the_one_encoding_of_a_point_have_signed_nothing(public: bytes) -> None:
    assert not is_signed(public, b"text", KEY.sign(b"text"))
    assert not is_signed(PUBLIC, b"text", public[:32].ljust(32, b"\0") + bytes(32))


def test_a_key_is_read_from_its_pem_and_from_its_one_line() -> None:
    form = PublicFormat.SubjectPublicKeyInfo
    pem = KEY.public_key().public_bytes(Encoding.PEM, form).decode()
    der = KEY.public_key().public_bytes(Encoding.DER, form)

    assert parse_key(pem) == parse_key(base64.b64encode(SPKI + PUBLIC).decode()) == PUBLIC
    assert key_id(PUBLIC) == hashlib.sha256(der).hexdigest()


@pytest.mark.parametrize("text", ["", "AAAA", "no base64!", base64.b64encode(bytes(44)).decode()])
def test_what_is_no_key_is_no_key(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_key(text)
