"""Finds secrets in the files of a bundle. The cache has rules and lines by file digest, but never a value."""

from __future__ import annotations

import codecs
import os
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from raybundle.bundle.secrets.rules import CREDENTIAL_URI, SCHEME, rule_name, rule_table, rules_sha256
from raybundle.cache.documents import Kind
from raybundle.cache.room import latest
from raybundle.content import chunks_of, head_of, read
from raybundle.errors import UNREADABLE, BundleError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from raybundle.cache.documents import Cache
    from raybundle.model import CollectedFile

LARGEST = 16 * 1024 * 1024
"""Bytes of a file that are scanned. The rest of a larger file is not."""
PORTION = 4 * 1024 * 1024
"""Bytes of files that are searched together; a larger file is searched in parts."""
PART = 2 * 1024 * 1024
"""Bytes of a part."""
OVERLAP = 16 * 1024
"""Bytes at the end of a part that are searched again with the next one: a private key has 3,000."""
HEAD = 8192
"""Bytes at the start of a file; a zero among them makes the file binary, as in git."""
_KEPT = Kind("secrets", 4)
"""Verdicts by the digest of a file; one document per table of rules and scanner."""
_MOST = 200_000
"""Verdicts in one document; those that were needed longest ago make room."""
_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16: it starts with the same two bytes
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_SCANNER = "kingfisher_sdk"
_ROWS = (list, tuple)
"""Kinds of a verdict: as it was read, and as it was made."""

Verdict = tuple[tuple[str, int], ...]
"""Rule and line (from 1) of each finding; empty for a clean file."""


@dataclass(slots=True)
class SecretScanner:
    """Scans files that are not in the cache. The first file that may hold a secret loads the scanner."""

    cache: Cache
    _known: dict[str, Any] = field(init=False)
    _seen: dict[str, Any] = field(default_factory=dict, init=False)
    _changed: bool = field(default=False, init=False)
    _by_head: set[str] = field(default_factory=set, init=False)
    """Digests of large binary files, of which only the head was read: it may be that of another state."""

    def __post_init__(self) -> None:
        self._known = self.cache.read(_KEPT, self._name(), dict) or {}

    def verdicts(self, files: Sequence[CollectedFile]) -> list[Verdict]:
        """Returns the findings of the content rules in each file.

        Raises:
            BundleError: the scanner is not installed or cannot be loaded.
        """
        unknown = {file.sha256: file for file in files if self._verdict(file.sha256) is None}
        for some in _portions(unknown.values()):
            self._look(some)
        self._seen = {file.sha256: self._known[file.sha256] for file in files}
        return [self._verdict(file.sha256) or () for file in files]

    def _verdict(self, digest: str) -> Verdict | None:
        """Returns what is known of a file; None if that is nothing, or damaged."""
        rows: Any = self._known.get(digest)
        try:
            return tuple((str(rule), int(line)) for rule, line in rows) if type(rows) in _ROWS else None
        except UNREADABLE:
            return None

    def save(self) -> None:
        """Writes the cache if it has changed."""
        if self._changed:
            known, seen = (
                {digest: rows for digest, rows in each.items() if digest not in self._by_head}
                for each in (self._known, self._seen)
            )
            self.cache.write(_KEPT, self._name(), latest(known, seen, _MOST))

    def _look(self, files: Sequence[CollectedFile]) -> None:
        """Looks at files that fit into memory together, or at a large one in parts."""
        if files[0].size > PORTION and as_text(head_of(files[0], HEAD)) is None:
            self._known[files[0].sha256] = ()
            self._by_head.add(files[0].sha256)
            return
        found: dict[str, set[tuple[str, int]]] = {file.sha256: set() for file in files}
        texts = [(file.sha256, _text_of(file)) for file in files]
        some = [(digest, text) for digest, text in texts if text is not None]
        if files[0].size <= PORTION:
            for digest, verdict in self._search(some):
                found[digest].update(verdict)
        else:
            for digest, text in some:
                for before, part in _parts(text):
                    for _, verdict in self._search([(digest, part)]):
                        found[digest].update((rule, before + line) for rule, line in verdict)
        # Only now: without a scanner, or if a file has changed, nothing is known.
        self._known.update(
            (digest, sorted(each, key=lambda row: row[::-1])) for digest, each in found.items()
        )
        self._changed = True

    def _search(self, texts: Sequence[tuple[str, bytes]]) -> Iterator[tuple[str, Verdict]]:
        suspects = rule_table().suspects([text for _, text in texts])
        for (digest, text), suspect in zip(texts, suspects, strict=True):
            if suspect:
                yield digest, findings(load_scanner(self.cache.directory / "secret-rules"), text)

    def _name(self) -> str:
        return self.cache.key(rules_sha256(), _scanner_version())


def as_text(data: bytes) -> bytes | None:
    """Returns the text to scan, UTF-16 and UTF-32 with a byte order mark as UTF-8; None for a binary file."""
    data = data[:LARGEST]
    for mark, codec in _MARKS.items():
        if data.startswith(mark):
            return data.decode(codec, "replace").encode("utf-8", "replace")
    return None if b"\0" in data[:HEAD] else data


@lru_cache(maxsize=1)
def load_scanner(rules: Path) -> Any:
    """Returns the scanner. It keeps compiled rules in the directory `rules`, and never uses the network.

    Raises:
        BundleError: it is not installed or cannot be loaded.
    """
    try:
        from kingfisher_sdk import Rules, Scanner  # noqa: PLC0415 - 0.5 s that few builds need
    except ImportError as error:
        raise BundleError(
            f"cannot scan for secrets: {error}",
            hint="install `kingfisher-secret-scanner` in raybundle's environment",
        ) from error
    # Without a policy, a comment such as `pragma: allowlist secret` has no effect.
    return Scanner(Rules(cache_dir=rules), base64=False, redact=True)


def findings(scanner: Any, text: bytes) -> Verdict:
    """Returns the findings that stop a build, by line. Of several at one place, the longest counts."""
    places: dict[int, tuple[int, str, int]] = {}
    for each in scanner.scan(text):
        rule, place = rule_name(each.rule_id), each.location
        if rule != CREDENTIAL_URI and _counts(each, rule, text):
            widest = (place["start_offset"] - place["end_offset"], rule, place["line"])
            places[place["start_offset"]] = min(widest, places.get(place["start_offset"], widest))
    found = {(rule, line) for _, rule, line in places.values()}
    strings = {line for rule, line in found if rule.endswith("connection-string")}
    found.update((CREDENTIAL_URI, line) for line in _credentials(scanner, text) if line not in strings)
    return tuple(sorted(found, key=lambda each: each[::-1]))


def _counts(finding: Any, rule: str, text: bytes) -> bool:
    """Returns whether a finding stops a build: not a part of another, not a placeholder, a rule that fits."""
    return finding.visible and finding.confidence != "low" and rule_table().may_break(rule, text)


def _credentials(scanner: Any, text: bytes) -> set[int]:
    """Returns the lines of URLs with a password. `https` replaces schemes that the scanner does not know."""
    if not rule_table().may_break(CREDENTIAL_URI, text):
        return set()
    found = [
        each for each in scanner.scan(SCHEME.sub(b"https", text)) if each.rule_id.endswith(CREDENTIAL_URI)
    ]
    return {each.location["line"] for each in found if _counts(each, CREDENTIAL_URI, text)}


def _text_of(file: CollectedFile) -> bytes | None:
    """Returns what is scanned of a file; None for a binary one.

    Raises:
        BundleError: the file is no longer what was hashed.
    """
    if file.size <= LARGEST:
        return as_text(read(file))
    start = bytearray()
    for data in chunks_of(file):
        start += data[: LARGEST - len(start)]
    return as_text(bytes(start))


def _parts(text: bytes) -> Iterator[tuple[int, bytes]]:
    """Yields parts of a text with the number of lines before each; the next one has what spans two."""
    start, line = 0, 0
    while start < len(text):
        end = min(start + PART, len(text))
        # Where no line begins nearby, such as in JSON, a part begins and ends in the middle of one.
        cut = end if end == len(text) else text.rfind(b"\n", start + PART // 2, end) + 1 or end
        yield line, text[start:cut]
        following = cut
        if cut < len(text):
            following = text.rfind(b"\n", cut - 2 * OVERLAP, cut - OVERLAP) + 1 or cut - OVERLAP
        line += text.count(b"\n", start, following)
        start = following


def _portions(files: Iterable[CollectedFile]) -> Iterator[list[CollectedFile]]:
    """Yields the files in portions that fit into memory; a larger one is alone."""
    some: list[CollectedFile] = []
    size = 0
    for file in files:
        if some and size + file.size > PORTION:
            yield some
            some, size = [], 0
        some.append(file)
        size += file.size
    if some:
        yield some


def _scanner_version() -> str:
    """Returns the version of the installed scanner from the name of its metadata, without loading it."""
    spec = find_spec(_SCANNER)
    if spec is None or spec.origin is None:
        return "none"
    directory = os.path.dirname(os.path.dirname(spec.origin))  # noqa: PTH120 - a string, as `sys.path` has it
    names = [name for name in os.listdir(directory) if name.startswith("kingfisher_secret_scanner-")]  # noqa: PTH208
    return " ".join(sorted(names)) or "unknown"
