"""What travels of an installed distribution, as its RECORD lists it (docs/format.md, section 5.1)."""

from __future__ import annotations

import csv
import io
import posixpath
import re
import unicodedata
from typing import TYPE_CHECKING

from raybundle.errors import RefusedFileError
from raybundle.resolve.distributions.installed import normalised_name

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from pathlib import Path

RECORD = "RECORD"
_FIELDS = 3
"""Path, hash, size: https://packaging.python.org/en/latest/specifications/recording-installed-packages/"""
_LEFTOVER = re.compile(r"INSTALLER|REQUESTED|direct_url\.json|uv_[^/]*\.json")
"""What installers leave in `.dist-info`: how a distribution came here, not what it is."""
_SCRIPTS = frozenset({"bin", "Scripts"})
"""Folders of scripts; beside the packages where an installer was given a directory (`--target`)."""
_FOR_PEOPLE = _SCRIPTS | {
    *("include", "man", "doc", "docs", "info", "licenses", "jupyter", "applications", "icons", "metainfo"),
    *("bash-completion", "bash_completion.d", "zsh", "fish"),
}
"""Folders outside of the site directory whose files no job reads."""
_TO_READ = re.compile(
    r"([a-z_-]*licen[cs]es?|copying|copyright|notices?|authors|readme|changelog|changes)"
    r"([-_.](apache|mit|bsd|l?gpl)[-.0-9]*)?(\.(txt|md|rst|html))?",
    re.IGNORECASE,
)
"""Files outside of the site directory that no job reads."""
_MACHINE_CODE = (
    *(b"\x7fELF", b"MZ"),
    *(b"\xfe\xed\xfa\xce", b"\xfe\xed\xfa\xcf", b"\xce\xfa\xed\xfe", b"\xcf\xfa\xed\xfe"),
    *(b"\xca\xfe\xba\xbe", b"\xca\xfe\xba\xbf"),
)
"""How programs and libraries of Linux, Windows and macOS begin; the last two hold several of macOS."""
_TAG = re.compile(r"^Tag:[ \t]*(\S+)", re.MULTILINE)
_DRIVE = re.compile(r"[A-Za-z]:")
_CACHE = "__pycache__"
_HARMLESS = frozenset({"distutils-precedence.pth", "a1_coverage.pth"})
"""Of setuptools, for builds by old `setup.py`; of coverage, for processes that are to be measured."""
_NAMESPACE = re.compile(r"import sys, types, os;.*sitedir'\], \*\(.*")
"""A line of an `-nspkg.pth` of setuptools: on a node all layers are one directory, which serves as well."""
_SHOWN = 3
"""Files that a message names; a distribution without sources has hundreds."""


def listed_files(metadata: Path) -> dict[str, str]:
    """Returns what travels of a distribution: the hash that RECORD has, by path below its site directory.

    A hash is `sha256=…` in base64 as RECORD has it, or empty. RECORD itself is in it, without one.

    Raises:
        RefusedFileError: RECORD is missing or empty, or has lines that cannot be understood, or lists
            modules of which there is byte-code alone.
    """
    listed = dict(_rows(metadata / RECORD))
    if not listed:
        raise RefusedFileError(f"{metadata / RECORD}: it lists no file")
    listed[f"{metadata.name}/{RECORD}"] = ""
    travelling = {path: digest for path, digest in listed.items() if _travels(path, metadata.name, listed)}
    _refuse_byte_code(travelling, metadata)
    return {path: digest for path, digest in travelling.items() if not path.endswith(".pyc")}


def _refuse_byte_code(paths: Collection[str], metadata: Path) -> None:
    """Refuses byte-code that is no copy of a source: a node believes only what it can compile itself."""
    alone = sorted(path for path in paths if path.endswith(".pyc") and path[:-1] not in paths)
    if alone:
        more = f" and {len(alone) - _SHOWN} more" if len(alone) > _SHOWN else ""
        name, _, version = metadata.name.removesuffix(".dist-info").rpartition("-")
        raise RefusedFileError(
            f"{normalised_name(name)} {version}: "
            f"{', '.join(alone[:_SHOWN])}{more}: byte-code without a source",
            hint="install it on the nodes, and name it in `cluster-provides`",
        )


def is_for_one_platform(metadata: Path, paths: Iterable[str]) -> bool:
    """Returns whether a wheel says so by its tags, and some of what travels is machine code.

    That need not be called a library: programs are not. But a wheel whose programs all lie where no job looks
    for them has such tags too, and so has what was built here without its optional extension.
    https://packaging.python.org/en/latest/specifications/platform-compatibility-tags/

    Raises:
        RefusedFileError: a file cannot be read.
    """
    try:
        tags = _TAG.findall((metadata / "WHEEL").read_text("utf-8", errors="replace"))
    except OSError:
        return False
    if not tags or any(tag.endswith("-any") for tag in tags):
        return False
    return any(_is_machine_code(metadata.parent / path) for path in paths)


def _is_machine_code(file: Path) -> bool:
    try:
        with file.open("rb", buffering=0) as stream:
            return stream.read(4).startswith(_MACHINE_CODE)
    except OSError as error:
        raise RefusedFileError(f"{file}: {error.strerror}") from error


def start_up_files(metadata: Path) -> list[str]:
    """Returns the `.pth` files of a distribution that may do something at home which a node does not."""
    listed = dict(_rows(metadata / RECORD))
    found = (path for path in listed if path.endswith(".pth") and "/" not in path and path not in _HARMLESS)
    return sorted(path for path in found if _does_something(metadata.with_name(path)))


def outside_files(metadata: Path) -> list[str]:
    """Returns the files of a distribution elsewhere than below its site directory, as RECORD spells them.

    Scripts, byte-code, headers, manuals, licences, and what desktops, shells and Jupyter look for are no
    part of a run.
    """
    found = (
        row[0].replace("\\", "/") for row, place in _parsed(metadata / RECORD) if not _normalised(row, place)
    )
    return sorted(path for path in found if not _is_for_people(path))


def _is_for_people(path: str) -> bool:
    *folders, name = path.split("/")
    return path.endswith(".pyc") or not _FOR_PEOPLE.isdisjoint(folders) or bool(_TO_READ.fullmatch(name))


def _does_something(file: Path) -> bool:
    try:
        lines = file.read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return False  # and so at home
    said = [line for line in lines if line.strip() and not line.startswith("#")]
    return not all(file.name.endswith("-nspkg.pth") and _NAMESPACE.fullmatch(line) for line in said)


def _rows(record: Path) -> Iterator[tuple[str, str]]:
    """Yields path and hash of each file that lies below the site directory."""
    for row, place in _parsed(record):
        path = _normalised(row, place)
        if path is not None:
            yield path, row[1]


def _parsed(record: Path) -> Iterator[tuple[list[str], str]]:
    """Yields the rows that are not empty, and where each stands."""
    reader = csv.reader(io.StringIO(_read(record), newline=""), strict=True)
    try:
        yield from ((row, f"{record}:{reader.line_num}") for row in reader if row)
    except csv.Error as error:
        raise RefusedFileError(f"{record}:{reader.line_num}: {error}") from error


def _read(record: Path) -> str:
    try:
        data = record.read_bytes()
    except OSError as error:
        raise RefusedFileError(f"{record}: {error.strerror}") from error
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        text = data.splitlines()[line - 1] if data else b""
        raise RefusedFileError(f"{record}:{line}: not UTF-8: {text!r}") from error


def _normalised(row: list[str], place: str) -> str | None:
    """Returns the path of a row, or None for what lies elsewhere: scripts, manual pages, other sites."""
    if len(row) != _FIELDS or not row[0]:
        raise RefusedFileError(f"{place}: not a path, a hash and a size: {','.join(row)!r}")
    path = posixpath.normpath(row[0].replace("\\", "/"))
    if path.startswith("/") or path.split("/", 1)[0] == ".." or _DRIVE.match(path):
        return None
    if path == "." or any(unicodedata.category(character) == "Cc" for character in path):
        raise RefusedFileError(f"{place}: not the path of a file: {row[0]!r}")
    return path


def _travels(path: str, metadata: str, listed: dict[str, str]) -> bool:
    head, _, rest = path.partition("/")
    if _CACHE in path.split("/"):
        return False
    if not rest:  # where `site` would carry them out; deeper ones are data, such as weights of a model
        return not path.endswith(".pth")
    if head == metadata:
        return not _LEFTOVER.fullmatch(rest)
    return head not in _SCRIPTS or f"{head}/__init__.py" in listed
