"""Which files of an installed distribution a layer has (docs/format.md, section 5.1)."""

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
"""Files of `.dist-info` that say how a distribution was installed, not what it is."""
_SCRIPTS = frozenset({"bin", "Scripts"})
"""Folders of scripts; they are beside the packages after an installation with `--target`."""
_FOR_PEOPLE = _SCRIPTS | {
    *("include", "man", "doc", "docs", "info", "licenses", "jupyter", "applications", "icons", "metainfo"),
    *("bash-completion", "bash_completion.d", "zsh", "fish"),
}
"""Folders outside the site directory whose files no job reads."""
_TO_READ = re.compile(
    r"([a-z_-]*licen[cs]es?|copying|copyright|notices?|authors|readme|changelog|changes)"
    r"([-_.](apache|mit|bsd|l?gpl)[-.0-9]*)?(\.(txt|md|rst|html))?",
    re.IGNORECASE,
)
"""Files outside the site directory that no job reads."""
_MACHINE_CODE = (
    *(b"\x7fELF", b"MZ"),
    *(b"\xfe\xed\xfa\xce", b"\xfe\xed\xfa\xcf", b"\xce\xfa\xed\xfe", b"\xcf\xfa\xed\xfe"),
    *(b"\xca\xfe\xba\xbe", b"\xca\xfe\xba\xbf"),
)
"""First bytes of programs and libraries: of Linux, Windows and macOS; the last two hold several."""
_CACHE = "__pycache__"
_HARMLESS = frozenset({"distutils-precedence.pth", "a1_coverage.pth"})
"""`.pth` files that no job needs: of setuptools for old `setup.py` builds, and of coverage."""
_NAMESPACE = re.compile(r"import sys, types, os;.*sitedir'\], \*\(.*")
"""A line of setuptools' `-nspkg.pth`. A node needs none: there, all layers are in one directory."""
_SHOWN = 3
"""Files that a message lists; a distribution without sources has hundreds."""


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
        raise RefusedFileError(f"{metadata / RECORD}: it lists no files")
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
    """Refuses byte-code without its source: a node trusts only what it can compile itself."""
    alone = sorted(path for path in paths if path.endswith(".pyc") and path[:-1] not in paths)
    if alone:
        each = InstalledDistribution.at(metadata)
        raise RefusedFileError(
            f"{each.name} {each.version}: {first_of(alone, _SHOWN)}: byte-code without a source",
            hint="install it on the nodes, and name it in `cluster-provides`",
        )


def is_for_one_platform(metadata: Path, paths: Iterable[str]) -> bool:
    """Returns whether the tags of the wheel name a platform and one of `paths` is machine code.

    The tags alone do not decide: a wheel also has them if all its programs are outside the site directory, or
    if it was built without its optional extension. Nor do suffixes: a program has none.
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
        return False  # nor does it do anything here
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
    if not rest:  # `site` runs them only here; deeper ones are data, such as weights of a model
        return not path.endswith(".pth")
    if head == metadata:
        return not _LEFTOVER.fullmatch(rest)
    return head not in _SCRIPTS or f"{head}/__init__.py" in listed
