"""The one constructor of archive paths, and what two paths in one archive must not do to each other."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from raybundle.errors import RefusedFileError
from raybundle.model import ArchivePath

if TYPE_CHECKING:
    from collections.abc import Iterable

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_SURROGATE = re.compile("[\ud800-\udfff]")
"""How Python hands out bytes of a file name that are not UTF-8 (PEP 383)."""


def archive_path(text: str) -> ArchivePath:
    """Return `text` as a path inside an archive.

    Raises:
        RefusedFileError: it is not a relative POSIX path in NFC, or has `..` or control characters.
    """
    fault = _fault(text)
    if fault:
        raise RefusedFileError(f"file name {text!r} {fault}", hint="rename the file, or `exclude` it")
    return ArchivePath(text)


def normalised(text: str) -> str:
    """Return `text` in NFC: file systems of macOS hand out decomposed names."""
    if text.isascii():
        return text
    import unicodedata  # noqa: PLC0415 - a shared library that ASCII names never need

    return unicodedata.normalize("NFC", text)


def refuse_case_collisions(paths: Iterable[str]) -> None:
    """Refuse paths that would be one file on a file system that ignores case.

    Raises:
        RefusedFileError: lists every such pair.
    """
    seen: dict[str, str] = {}
    clashes = []
    for path in sorted(set(paths)):
        for known in _prefixes(path):
            other = seen.setdefault(known.casefold(), known)
            clash = f"`{other}` and `{known}`"
            if other != known and clash not in clashes:
                clashes.append(clash)
    if clashes:
        raise RefusedFileError(
            "paths differ only in case: " + "; ".join(clashes),
            hint="rename one of each pair, or `exclude` it",
        )


def refuse_composed_twins(files: Iterable[str]) -> None:
    """Refuse two files whose names differ only in how Unicode composes them: in an archive they are one.

    Raises:
        RefusedFileError: lists every such pair.
    """
    seen: dict[str, str] = {}
    twins = []
    for file in sorted(set(files)):
        other = seen.setdefault(normalised(file), file)
        if other != file:
            twins.append(f"{other!a} and {file!a}")
    if twins:
        raise RefusedFileError(
            "file names differ only in their Unicode form: " + "; ".join(twins),
            hint="rename one of each pair, or `exclude` it",
        )


def _prefixes(path: str) -> Iterable[str]:
    start = path.find("/")
    while start != -1:
        yield path[:start]
        start = path.find("/", start + 1)
    yield path


def _fault(text: str) -> str | None:
    if _CONTROL.search(text):
        return "has control characters"
    if _SURROGATE.search(text):
        return "is not valid UTF-8"
    if text != normalised(text):
        return "is not in Unicode normal form C"
    if any(part in {"", ".", ".."} for part in text.split("/")):
        return "is not a plain relative path"
    return None
