"""Keeps the facts of scanned files between runs, by file identity; a damaged cache is an empty one."""

# Why strings: paths here are the strings that `sys.path` holds; pathlib would cost ten times as much.
# ruff: noqa: PTH116

from __future__ import annotations

import gc
import hashlib
import json
import os
import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raybundle.errors import BundleError, RefusedFileError
from raybundle.graph.facts import FACTS_FORMAT, Facts, from_json, to_json
from raybundle.graph.scan import scan, scan_config

if TYPE_CHECKING:
    from collections.abc import Callable

    from raybundle.graph.conditions import Environment

YOUNG = 2_000_000_000
"""Nanoseconds: a file changed this recently may change again within one tick of its file system's clock."""

Identity = tuple[int, int, int, int]
"""Size, mtime_ns, inode, ctime_ns."""


@dataclass(frozen=True, slots=True)
class ScanCache:
    """Where facts are kept between runs."""

    directory: Path

    def read(self, name: str) -> dict[str, Any]:
        """Return the document called `name`, empty if there is none or it is damaged."""
        try:
            document = json.loads((self.directory / f"{name}.json").read_bytes())
        except (OSError, ValueError):
            return {}
        return document if isinstance(document, dict) else {}

    def write(self, name: str, document: dict[str, Any]) -> None:
        """Keep `document`; a cache that cannot be written costs time, never the build."""
        write_atomically(
            self.directory / f"{name}.json", json.dumps(document, separators=(",", ":")).encode()
        )


def write_atomically(path: Path, data: bytes) -> None:
    """Replace `path`, or leave it as it was where that is not possible."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary = path.with_name(f".{path.name}-{os.getpid()}-{time.monotonic_ns()}")
        try:
            temporary.write_bytes(data)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError:
        return


@dataclass(slots=True)
class Scanner:
    """Scans files for one project and one target, asking the cache first."""

    cache: ScanCache
    project: Path
    environment: Environment
    _known: dict[str, Any] = field(init=False)
    _changed: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self._known = self.cache.read(self._name())

    def facts(self, file: str) -> Facts:
        """Return what `file` imports.

        Raises:
            BundleError: it is no Python.
            RefusedFileError: it cannot be read.
        """
        return self._facts(file, lambda source: _scan_undisturbed(source, file, self.environment))

    def config(self, file: str) -> Facts:
        """Return what a configuration file names; one that cannot be read names nothing."""
        try:
            return self._facts(file, scan_config)
        except RefusedFileError:
            return Facts("")

    def mentions(self, file: str, word: str) -> bool:
        """Return whether the source of `file` has `word`."""
        return re.search(rb"\b" + re.escape(word.encode()) + rb"\b", read_source(file)) is not None

    def _facts(self, file: str, scanned: Callable[[bytes], Facts]) -> Facts:
        identity = _identity(file)
        known = self._remembered(file, identity)
        if known is not None:
            return known
        source = read_source(file)
        facts = self._confirmed(file, source) or scanned(source)
        young = time.time_ns() - max(identity[1], identity[3]) < YOUNG
        self._known[file] = [identity, young, to_json(facts)]
        self._changed = True
        return facts

    def save(self) -> None:
        """Write the cache, if anything in it is new."""
        if self._changed:
            self.cache.write(self._name(), self._known)

    def _remembered(self, file: str, identity: Identity) -> Facts | None:
        try:
            stored, young, facts = self._known[file]
            return None if young or tuple(stored) != identity else from_json(facts)
        except (KeyError, TypeError, ValueError):
            return None

    def _confirmed(self, file: str, source: bytes) -> Facts | None:
        """Facts about a young or moved file hold if its bytes are the same."""
        try:
            facts = from_json(self._known[file][2])
        except (KeyError, TypeError, ValueError, IndexError):
            return None
        return facts if facts.sha256 == hashlib.sha256(source).hexdigest() else None

    def _name(self) -> str:
        text = f"{FACTS_FORMAT} {self.project} {self.environment}"
        return f"scan-{hashlib.sha256(text.encode(errors='surrogateescape')).hexdigest()[:16]}"


def _scan_undisturbed(source: bytes, file: str, environment: Environment) -> Facts:
    """Scan without the cyclic garbage collector: trees have no cycles, and it costs a fifth of the time."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        return scan(source, file, environment)
    finally:
        if collecting:
            gc.enable()


def read_source(file: str) -> bytes:
    """Return the bytes of `file`.

    Raises:
        RefusedFileError: it cannot be read.
    """
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise _unreadable(file, error) from error


def _identity(file: str) -> Identity:
    try:
        status = os.stat(file)
    except OSError as error:
        raise _unreadable(file, error) from error
    return (status.st_size, status.st_mtime_ns, status.st_ino, status.st_ctime_ns)


def _unreadable(file: str, error: OSError) -> BundleError:
    return RefusedFileError(
        f"{file} is imported but cannot be read: {error.strerror}", hint="make the file readable"
    )
