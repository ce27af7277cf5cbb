"""The one constructor of archive paths, and what two paths in one archive must not do to each other."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from raybundle.errors import RefusedFileError
from raybundle.model import ArchivePath

if TYPE_CHECKING:
    from collections.abc import Iterable

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""Categories Cc, Zl and Zp, and what turns the direction of the text around it: a name with one of them looks
like another. Joiners and marks are left, which names in some languages and emoji need."""
_NATIVE = re.compile(r".*\.(so(\.[0-9.]+)?|pyd|dylib)", re.DOTALL)
_SURROGATE = re.compile("[\ud800-\udfff]")
"""How Python hands out bytes of a file name that are not UTF-8 (PEP 383)."""


def is_native(path: str) -> bool:
    """Return whether a file of this name runs on one platform only: an extension or a library."""
    return _NATIVE.fullmatch(path) is not None


def archive_path(text: str) -> ArchivePath:
    """Return `text` as a path inside an archive.

    Raises:
        RefusedFileError: it is not a relative POSIX path in NFC, or has `..`, a backslash or characters that
            are not seen.
    """
    fault = path_fault(text)
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
    clashes = case_collisions(paths)
    if clashes:
        raise RefusedFileError(
            "paths differ only in case: " + "; ".join(clashes),
            hint="rename one of each pair, or `exclude` it",
        )


def case_collisions(paths: Iterable[str]) -> list[str]:
    """Return the pairs of paths, and of folders of them, that differ only in case."""
    seen: dict[str, str] = {}
    clashes: dict[str, None] = {}
    for path in sorted(set(paths)):
        for known in _prefixes(path):
            other = seen.setdefault(known.casefold(), known)
            if other != known:
                clashes[f"`{other}` and `{known}`"] = None
    return list(clashes)


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


def path_fault(text: str) -> str | None:
    """Return why no file of a bundle may have this path, or None if one may."""
    if _CONTROL.search(text):
        return "has control characters"
    if _SURROGATE.search(text):
        return "is not valid UTF-8"
    if text != normalised(text):
        return "is not in Unicode normal form C"
    if "\\" in text:
        return "has a backslash"
    if any(part in {"", ".", ".."} for part in text.split("/")):
        return "is not a plain relative path"
    return None
