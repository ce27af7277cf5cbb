"""Reads the versions that a project's lock pins: uv.lock, pylock.toml or requirements.txt."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from raybundle.cache.documents import Kind
from raybundle.errors import BundleError
from raybundle.formats.lists import first_of
from raybundle.formats.toml import loads
from raybundle.model import Warning
from raybundle.resolve.distributions.installed import normalised_name
from raybundle.wheels.requirements_file import read_requirements

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from raybundle.cache.documents import Cache
    from raybundle.model import Distribution

_KEPT = Kind("locks", 64)
_SHOWN = 5
"""Distributions that a warning lists."""
_UV_LOCK = 1
"""The known major version of uv.lock; uv also refuses others."""
_REMOTE = ("https://", "http://")
"""Prefixes of a registry in uv.lock that is not a directory of wheels."""
_ELSEWHERE = frozenset({"vcs", "directory", "archive"})
"""Keys of a package in pylock.toml that is not from an index (PEP 751)."""


@dataclass(frozen=True, slots=True)
class Lock:
    """What a lock pins for the nodes."""

    file: Path
    pins: Mapping[str, str]
    """Version by normalised name."""
    sha256: str
    """Hex, of the file and the files that it includes."""
    indexed: frozenset[str]
    """Normalised names of the pins that are from an index for certain."""


@dataclass(frozen=True, slots=True)
class Locked:
    """One distribution of a lock."""

    name: str
    """Normalised (PEP 503)."""
    version: str
    hashes: tuple[str, ...] = ()
    """`sha256:…` of each file that may be installed; empty if the lock has none."""
    is_indexed: bool = True
    """Returns whether an index has it, or that a hash identifies its file; a bare version does neither."""


def read_lock(file: Path, markers: Mapping[str, str], installed: Mapping[str, str], cache: Cache) -> Lock:
    """Returns what the lock pins for the nodes; the answer is kept until one of its files changes.

    Args:
        file: as `find_lock` returns it.
        markers: the variables of PEP 508 markers for the nodes.
        installed: versions by name; they decide if the lock has several versions for the nodes.
        cache: keeps the answer.

    Raises:
        BundleError: it cannot be read.
    """
    key = cache.key(str(file), sorted(markers.items()))

    def parse(known: dict[str, Any]) -> Lock:
        return Lock(file, _pins(known["versions"], installed), known["sha256"], frozenset(known["indexed"]))

    lock = cache.recall(_KEPT, key, parse)
    if lock is None:
        began, files = cache.clock(), [file]
        versions: dict[str, list[str]] = {}
        indexed = set()
        for each in locked(file, markers, files.append):
            versions.setdefault(each.name, []).append(each.version)
            indexed.update([each.name] if each.is_indexed else [])
        sha256 = hashlib.sha256(b"\0".join(each.read_bytes() for each in files)).hexdigest()
        known = {"versions": versions, "sha256": sha256, "indexed": sorted(indexed)}
        cache.keep(_KEPT, key, known, map(str, files), began)
        lock = parse(known)
    return lock


def _pins(versions: Mapping[str, list[str]], installed: Mapping[str, str]) -> dict[str, str]:
    """Returns one version by name; if there are several, the installed one or none."""
    chosen = {
        name: several[0] if len(set(several)) == 1 else installed.get(name, "")
        for name, several in versions.items()
    }
    return {name: version for name, version in chosen.items() if version in versions[name]}


def locked(
    file: Path, markers: Mapping[str, str], include: Callable[[Path], Any] = lambda _: None
) -> tuple[Locked, ...]:
    """Returns what the lock has for the nodes; `include` is called with each further file of the lock.

    A distribution has several versions if not only the Python of the nodes decides.

    Raises:
        BundleError: it cannot be read.
    """
    try:
        match file.name:
            case "uv.lock":
                return tuple(_of_uv_lock(_document(file), markers))
            case "requirements.txt":
                found = read_requirements(file, markers, include)
                return tuple(
                    Locked(normalised_name(name), version, hashes, is_indexed=bool(hashes))
                    for name, version, hashes in found
                )
            case _:
                return tuple(_of_pylock(_document(file), markers))
    except OSError as error:
        raise _unreadable(file, f"{error.filename}: {error.strerror}") from error
    except UnicodeDecodeError as error:  # its `repr` has the whole file, with the passwords of its URLs
        raise _unreadable(file, f"not UTF-8 at byte {error.start}") from None
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise _unreadable(file, repr(error)) from error


def _unreadable(file: Path, why: object) -> BundleError:
    hint = "correct it, or write it again with the tool that made it"
    return BundleError(f"cannot read the lock {file}: {why}", hint=hint)


def _of_uv_lock(document: Mapping[str, Any], markers: Mapping[str, str]) -> Iterator[Locked]:
    if document.get("version") != _UV_LOCK:
        raise ValueError(f"version {document.get('version')!r}")
    for package in document.get("package", ()):
        source = package.get("source", {})
        if "version" in package and "registry" in source and _one_holds(package, markers):
            hashes = tuple(each["hash"] for each in _files_of(package) if "hash" in each)
            name, remote = normalised_name(package["name"]), source["registry"].startswith(_REMOTE)
            yield Locked(name, package["version"], hashes, is_indexed=remote or bool(hashes))


def _one_holds(package: Mapping[str, Any], markers: Mapping[str, str]) -> bool:
    texts = package.get("resolution-markers")
    return texts is None or any(_holds(text, markers) for text in texts)


def _of_pylock(document: Mapping[str, Any], markers: Mapping[str, str]) -> Iterator[Locked]:
    """Yields the packages of a PEP 751 file that the nodes get from an index."""
    if not str(document.get("lock-version", "")).startswith("1."):
        raise ValueError(f"lock-version {document.get('lock-version')!r}")
    for package in document.get("packages", ()):
        if "version" not in package or not _ELSEWHERE.isdisjoint(package):
            continue
        if _holds(package.get("marker"), markers):
            hashes = (each["hashes"].get("sha256") for each in _files_of(package))
            known = tuple(f"sha256:{each}" for each in hashes if each is not None)
            yield Locked(normalised_name(package["name"]), package["version"], known)


def _files_of(package: Mapping[str, Any]) -> list[Any]:
    return [*package.get("wheels", ()), *([package["sdist"]] if "sdist" in package else ())]


def _holds(text: str | None, markers: Mapping[str, str]) -> bool:
    if text is None:
        return True
    from packaging.markers import InvalidMarker, Marker, UndefinedEnvironmentName  # noqa: PLC0415 - 30 ms

    context = {**markers, "extras": set(), "dependency_groups": set(), "extra": ""}
    try:
        return Marker(text).evaluate(context)  # type: ignore[arg-type] # sets are PEP 751's
    except (InvalidMarker, UndefinedEnvironmentName, TypeError) as error:
        raise ValueError(f"marker {text!r}") from error


def _document(file: Path) -> dict[str, Any]:
    try:
        return loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise _unreadable(file, error) from error


def as_installed(lock: Lock, installed: Mapping[str, str]) -> Lock:
    """Returns the lock without the pins that differ from the installed versions."""
    pins = {
        name: version
        for name, version in lock.pins.items()
        if name not in installed or _same(version, installed[name])
    }
    return replace(lock, pins=pins, indexed=lock.indexed & pins.keys())


def differences(lock: Lock, distributions: Iterable[Distribution]) -> Iterator[Warning]:
    """Yields one warning if bundled distributions have other versions than the lock."""
    differing = [
        f"{each.name} {lock.pins[each.name]} (installed: {each.version})"
        for each in distributions
        if each.provided_by == "bundle"
        and each.name in lock.pins
        and not _same(lock.pins[each.name], each.version)
    ]
    if differing:
        sync = "`uv sync`" if lock.file.name == "uv.lock" else "an installation from it"
        text = f"{lock.file.name} and the environment differ: {first_of(sorted(differing), _SHOWN)}"
        yield Warning(text, lock.file, None, f"{sync} makes them equal")


def _same(one: str, other: str) -> bool:
    if one == other:
        return True
    from packaging.version import InvalidVersion, Version  # noqa: PLC0415 - as above

    try:
        return Version(one) == Version(other)
    except InvalidVersion:
        return False
