"""Laws of the manifest: what is written can be read, and nothing but content decides the digest."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raybundle.bundle.manifest import format_manifest, parse_manifest
from raybundle.bundle.pack import pack
from raybundle.bundle.values import Manifest, ManifestFile, ModuleEntry, Provided, PythonTag, ScriptEntry
from raybundle.errors import BundleError
from raybundle.formats.archive_paths import is_native
from raybundle.formats.canonical import digest_of
from raybundle.model import ArchivePath, RootSymbol
from tests.support.collected import collected_file

if TYPE_CHECKING:
    from random import Random

NAMES = st.text(
    st.characters(
        exclude_categories=["Cc", "Cs", "Zl", "Zp"],
        exclude_characters="/\\\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069",
    ),
    min_size=1,
    max_size=8,
).filter(lambda name: name not in (".", "..") and unicodedata.normalize("NFC", name) == name)
PATHS = st.lists(NAMES, min_size=1, max_size=3).map(lambda parts: ArchivePath("/".join(["project", *parts])))
CONTENT = st.tuples(st.booleans(), st.binary(max_size=20))


def can_stand_together(files: dict[ArchivePath, tuple[bool, bytes]]) -> bool:
    """Whether no path is another's folder or differs from it in case alone, and none needs a platform."""
    whole = [path.casefold() for path in files]
    parts = {"/".join(path.split("/")[:end]) for path in files for end in range(1, path.count("/") + 2)}
    return (
        len({part.casefold() for part in parts}) == len(parts)
        and not any(one.startswith(f"{two}/") for one in whole for two in whole)
        and not any(map(is_native, files))
    )


FILES = st.dictionaries(PATHS, CONTENT, max_size=5).filter(can_stand_together)


def manifest_of(files: dict[ArchivePath, tuple[bool, bytes]], *, module: str | None = None) -> Manifest:
    listed = tuple(
        ManifestFile(path, executable, len(data), hashlib.sha256(data).hexdigest())
        for path, (executable, data) in files.items()
    )
    target = ModuleEntry(module) if module else ScriptEntry(ArchivePath("project/job.py"))
    python = PythonTag("cpython", "3.12")
    return Manifest(
        target, python, (RootSymbol("project:."), RootSymbol("ray")), listed, (Provided("a", "1"),)
    )


@given(FILES)
def test_what_is_written_is_read_back(files: dict[ArchivePath, tuple[bool, bytes]]) -> None:
    manifest = manifest_of(dict(sorted(files.items())), module="a.b")
    data = format_manifest(manifest)

    assert parse_manifest(data, digest_of(data)) == manifest


@given(FILES, st.randoms())
def test_the_order_of_discovery_never_changes_the_digest(
    files: dict[ArchivePath, tuple[bool, bytes]], random: Random
) -> None:
    shuffled = list(files.items())
    random.shuffle(shuffled)

    assert format_manifest(manifest_of(dict(shuffled))) == format_manifest(manifest_of(files))


@given(FILES, FILES)
def test_two_sets_of_files_have_one_digest_only_if_they_are_equal(
    one: dict[ArchivePath, tuple[bool, bytes]], two: dict[ArchivePath, tuple[bool, bytes]]
) -> None:
    same = digest_of(format_manifest(manifest_of(one))) == digest_of(format_manifest(manifest_of(two)))

    assert same == (one == two)


@settings(deadline=None)
@given(FILES)
def test_an_archive_is_made_of_content_alone(files: dict[ArchivePath, tuple[bool, bytes]]) -> None:
    collected = [
        collected_file(path, data, executable=executable) for path, (executable, data) in files.items()
    ]

    assert pack(b"{}", collected).sha256 == pack(b"{}", collected[::-1]).sha256


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "project/../../x",
        "project",
        "project//x",
        "project/./x",
        "project/a\\b",
        "project/a\nb",
        "",
    ],
)
def test_a_manifest_with_a_path_that_leads_elsewhere_is_refused(path: str) -> None:
    document = json.loads(format_manifest(manifest_of({}, module="a.b")))
    document["files"] = [{"path": path, "executable": False, "size": 0, "sha256": "0" * 64}]
    data = json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()

    with pytest.raises(BundleError):
        parse_manifest(data, digest_of(data))


@pytest.mark.parametrize(
    "paths", [["project/a", "project/A"], ["project/a", "project/a/b"], ["project/a"] * 2]
)
def test_a_manifest_whose_files_would_overwrite_each_other_is_refused(paths: list[str]) -> None:
    document = json.loads(format_manifest(manifest_of({}, module="a.b")))
    entry = {"executable": False, "size": 0, "sha256": "0" * 64}
    document["files"] = [{**entry, "path": path} for path in paths]
    data = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()

    with pytest.raises(BundleError):
        parse_manifest(data, digest_of(data))


@pytest.mark.parametrize("change", ["extra", "format", "spaces", "order"])
def test_a_manifest_that_is_not_canonical_or_unknown_is_refused(change: str) -> None:
    document = json.loads(format_manifest(manifest_of({}, module="a.b")))
    match change:
        case "extra":
            document["extra"] = 1
        case "format":
            document["format"] = 2
        case "order":
            document = dict(reversed(document.items()))
    separators = (", ", ": ") if change == "spaces" else (",", ":")
    data = json.dumps(document, sort_keys=change != "order", separators=separators).encode()

    with pytest.raises(BundleError):
        parse_manifest(data, digest_of(data))
