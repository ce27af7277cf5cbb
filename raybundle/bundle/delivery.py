"""The delivery: how the layers of a bundle travel, and what does not (docs/format.md, section 5.3)."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from raybundle.errors import BundleError
from raybundle.formats.canonical import FORMAT, canonical_json

if TYPE_CHECKING:
    from collections.abc import Mapping

_BYTE_CODE = re.compile(r"([a-z0-9-]{1,64})-([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Delivery:
    """What the archive of a bundle says of its layers, and of what is in none."""

    absent: Mapping[str, str]
    """By module, `name version` of an installed distribution that is no layer, or where the project has it
    (`graph.left_modules`); empty of what is nowhere."""
    byte_code: Mapping[str, tuple[str, str]]
    """Cache tag and listing (hex), by layer (hex)."""

    def format(self) -> bytes:
        """Returns the canonical bytes."""
        byte_code = {layer: f"{tag}-{listing}" for layer, (tag, listing) in self.byte_code.items()}
        return canonical_json({"absent": dict(self.absent), "byte_code": byte_code, "format": FORMAT})


def parse_delivery(data: bytes, where: str) -> Delivery:
    """Returns the delivery in `data`, which comes from `where`.

    Raises:
        BundleError: it is none of a format that we know.
    """
    try:
        document = json.loads(data)
        if document["format"] != FORMAT:
            raise ValueError(f"format {document['format']!r}, and this raybundle knows format {FORMAT}")  # noqa: TRY301
        byte_code = {layer: _parse_byte_code(text) for layer, text in document["byte_code"].items()}
        found = Delivery(dict(document["absent"]), byte_code)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise BundleError(f"{where} is no delivery: {error!r}", hint="build the bundle again") from error
    return found


def _parse_byte_code(text: str) -> tuple[str, str]:
    match = _BYTE_CODE.fullmatch(text)
    if match is None:
        raise ValueError(f"byte-code {text!r}")
    return match[1], match[2]
