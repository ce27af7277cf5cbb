"""Which layer documents and archives of layers are believed."""

from __future__ import annotations

import hashlib
import io
import zipfile
from typing import Any

import pytest

from raybundle.bundle.layers.archive import check_archive
from raybundle.bundle.layers.document import is_compiled, parse_document
from raybundle.errors import DigestMismatchError
from raybundle.formats.canonical import canonical_json
from tests.support.layer_archives import make_layer, zipped

HASH = "ab" * 32


def row(path: str, size: int = 1, sha256: str = HASH) -> dict[str, Any]:
    return {"executable": False, "path": path, "sha256": sha256, "size": size}


def document(*rows: dict[str, Any]) -> bytes:
    return canonical_json({"files": list(rows), "format": 1, "name": "a", "version": "1"})


@pytest.mark.parametrize("name", ["a" * 252, "\u30e2" * 80])
def test_a_source_whose_byte_code_would_have_too_long_a_name_is_not_compiled(name: str) -> None:
    assert not is_compiled(f"pkg/{name}.py")
    assert is_compiled(f"{name}/{name[:79]}.py")


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([row("b"), row("a")], "b comes before a"),
        ([row("a"), row("a", 2)], "a comes before a"),
        ([row("a"), row("a-b"), row("a/b")], "a is a file and a folder"),
        ([row("a", -1)], "size -1"),
        ([row("a", 2**53)], "size 9007199254740992"),
        ([row("a", sha256="AB" * 32)], "sha256 'AB"),
        ([row("a", sha256="ab" * 31)], "sha256 'ab"),
    ],
)
def test_a_document_that_no_layer_has_is_refused(rows: list[dict[str, Any]], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_document(document(*rows))


def test_a_document_in_order_is_taken() -> None:
    data = document(row("a-b"), row("a/b"), row("a0"))

    assert parse_document(data).format() == data


def bomb(document: bytes, files: dict[str, bytes], packed: int = zipfile.ZIP_DEFLATED) -> bytes:
    """An archive whose content inflates to more than its document says."""
    inner, outer = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(inner, "w", packed) as archive:
        for path, data in files.items():
            archive.writestr(path, data)
    name = hashlib.sha256(document).hexdigest()
    with zipfile.ZipFile(outer, "w") as archive:
        archive.writestr(f"{name}.json", document)
        archive.writestr(f"{name}.zip", inner.getvalue())
    return outer.getvalue()


def test_an_object_that_inflates_to_more_than_its_document_says_is_not_read_to_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read = 0
    plain = zipfile.ZipExtFile.read

    def counted(stream: zipfile.ZipExtFile, n: int | None = -1) -> bytes:
        nonlocal read
        data = plain(stream, n)
        read += len(data)
        return data

    monkeypatch.setattr(zipfile.ZipExtFile, "read", counted)
    data = document(row("a"))
    object_ = bomb(data, {"a": bytes(16 << 20)})

    with pytest.raises(DigestMismatchError, match="a in x does not match"):
        check_archive(io.BytesIO(object_), hashlib.sha256(data).hexdigest(), "x")
    assert read < 4 << 20


def test_an_object_with_members_that_are_not_as_they_are_packed_here_is_refused() -> None:
    entry, _, plain = make_layer("a", {"a.py": b"", "a-1.dist-info/RECORD": b""})
    name = entry.digest.removeprefix("sha256:")
    check_archive(io.BytesIO(plain), name, "x")
    with zipfile.ZipFile(io.BytesIO(plain)) as archive:
        members = {each: archive.read(each) for each in archive.namelist()}
    squeezed = io.BytesIO()
    with zipfile.ZipFile(squeezed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in members.items():
            archive.writestr(path, data)
    data = document(row("a", 0, hashlib.sha256(b"").hexdigest()))

    assert zipped(members) == plain
    for other, named in (
        (squeezed.getvalue(), name),
        (bomb(data, {"a": b""}, zipfile.ZIP_LZMA), hashlib.sha256(data).hexdigest()),
    ):
        with pytest.raises(DigestMismatchError, match="packed in another way"):
            check_archive(io.BytesIO(other), named, "x")
