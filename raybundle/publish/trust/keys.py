"""Reads keys: public ones that are trusted, and the private one that signs."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raybundle.directories import open_regular
from raybundle.errors import UsageError
from raybundle.node.raybundle_signature import key_id, parse_key

if TYPE_CHECKING:
    from raybundle.config import Settings

_LARGEST = 1 << 16
"""Bytes that are read of a file with a public key."""
_GENERATE = "`openssl genpkey -algorithm ed25519 -out key.pem` makes a private key, and "
_PUBLIC = "`openssl pkey -in key.pem -pubout` prints its public key"


@dataclass(frozen=True, slots=True)
class PublicKey:
    """An ed25519 public key."""

    public: bytes

    @property
    def id(self) -> str:
        """The hex SHA-256 of its SubjectPublicKeyInfo."""
        return key_id(self.public)


@dataclass(frozen=True, slots=True, repr=False)
class Signer:
    """An ed25519 private key."""

    public: PublicKey
    key: Any

    def sign(self, message: bytes) -> bytes:
        """Returns the signature, which is the same for the same message (RFC 8032)."""
        signature: bytes = self.key.sign(message)
        return signature


def trusted_keys(settings: Settings) -> tuple[PublicKey, ...]:
    """Returns the keys of `trusted-keys`: base64 as it is in a PEM file, or the path of such a file.

    Raises:
        UsageError: a value is neither, or there is no key.
    """
    found = [_trusted(text, _base(settings)) for text in settings.items("trusted-keys")]
    if not found:
        raise UsageError(
            "signatures are required, and no key is trusted",
            hint=f"name public keys, or files with one, in `trusted-keys`; {_PUBLIC}",
        )
    return tuple(dict.fromkeys(found))


def _base(settings: Settings) -> Path:
    """Returns where relative paths of keys begin: at the pyproject.toml that names them, or here."""
    file, _, table = settings.source("trusted-keys").partition(" [")
    return Path(file).parent if table else Path()


def _trusted(text: str, base: Path) -> PublicKey:
    with suppress(ValueError):
        return PublicKey(parse_key(text))
    file = base / Path(text).expanduser()
    try:
        with open_regular(file) as stream:
            return PublicKey(parse_key(stream.read(_LARGEST).decode("ascii")))
    except OSError as error:
        raise UsageError(
            f"`trusted-keys` has {text!r}, which is neither a public key nor a file: {error.strerror}",
            hint=_PUBLIC,
        ) from error
    except ValueError as error:
        raise UsageError(f"{file} in `trusted-keys` is not an ed25519 public key", hint=_PUBLIC) from error


def read_signer(file: Path) -> Signer:
    """Returns the private key in a PEM file (PKCS #8).

    Raises:
        UsageError: there is no such file, it is not a plain ed25519 key, or `cryptography` is not installed.
    """
    try:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
    except ImportError as error:
        raise UsageError("signing needs `cryptography`", hint="`pip install 'raybundle[sign]'`") from error
    try:
        key = load_pem_private_key(file.read_bytes(), None)
    except OSError as error:
        raise UsageError(f"cannot read the key {file}: {error.strerror}", hint=_GENERATE + _PUBLIC) from error
    except TypeError as error:
        hint = "give it without: `raybundle sign --key <(openssl pkey -in KEY) …` in bash"
        raise UsageError(f"the key {file} is encrypted", hint=hint) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise UsageError(f"{file} is not a private key in PEM", hint=_GENERATE + _PUBLIC) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise UsageError(f"{file} is not an ed25519 key", hint=_GENERATE + _PUBLIC)
    return Signer(PublicKey(key.public_key().public_bytes_raw()), key)
