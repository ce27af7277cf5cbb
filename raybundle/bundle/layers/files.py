"""What travels of an installed distribution, as its RECORD lists it (docs/format.md, section 5.1)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from raybundle.errors import RefusedFileError
from raybundle.formats.lists import first_of
from raybundle.resolve.distributions.installed import InstalledDistribution
from raybundle.resolve.distributions.record import RECORD, RecordError, parse_record

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from pathlib import Path

    from raybundle.resolve.distributions.record import RecordedFile

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
_CACHE = "__pycache__"
_HARMLESS = frozenset({"distutils-precedence.pth", "a1_coverage.pth"})
"""Of setuptools, for builds by old `setup.py`; of coverage, for processes that are to be measured."""
_NAMESPACE = re.compile(r"import sys, types, os;.*sitedir'\], \*\(.*")
"""A line of an `-nspkg.pth` of setuptools: on a node all layers are one directory, which serves as well."""
_SHOWN = 3
"""Files that a message names; a distribution without sources has hundreds."""


@dataclass(frozen=True, slots=True)
class Contents:
    """The files of an installed distribution, by what becomes of them."""

    files: Mapping[str, str]
    """What travels: the hash of RECORD (`sha256=…` in base64, or empty) by path below the site directory.

    RECORD itself is among them, without a hash.
    """
    start_up: tuple[str, ...]
    """`.pth` files that may do something here that a node does not do."""
    outside: tuple[str, ...]
    """Files outside the site directory, except scripts, byte-code, headers, manuals and licences, and what
    desktops, shells and Jupyter look for: no job reads those."""


def read_contents(metadata: Path) -> Contents:
    """Returns the files of the distribution that a `.dist-info` describes.

    Raises:
        RefusedFileError: RECORD is missing or empty, or has lines that cannot be understood, or lists
            modules that have byte-code but no source.
    """
    rows = _rows(metadata / RECORD)
    listed = {each.path: each.hash for each in rows if not each.is_outside}
    if not listed:
        raise RefusedFileError(f"{metadata / RECORD}: it lists no file")
    start_up = (
        path for path in listed if path.endswith(".pth") and "/" not in path and path not in _HARMLESS
    )
    outside = (each.path for each in rows if each.is_outside and not _is_for_people(each.path))
    return Contents(
        _travelling({**listed, f"{metadata.name}/{RECORD}": ""}, metadata),
        tuple(sorted(path for path in start_up if _does_something(metadata.with_name(path)))),
        tuple(sorted(outside)),
    )


def _travelling(listed: Mapping[str, str], metadata: Path) -> dict[str, str]:
    travelling = {path: digest for path, digest in listed.items() if _travels(path, metadata.name, listed)}
    _refuse_byte_code(travelling, metadata)
    return {path: digest for path, digest in travelling.items() if not path.endswith(".pyc")}


def _refuse_byte_code(paths: Collection[str], metadata: Path) -> None:
    """Refuses byte-code that is no copy of a source: a node believes only what it can compile itself."""
    alone = sorted(path for path in paths if path.endswith(".pyc") and path[:-1] not in paths)
    if alone:
        each = InstalledDistribution.at(metadata)
        raise RefusedFileError(
            f"{each.name} {each.version}: {first_of(alone, _SHOWN)}: byte-code without a source",
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
    tags = InstalledDistribution.at(metadata).wheel_tags()
    if not tags or any(tag.endswith("-any") for tag in tags):
        return False
    return any(_is_machine_code(metadata.parent / path) for path in paths)


def _is_machine_code(file: Path) -> bool:
    try:
        with file.open("rb", buffering=0) as stream:
            return stream.read(4).startswith(_MACHINE_CODE)
    except OSError as error:
        raise RefusedFileError(f"{file}: {error.strerror}") from error


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


def _rows(record: Path) -> list[RecordedFile]:
    try:
        return list(parse_record(record.read_bytes(), strict=True))
    except OSError as error:
        raise RefusedFileError(f"{record}: {error.strerror}") from error
    except RecordError as error:
        raise RefusedFileError(f"{record}:{error.line}: {error}") from error


def _travels(path: str, metadata: str, listed: Mapping[str, str]) -> bool:
    head, _, rest = path.partition("/")
    if _CACHE in path.split("/"):
        return False
    if not rest:  # where `site` would carry them out; deeper ones are data, such as weights of a model
        return not path.endswith(".pth")
    if head == metadata:
        return not _LEFTOVER.fullmatch(rest)
    return head not in _SCRIPTS or f"{head}/__init__.py" in listed
