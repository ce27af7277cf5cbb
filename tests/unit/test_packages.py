"""Archives of layers as packages: whole, or cut so that the parts together are what was cut."""

from __future__ import annotations

import hashlib
import io
import random
import re
import tracemalloc
import zipfile
from typing import TYPE_CHECKING

import pytest

from raybundle.bundle.layers.archive import NO_ARCHIVE, read_member
from raybundle.errors import DigestMismatchError
from raybundle.submission.packages import data_packages, package_name, packages_of
from tests.support.layer_archives import make_layer

if TYPE_CHECKING:
    from pathlib import Path

CONTENT = random.Random(7).randbytes(50_000)  # noqa: S311 - any bytes that do not compress
_, KEY, ARCHIVE = make_layer("big", {"big/__init__.py": b"", "big/data.bin": CONTENT})
STEM = KEY[7:-4]
_, OTHER_KEY, OTHER_ARCHIVE = make_layer("other", {"other.py": b""})


def damage_of(key: str, archive: bytes) -> str | None:
    """Returns what is wrong with an archive; None if it is intact."""
    try:
        packages_of(key, io.BytesIO(archive))
    except DigestMismatchError as error:
        return str(error)
    return None


def test_an_archive_that_fits_is_a_package_as_it_is() -> None:
    [package] = packages_of(KEY, io.BytesIO(ARCHIVE))

    assert package.data == ARCHIVE
    assert package.name == f"_ray_pkg_raybundle_{hashlib.sha256(ARCHIVE).hexdigest()}.zip"


def test_a_large_archive_is_cut_into_packages_that_fit_and_together_are_its_content() -> None:
    members: dict[str, bytes] = {}
    with zipfile.ZipFile(io.BytesIO(ARCHIVE)) as archive:
        document, content = archive.read(f"{STEM}.json"), archive.read(f"{STEM}.zip")
    packages = list(packages_of(KEY, io.BytesIO(ARCHIVE), largest=20_000))

    for number, package in enumerate(packages):
        assert len(package.data) <= 20_000
        assert package.name == package_name(package.data)
        with zipfile.ZipFile(io.BytesIO(package.data)) as zipped:
            assert zipped.namelist() == [f"{STEM}.json", f"{STEM}.zip.{number:03}"]
            assert zipped.read(f"{STEM}.json") == document
            members[f"{STEM}.zip.{number:03}"] = zipped.read(f"{STEM}.zip.{number:03}")
    assert len(packages) == 4
    assert b"".join(members[name] for name in sorted(members)) == content


def test_the_same_archive_gives_the_same_packages() -> None:
    first, second = (list(packages_of(KEY, io.BytesIO(ARCHIVE), largest=20_000)) for _ in range(2))

    assert first == second


def test_the_byte_code_of_a_layer_is_named_by_its_listing() -> None:
    _, key, archive = make_layer("code", {"__pycache__/six.cpython-311.pyc": b"x"})
    stem = key[7:-4]
    other = f"{'ab' * 32}-cpython-311-{stem}"
    renamed = make_other(archive, stem, other)

    assert damage_of(f"layers/{other}.zip", renamed) is None


@pytest.mark.parametrize("declared", [None, 10])
def test_a_deflated_document_is_refused_before_it_is_inflated(declared: int | None) -> None:
    """As it is, and with a directory that tells a small size."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as zipped:
        zipped.writestr(f"{STEM}.json", bytes(100 << 20))
        zipped.writestr(f"{STEM}.zip", b"")
    bomb = buffer.getvalue()
    with zipfile.ZipFile(buffer) as zipped:
        info = zipped.getinfo(f"{STEM}.json")
        info.file_size = declared or info.file_size
        tracemalloc.start()
        try:
            assert damage_of(KEY, bomb) is not None
            with pytest.raises(NO_ARCHIVE):
                read_member(zipped, info)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert len(bomb) < 200_000
    assert peak < 4 << 20


def make_other(archive: bytes, old: str, new: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as source, zipfile.ZipFile(buffer, "w") as target:
        for name in source.namelist():
            target.writestr(name.replace(old, new), source.read(name))
    return buffer.getvalue()


def spoil(position: int) -> bytes:
    data = bytearray(ARCHIVE)
    data[position] ^= 1
    return bytes(data)


@pytest.mark.parametrize(
    "damaged",
    [
        spoil(ARCHIVE.index(CONTENT) + 9),
        spoil(ARCHIVE.index(b'"executable"') + 3),
        ARCHIVE[:-30],
        ARCHIVE[: len(ARCHIVE) // 2],
        b"",
        make_other(ARCHIVE, ".zip", ".other"),
        make_other(ARCHIVE, STEM, "0" * 64),
        make_other(OTHER_ARCHIVE, OTHER_KEY[7:-4], STEM),
    ],
)
def test_a_damaged_archive_is_not_sent(damaged: bytes) -> None:
    assert damage_of(KEY, ARCHIVE) is None
    assert damage_of(KEY, damaged) is not None
    with pytest.raises(DigestMismatchError, match=re.escape(KEY)):
        list(packages_of(KEY, io.BytesIO(damaged)))


@pytest.mark.parametrize("largest", [20_000, 90_000])
def test_what_changes_after_it_was_compared_is_not_taken_for_sent(tmp_path: Path, largest: int) -> None:
    """The store is a directory of this machine. Its packages are remembered if all of them were sent."""
    data, archive = tmp_path / "data", tmp_path / "archive"
    data.write_bytes(CONTENT)
    archive.write_bytes(ARCHIVE)
    with data.open("rb") as stream, archive.open("rb") as layer:
        of_layer = packages_of(KEY, layer, largest)
        data.write_bytes(CONTENT[:-1] + b"?")
        archive.write_bytes(spoil(ARCHIVE.index(CONTENT) + 40_000))

        with pytest.raises(DigestMismatchError):
            list(data_packages(hashlib.sha256(CONTENT).hexdigest(), stream, largest))
        if largest > len(ARCHIVE):
            assert [package.data for package in of_layer] == [ARCHIVE]
        else:
            with pytest.raises(DigestMismatchError):
                list(of_layer)
