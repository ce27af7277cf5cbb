"""Scans source files once: their facts are kept between runs, by file identity."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from raybundle.cache.documents import Kind
from raybundle.cache.identity import Identity, identity_of, is_young, note_read, read_noted, read_source
from raybundle.cache.room import latest
from raybundle.errors import UNREADABLE, BundleError, RefusedFileError
from raybundle.formats.pickles import LARGEST_TEXT, is_pickle, is_text, too_large
from raybundle.resolve.facts import Facts, UnknownImport, from_json, to_json
from raybundle.resolve.scan.strings import is_program

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from raybundle.cache.documents import Cache
    from raybundle.resolve.interpreter.markers import Environment


_SCANS = Kind("scans", 64)
"""The facts of a project's files for one target: tab-separated lines."""
_FILES = 100_000
"""Files in one document; those that were needed longest ago make room."""
_BEFORE = "'"
"""Follows the path of a file in the row of what it was before: a branch and back stays warm."""
_Found = TypeVar("_Found", "Facts", "Facts | None")


@dataclass(slots=True)
class Scanner:
    """Scans files for one project and one target, asking the cache first."""

    cache: Cache
    project: Path
    environment: Environment
    consulted: dict[str, tuple[Identity, str]] = field(default_factory=dict)
    """What an answer depends on: identity, taken before the file was read, and SHA-256 of what was read."""
    refused: set[str] = field(default_factory=set)
    """Files that could not be read or parsed; an answer depends on what they are."""
    _began: int = field(init=False)
    """Nanoseconds of the clock, from before the first file was read."""
    _known: dict[str, str] = field(init=False)
    """By quoted path in the project: identity, age and facts as JSON, which is decoded when it is asked for.
    A mark after the path tells of what the file was before."""
    _others: dict[str, str] = field(default_factory=dict, init=False)
    """The same of the project that was scanned last, for one that is new: it may be another checkout."""
    _ready: dict[str, Facts] = field(default_factory=dict, init=False)
    _identities: dict[str, Identity] = field(default_factory=dict, init=False)
    _changed: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self._began = self.cache.clock()
        lines = self.cache.read_text(_SCANS, self._name()).splitlines()
        self._known = _rows(lines)
        if not lines and (other := self.cache.latest(_SCANS, self._target())):
            self._others = _rows(self.cache.read_text(_SCANS, other).splitlines())

    def facts(self, file: str) -> Facts:
        """Returns what `file` imports.

        Raises:
            BundleError: it is no Python.
            RefusedFileError: it cannot be read.
        """
        return self._facts(file, lambda source: _scan(source, file, self.environment))

    def config(self, file: str) -> Facts:
        """Returns what a configuration file or a pickle names; one that cannot be read names nothing."""
        try:
            if is_text(file) and identity_of(file)[0] <= LARGEST_TEXT:
                return self._facts(file, _scan_text)
            if not (is_pickle(file) or is_text(file)):
                return self._facts(file, lambda source: _scan_config(source, file, self.environment))
            fault = "" if is_text(file) else too_large(identity_of(file)[0], file)
            if fault is None:
                return self._facts(file, lambda data: _scan_pickle(data, file, self.environment))
            self.refused.add(file)
            return Facts("", unknown=(UnknownImport(1, fault),) if fault else ())
        except RefusedFileError:
            self.refused.add(file)
            return Facts("")

    def _facts(self, file: str, scanned: Callable[[bytes], Facts]) -> Facts:
        try:
            facts = self._ready.get(file) or self.remembered(file) or self._scanned(file, scanned)
        except BundleError:
            self.refused.add(file)
            raise
        note_read(self.consulted, file, self._identities[file], facts.sha256)
        return facts

    def remembered(self, file: str) -> Facts | None:
        """Returns the facts of `file` if they are known and it did not change since.

        Raises:
            RefusedFileError: there is no such file.
        """
        identity, place = identity_of(file), self._place(file)
        row = _split(self._known.get(place, ""))
        if row is not None and row[1] == "old" and row[0] == json.dumps(identity):
            return self._ready_with(file, identity, _decoded(row[2]))
        kept = (self._known.get(place), self._known.get(place + _BEFORE), self._others.get(place))
        rows = [row for row in map(_split, filter(None, kept)) if row is not None]
        return self._confirmed(file, identity, rows) if rows else None

    def accept(self, file: str, identity: list[int], facts: list[Any]) -> Facts:
        """Takes facts that another process read, and returns them."""
        size, mtime, inode, ctime = identity
        self._keep(file, (size, mtime, inode, ctime), facts)
        return self._ready_with(file, (size, mtime, inode, ctime), from_json(facts))

    def _scanned(self, file: str, scanned: Callable[[bytes], Facts]) -> Facts:
        identity = identity_of(file)
        source = read_source(file)
        facts = scanned(source)
        self._keep(file, identity, to_json(facts))
        return self._ready_with(file, identity, facts)

    def _ready_with(self, file: str, identity: Identity, facts: _Found) -> _Found:
        if facts is not None:
            self._identities[file] = identity
            self._ready[file] = facts
        return facts

    def read(self, file: str) -> bytes:
        """Returns the bytes of a file that is not a module but an input of the answer.

        Raises:
            RefusedFileError: it cannot be read.
        """
        return read_noted(file, self.consulted)

    def _keep(self, file: str, identity: Identity, facts: list[Any]) -> None:
        self._note(file, identity, json.dumps(facts, separators=(",", ":")))

    def _note(self, file: str, identity: Identity, text: str) -> None:
        age = "young" if is_young(identity, self._began) else "old"
        place = self._place(file)
        before = self._known.get(place)
        if before is not None and not before.endswith(f"\t{text}"):
            self._known[place + _BEFORE] = before
        self._known[place] = f"{json.dumps(identity)}\t{age}\t{text}"
        self._changed = True

    def save(self) -> None:
        """Writes the cache, if anything in it is new."""
        if self._changed:
            used = {name: self._known[name] for name in map(self._place, self._ready)}
            lines = (f"{name}\t{rest}\n" for name, rest in latest(self._known, used, _FILES).items())
            self.cache.write_text(_SCANS, self._name(), "".join(lines))

    def _confirmed(self, file: str, identity: Identity, rows: list[list[str]]) -> Facts | None:
        """Facts about a file that is young, or is another one, hold if its bytes are the same."""
        digest = hashlib.sha256(read_source(file)).hexdigest()
        for _, _, text in rows:
            facts = _decoded(text) if digest in text else None
            if facts is not None and facts.sha256 == digest:
                self._note(file, identity, text)
                return self._ready_with(file, identity, facts)
        return None

    def _place(self, file: str) -> str:
        """Returns the quoted path of a file: from the project, if it is there: a checkout may be anywhere."""
        return json.dumps(file.removeprefix(f"{self.project}/"))

    def _target(self) -> str:
        return self.cache.key(str(self.environment))[:16]

    def _name(self) -> str:
        return f"{self._target()}-{self.cache.key(str(self.project))[:16]}"


def _rows(lines: list[str]) -> dict[str, str]:
    return {name: rest for name, _, rest in (line.partition("\t") for line in lines)}


def _split(row: str) -> list[str] | None:
    """Returns identity, age and facts as they are kept."""
    parts = row.split("\t", 2)
    return parts if len(parts) == 3 else None  # noqa: PLR2004 - as said


def _decoded(text: str) -> Facts | None:
    try:
        return from_json(json.loads(text))
    except UNREADABLE:
        return None


def _scan(source: bytes, file: str, environment: Environment) -> Facts:
    from raybundle.resolve.scan.scan import scan  # noqa: PLC0415 - a warm start parses nothing

    return scan(source, file, environment)


def _scan_pickle(data: bytes, file: str, environment: Environment) -> Facts:
    from raybundle.resolve.scan.scan import scan_pickle, scan_program  # noqa: PLC0415 - as above

    return (scan_program(data, file, environment) if is_program(file) else None) or scan_pickle(data, file)


def _scan_text(data: bytes) -> Facts:
    from raybundle.resolve.scan.scan import scan_text  # noqa: PLC0415 - as above

    return scan_text(data)


def _scan_config(source: bytes, file: str, environment: Environment) -> Facts:
    from raybundle.resolve.scan.scan import scan_config, scan_program  # noqa: PLC0415 - as above

    return (scan_program(source, file, environment) if is_program(file) else None) or scan_config(source)
