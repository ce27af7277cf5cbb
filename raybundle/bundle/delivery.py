"""The delivery: archives of layers, their byte-code, and absent modules (docs/format.md, section 5.3)."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from raybundle.errors import UNREADABLE, BundleError
from raybundle.formats.canonical import FORMAT, canonical_json

if TYPE_CHECKING:
    from collections.abc import Mapping

_BYTE_CODE = re.compile(r"([a-z0-9-]{1,64})-([0-9a-f]{64})")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Packed:
    """The bytes of an archive: the nodes accept no others."""

    sha256: str
    """Hex."""
    size: int


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a submission says about archives of layers, their byte-code, and absent modules."""

    absent: Mapping[str, str]
    """What has each absent module: `name version` of an installed distribution without a layer, or a file of
    the project. Empty if the module was found nowhere."""
    byte_code: Mapping[str, tuple[str, str]]
    """Cache tag and digest of the listing (hex), by the digest of the layer (hex)."""
    archives: Mapping[str, Packed]
    """The archives of layers and of their byte-code, by their names in the store, without `.zip`."""

    def format(self) -> bytes:
        """Returns the canonical bytes."""
        byte_code = {layer: f"{tag}-{listing}" for layer, (tag, listing) in self.byte_code.items()}
        archives = {name: {"sha256": each.sha256, "size": each.size} for name, each in self.archives.items()}
        return canonical_json(
            {"absent": dict(self.absent), "archives": archives, "byte_code": byte_code, "format": FORMAT}
        )


def parse_delivery(data: bytes, where: str) -> Delivery:
    """Returns the delivery in `data`. Errors name it by `where`.

    Raises:
        BundleError: `data` is not a delivery, not canonical, or one of another format.
    """
    try:
        document = json.loads(data)
        if document["format"] != FORMAT:
            raise ValueError(f"format {document['format']!r}, but this raybundle reads format {FORMAT}")
        byte_code = {layer: _parse_byte_code(text) for layer, text in document["byte_code"].items()}
        archives = {name: _parse_packed(each) for name, each in document["archives"].items()}
        found = Delivery(dict(document["absent"]), byte_code, archives)
        if found.format() != data:
            raise ValueError("it is not canonical or has unknown keys")
    except UNREADABLE as error:
        raise BundleError(f"{where} is not a delivery: {error!r}", hint="build the bundle again") from error
    return found


def _parse_byte_code(text: str) -> tuple[str, str]:
    match = _BYTE_CODE.fullmatch(text)
    if match is None:
        raise ValueError(f"byte-code {text!r}")
    return match[1], match[2]


def _parse_packed(each: Mapping[str, Any]) -> Packed:
    if not _SHA256.fullmatch(each["sha256"]) or not isinstance(each["size"], int):
        raise ValueError(f"archive {each!r}")
    return Packed(each["sha256"], each["size"])
