"""A bundle in a store, as a submission needs it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from raybundle.bundle.delivery import Packed
from raybundle.node.cache.raybundle_record import LARGE
from raybundle.publish.layout import data_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from raybundle.bundle.values import Manifest
    from raybundle.model import Digest, Warning


class LayerArchive(NamedTuple):
    """An archive of a layer or of its byte-code, or a large file, and the bytes that it must have."""

    key: str
    packed: Packed


@dataclass(frozen=True, slots=True)
class Archives:
    """Keys of the archives of a bundle: its own, and those of its layers in their order."""

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
    signatures: str | None = None
    """Trusted signatures of the manifest as the nodes read them, if signatures are required."""
    delivery_data: bytes | None = None
    """The delivery that travels instead of the one in the archive."""
    again: Callable[[], Stored] | None = field(default=None, compare=False)
    """Puts what the store has lost of it meanwhile; None if its sources are not at hand."""

    def __repr__(self) -> str:
        name = "" if self.name is None else f", name={self.name!r}"
        return f"Stored(digest={self.digest!r}{name}, uploaded_bytes={self.uploaded_bytes})"

    @property
    def archives(self) -> Archives:
        """Keys of all archives."""
        return Archives(self.archive_key, self.layer_keys)

    @property
    def layer_keys(self) -> tuple[str, ...]:
        """Keys of the archives of layers."""
        return tuple(each.key for each in self.layers)

    @property
    def data(self) -> tuple[LayerArchive, ...]:
        """The objects of its large files, each once."""
        return data_of(self.manifest)


def data_of(manifest: Manifest) -> tuple[LayerArchive, ...]:
    """Returns the objects of the large files of a bundle, each once: the manifest alone names them."""
    large = {file.sha256: file.size for file in manifest.files if file.size > LARGE}
    return tuple(LayerArchive(data_key(sha256), Packed(sha256, size)) for sha256, size in large.items())
