"""A bundle in a store, as a submission needs it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from raybundle.bundle.delivery import Packed
    from raybundle.bundle.values import Manifest
    from raybundle.model import Digest, Warning


class LayerArchive(NamedTuple):
    """An archive of a layer, or of its byte-code, and the bytes that it must have."""

    key: str
    packed: Packed


@dataclass(frozen=True, slots=True)
class Archives:
    """Keys of what makes up a bundle: its own archive, and those of its layers in their order."""

    bundle: str
    layers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, repr=False)
class Stored:
    """A bundle in a store."""

    digest: Digest
    manifest: Manifest
    archive_key: str
    boot: str
    """Hex digest of the boot in the archive."""
    uploaded_bytes: int = 0
    """Bytes of the objects that were new to the store."""
    layers: tuple[LayerArchive, ...] = ()
    """Of the layers in the manifest's order, each followed by its byte-code if it has some."""
    delivery: str | None = None
    """Hex SHA-256 of the delivery, if the bundle has one."""
    warnings: tuple[Warning, ...] = ()
    """What the store has lost of it, and a run does without."""
    name: str | None = None
    """The name and version that this build recorded or this REF names, such as `train@3`."""

    def __repr__(self) -> str:
        name = "" if self.name is None else f", name={self.name!r}"
        return f"Stored(digest={self.digest!r}{name}, uploaded_bytes={self.uploaded_bytes})"

    @property
    def archives(self) -> Archives:
        """Keys of all that travels."""
        return Archives(self.archive_key, self.layer_keys)

    @property
    def layer_keys(self) -> tuple[str, ...]:
        """Keys of the archives of layers."""
        return tuple(each.key for each in self.layers)
