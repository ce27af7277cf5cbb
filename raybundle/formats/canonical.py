"""Writes canonical JSON, and makes and parses digests (docs/format.md, section 1)."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from raybundle.errors import BundleError
from raybundle.model import Digest

FORMAT = 1
"""Version of the format that this raybundle reads and writes."""
LARGEST = 2**53 - 1
"""The largest integer that every JSON reader keeps exactly (RFC 8259, section 6)."""
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def canonical_json(document: Any) -> bytes:
    """Returns UTF-8 JSON with sorted keys and without spaces: equal values give equal bytes."""
    text = json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.encode()


def digest_of(manifest: bytes) -> Digest:
    """Returns the digest of a bundle from the bytes of its manifest."""
    return Digest("sha256:" + hashlib.sha256(manifest).hexdigest())


def parse_digest(text: str) -> Digest:
    """Returns `text` as a digest.

    Raises:
        BundleError: `text` is not `sha256:` and 64 lower-case hex digits.
    """
    try:
        return read_digest(text)
    except ValueError:
        hint = "a digest is `sha256:` and 64 lower-case hex digits"
        raise BundleError(f"not a digest: {text!r}", hint=hint) from None


def read_digest(text: str) -> Digest:
    """Returns a digest that a document of the store holds.

    Raises:
        ValueError: it is not one.
    """
    if not _DIGEST.fullmatch(text):
        raise ValueError(text)
    return Digest(text)
