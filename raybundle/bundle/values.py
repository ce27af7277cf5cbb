"""The values in a manifest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from raybundle.model import ArchivePath, Digest, RootSymbol


@dataclass(frozen=True, slots=True)
class ManifestFile:
    """A file of a bundle; `size` in bytes, `sha256` in hex."""

    path: ArchivePath
    executable: bool
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Provided:
    """A distribution that the cluster must provide."""

    name: str
    version: str = ""
    """The exact version; empty for any version, if it is not installed where the bundle is built."""


@dataclass(frozen=True, slots=True)
class LayerEntry:
    """A distribution that travels, and the digest of its layer."""

    name: str
    version: str
    digest: Digest


@dataclass(frozen=True, slots=True)
class PythonTag:
    """The Python that a bundle runs on; `abi` and `platform` only if it has native files."""

    implementation: str
    minor: str
    abi: str | None = None
    platform: str | None = None
    libc: str | None = None
    """The oldest libc that loads its native files, such as `glibc 2.28`; None if they need none."""

    @property
    def text(self) -> str:
        """What a node has to have, in words."""
        platform = f" on {self.platform}" if self.platform else ""
        libc = f" with {self.libc} or newer" if self.libc else ""
        return f"{self.implementation} {self.minor}{platform}{libc}"


@dataclass(frozen=True, slots=True)
class ScriptEntry:
    """The bundle runs `python path`."""

    path: ArchivePath


@dataclass(frozen=True, slots=True)
class ModuleEntry:
    """The bundle runs `python -m name`."""

    name: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """Everything that identifies a bundle, and nothing else."""

    target: ScriptEntry | ModuleEntry
    python: PythonTag
    path: tuple[RootSymbol, ...]
    files: tuple[ManifestFile, ...]
    provided: tuple[Provided, ...]
    layers: tuple[LayerEntry, ...] = ()
