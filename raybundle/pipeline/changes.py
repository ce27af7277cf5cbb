"""What differs between two bundles of a target: files, distributions, size, warnings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from raybundle.explain.chains import chains_to

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from raybundle.bundle.values import Manifest
    from raybundle.explain.chains import Chain
    from raybundle.model import Digest, Resolution, Warning

Kind = Literal["added", "removed", "changed"]


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """A bundle that is compared."""

    digest: Digest
    manifest: Manifest
    bytes: int
    resolution: Resolution | None = None
    """None if only the store knows the bundle."""


@dataclass(frozen=True, slots=True)
class FileChange:
    """A file that only one side has, or that differs; sizes in bytes, None if the side does not have it."""

    kind: Kind
    path: str
    before: int | None
    after: int | None
    module: str | None = None
    chain: Chain = ()
    """The shortest chain of imports that brings the module in, on the side that has it."""


@dataclass(frozen=True, slots=True)
class DistributionChange:
    """A distribution that only one side has, or of which the sides have different versions or files."""

    kind: Kind
    name: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Changes:
    """What differs between two bundles; all tuples are empty if the digests are equal."""

    before: Side
    after: Side
    files: tuple[FileChange, ...]
    distributions: tuple[DistributionChange, ...]
    warnings: tuple[Warning, ...]
    """Those that only the later side has."""

    @property
    def differs(self) -> bool:
        """Whether the bundle is another one."""
        return self.before.digest != self.after.digest


def changes_between(before: Side, after: Side, known: Iterable[str] = ()) -> Changes:
    """Returns what differs.

    Args:
        before: the earlier side.
        after: the later side.
        known: texts of the earlier side's warnings.
    """
    if before.digest == after.digest:
        return Changes(before, after, (), (), ())
    texts = frozenset(known)
    warnings = after.resolution.warnings if after.resolution else ()
    return Changes(
        before,
        after,
        tuple(_file_changes(before, after)),
        distribution_changes(before.manifest, after.manifest),
        tuple(each for each in warnings if each.text not in texts),
    )


def distribution_changes(before: Manifest, after: Manifest) -> tuple[DistributionChange, ...]:
    """Returns the distributions of which two bundles have different versions or files, by name."""
    old, new = _distributions(before), _distributions(after)
    return tuple(
        DistributionChange(kind, name, _version(old, name), _version(new, name))
        for name, kind in _differing(old, new)
    )


def _file_changes(before: Side, after: Side) -> Iterator[FileChange]:
    old, new = ({str(each.path): each for each in side.manifest.files} for side in (before, after))
    found = [(path, kind, before if kind == "removed" else after) for path, kind in _differing(old, new)]
    names = {side: _modules(side.resolution) for side in (before, after)}
    chains = {}
    for side in (before, after):
        wanted = {names[side][path] for path, _, owner in found if owner is side and path in names[side]}
        chains[side] = chains_to(side.resolution, wanted) if side.resolution and wanted else {}
    for path, kind, owner in found:
        name = names[owner].get(path)
        earlier, later = (None if each is None else each.size for each in (old.get(path), new.get(path)))
        yield FileChange(kind, str(path), earlier, later, name, chains[owner].get(name or "", ()))


def _modules(resolution: Resolution | None) -> dict[str, str]:
    """Returns the names of modules by the path of their file in the bundle."""
    if resolution is None:
        return {}
    return {str(each.path): str(each.name) for each in resolution.modules if each.path is not None}


def _differing(old: Mapping[str, object], new: Mapping[str, object]) -> list[tuple[str, Kind]]:
    """Returns keys that only one side has, or whose values differ, by name."""
    found: list[tuple[str, Kind]] = []
    for key in sorted({*old, *new}):
        if key not in new:
            found.append((key, "removed"))
        elif key not in old:
            found.append((key, "added"))
        elif old[key] != new[key]:
            found.append((key, "changed"))
    return found


def _distributions(manifest: Manifest) -> dict[str, tuple[str, str]]:
    """Returns version and source of each distribution: the digest of its layer, or the cluster."""
    provided = {each.name: (each.version, "cluster") for each in manifest.provided}
    return provided | {each.name: (each.version, str(each.digest)) for each in manifest.layers}


def _version(side: Mapping[str, tuple[str, str]], name: str) -> str | None:
    found = side.get(name)
    return None if found is None else found[0]
