"""Makes and checks archive paths, and finds paths that collide in one archive."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from raybundle.errors import RefusedFileError
from raybundle.model import ArchivePath

if TYPE_CHECKING:
    from collections.abc import Iterable

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""Unicode categories Cc, Zl and Zp, and characters that change the direction of text: they make a name look
like another. Joiners and marks are allowed, because names in some languages and emoji need them."""
_NATIVE = re.compile(r".*\.(so(\.[0-9.]+)?|pyd|dylib)", re.DOTALL)
_SURROGATE = re.compile("[\ud800-\udfff]")
"""Python represents bytes of a file name that are not UTF-8 by these (PEP 383)."""


def is_native(path: str) -> bool:
    """Returns whether the name is that of an extension or a library, which runs on one platform only."""
    return _NATIVE.fullmatch(path) is not None


def archive_path(text: str) -> ArchivePath:
    """Returns `text` as a path inside an archive.

    Raises:
        RefusedFileError: `text` is not a relative POSIX path in NFC, or has `..`, a backslash or control
            characters.
    """
    fault = path_fault(text)
    if fault:
        raise RefusedFileError(f"file name {text!r} {fault}", hint="rename the file, or `exclude` it")
    return ArchivePath(text)


def normalised(text: str) -> str:
    """Returns `text` in NFC. File systems of macOS return decomposed names."""
    if text.isascii():
        return text
    import unicodedata  # noqa: PLC0415 - a shared library that ASCII names do not need

    return unicodedata.normalize("NFC", text)


def refuse_case_collisions(paths: Iterable[str]) -> None:
    """Refuses paths that are the same file on a file system that ignores case.

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
    """Returns the pairs of paths, or of their folders, that differ only in case."""
    seen: dict[str, str] = {}
    clashes: dict[str, None] = {}
    folder: str | None = None
    for path in sorted(set(paths)):
        above, folder = folder, path.rpartition("/")[0]
        for known in (path,) if folder == above else _prefixes(path):
            other = seen.setdefault(known.casefold(), known)
            if other != known:
                clashes[f"`{other}` and `{known}`"] = None
    return list(clashes)


def refuse_composed_twins(files: Iterable[str]) -> None:
    """Refuses files whose names are the same in NFC, because they would be one file in an archive.

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
    """Returns why a file of a bundle must not have this path; None if it may."""
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
