"""Keys for tests: made by OpenSSL, as users make them."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from raybundle.publish.trust.keys import read_signer

if TYPE_CHECKING:
    from pathlib import Path

    from raybundle.publish.trust.keys import Signer


def make_key(directory: Path, name: str) -> tuple[Path, Path]:
    """Makes a key, and returns the files of its private and its public half."""
    private, public = directory / f"{name}.pem", directory / f"{name}.pub"
    directory.mkdir(parents=True, exist_ok=True)
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", private], check=True)
    subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", public], check=True)
    return private, public


def make_signer(directory: Path, name: str) -> Signer:
    """Returns a new key."""
    return read_signer(make_key(directory, name)[0])


def base64_of(public: Path) -> str:
    """Returns a public key on one line, as `trusted-keys` takes it."""
    return "".join(public.read_text().splitlines()[1:-1])
