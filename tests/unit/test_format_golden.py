"""Format 1 is what it was: these digests are committed and never change (docs/format.md)."""

from __future__ import annotations

import hashlib
import io
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from raybundle.bundle.layers.describe import with_record
from raybundle.bundle.layers.document import LayerDocument, LayerFile
from raybundle.bundle.manifest import format_manifest, parse_manifest
from raybundle.bundle.pack import boot_digest, pack
from raybundle.bundle.values import Manifest, ManifestFile, ModuleEntry, Provided, PythonTag, ScriptEntry
from raybundle.errors import BundleError
from raybundle.formats.canonical import digest_of
from raybundle.model import ArchivePath, Digest, RootSymbol
from tests.support.collected import collected_file

if TYPE_CHECKING:
    from collections.abc import Mapping

FORMAT_PAGE = Path(__file__).parents[2] / "docs" / "format.md"

CONTENTS: Mapping[str, tuple[bytes, bool]] = {
    "project/job.py": (b'from greeting import text\n\nprint(text("Zo\xc3\xab"))\n', False),
    "project/run.sh": (b"#!/bin/sh\nexec python job.py\n", True),
    "root-1/greeting/__init__.py": (b'def text(name):\n    return f"hello {name}"\n', False),
    "root-1/greeting/gr\u00fc\u00dfe.txt": (b"", False),
}
"""The files of the worked example: bytes, and whether executable."""

FILES = tuple(
    collected_file(path, data, executable=executable) for path, (data, executable) in CONTENTS.items()
)

EXAMPLE = Manifest(
    target=ScriptEntry(ArchivePath("project/job.py")),
    python=PythonTag("cpython", "3.12"),
    path=(RootSymbol("project:."), RootSymbol("stdlib"), RootSymbol("root:1"), RootSymbol("ray")),
    files=tuple(ManifestFile(file.path, file.executable, file.size, file.sha256) for file in FILES),
    provided=(Provided("numpy", "2.4.1"),),
)
EXAMPLE_DIGEST = "sha256:c40dc9fc20a05e69e07a5737c9d356d4e92aa720b6fce17e753d1c0bc117933e"

LAYER = LayerDocument(
    "six",
    "1.17.0",
    with_record(
        [
            LayerFile("six-1.17.0.dist-info/METADATA", False, 4, hashlib.sha256(b"Name").hexdigest()),  # noqa: FBT003
            LayerFile("six,too.py", True, 0, hashlib.sha256(b"").hexdigest()),  # noqa: FBT003
        ],
        "six-1.17.0.dist-info/RECORD",
    ),
)
LAYER_DIGEST = "sha256:00a88f4d9b6f325dde1269ba593f6c2043637311e3a55072c3d410e1e87ba9e6"

LAST_PATH = "root-1/greeting/gr\u00fc\u00dfe.txt".encode()
"""What is put in its place stays in order."""

NATIVE = replace(
    EXAMPLE,
    target=ModuleEntry("greeting"),
    python=PythonTag("cpython", "3.12", "cpython-312-x86_64-linux-gnu", "linux-x86_64"),
    provided=(),
)
NATIVE_DIGEST = "sha256:ea03c32a382a3c6c4386a6e65185d8532e8ee89282db4523fab77551e13d3cd2"

LIBC = replace(NATIVE, python=replace(NATIVE.python, libc="glibc 2.28"))
LIBC_DIGEST = "sha256:a00e909db42e3124864600b870073821a277b3a9c2601e84a4ad938d5e00707c"

ANY_VERSION = replace(EXAMPLE, provided=(Provided("megatron-core"), Provided("numpy", "2.4.1")))
ANY_VERSION_DIGEST = "sha256:274a3e7d6d20d27cefc6044395515160289ee0d2c11b6a828708a8c14f2c38cb"


@pytest.mark.parametrize(
    ("manifest", "digest"),
    [
        pytest.param(EXAMPLE, EXAMPLE_DIGEST, id="script"),
        pytest.param(NATIVE, NATIVE_DIGEST, id="module"),
        pytest.param(LIBC, LIBC_DIGEST, id="libc"),
        pytest.param(ANY_VERSION, ANY_VERSION_DIGEST, id="any version"),
    ],
)
def test_a_digest_of_format_1_never_changes(manifest: Manifest, digest: str) -> None:
    data = format_manifest(manifest)

    assert digest_of(data) == digest
    assert parse_manifest(data, Digest(digest)) == manifest


def test_the_worked_example_of_the_specification_is_what_the_code_writes() -> None:
    page = FORMAT_PAGE.read_text(encoding="utf-8")

    assert format_manifest(EXAMPLE).decode() in page
    assert EXAMPLE_DIGEST in page


@pytest.mark.parametrize(
    ("found", "replaced_by"),
    [
        pytest.param(b'"format":1', b'"format": 1', id="a space"),
        pytest.param(b'"format":1', b'"comment":"x","format":1', id="an unknown key"),
        pytest.param(b'"format":1', b'"format":2', id="another format"),
        pytest.param(LAST_PATH, b"root-1/z/../../../x", id="a path that leads out"),
        pytest.param(LAST_PATH, b"root-1/z\\\\x", id="a backslash"),
        pytest.param(b'job.py"}}', b'job.py"}}\n', id="a newline at the end"),
    ],
)
def test_another_spelling_of_a_manifest_is_refused(found: bytes, replaced_by: bytes) -> None:
    data = format_manifest(EXAMPLE).replace(found, replaced_by)

    assert data != format_manifest(EXAMPLE)

    with pytest.raises(BundleError):
        parse_manifest(data, digest_of(data))


def test_the_order_of_files_does_not_change_an_archive() -> None:
    manifest = format_manifest(EXAMPLE)

    assert pack(manifest, FILES) == pack(manifest, tuple(reversed(FILES)))


def test_an_archive_has_the_members_that_the_specification_names() -> None:
    archive = pack(format_manifest(EXAMPLE), FILES)

    with zipfile.ZipFile(io.BytesIO(archive.data)) as members:
        found = {info.filename: info.external_attr >> 16 for info in members.infolist()}
        times = {info.date_time for info in members.infolist()}
    assert found == {
        ".raybundle/manifest.json": 0o100644,
        ".raybundle/raybundle_absent.py": 0o100644,
        ".raybundle/raybundle_agent.py": 0o100644,
        ".raybundle/raybundle_boot.py": 0o100644,
        ".raybundle/raybundle_content.py": 0o100644,
        ".raybundle/raybundle_environment.py": 0o100644,
        ".raybundle/raybundle_evict.py": 0o100644,
        ".raybundle/raybundle_data.py": 0o100644,
        ".raybundle/raybundle_fetch.py": 0o100644,
        ".raybundle/raybundle_fill.py": 0o100644,
        ".raybundle/raybundle_init.py": 0o100644,
        ".raybundle/raybundle_layers.py": 0o100644,
        ".raybundle/raybundle_links.py": 0o100644,
        ".raybundle/raybundle_materialise.py": 0o100644,
        ".raybundle/raybundle_parallel.py": 0o100644,
        ".raybundle/raybundle_verify.py": 0o100644,
        ".raybundle/raybundle_record.py": 0o100644,
        ".raybundle/raybundle_place.py": 0o100644,
        ".raybundle/raybundle_check.py": 0o100644,
        ".raybundle/raybundle_path.py": 0o100644,
        ".raybundle/raybundle_reaper.py": 0o100644,
        ".raybundle/raybundle_scratch.py": 0o100644,
        ".raybundle/raybundle_secrets.py": 0o100644,
        ".raybundle/raybundle_seen.py": 0o100644,
        ".raybundle/raybundle_serve.py": 0o100644,
        ".raybundle/raybundle_signature.py": 0o100644,
        ".raybundle/root-1/greeting/__init__.py": 0o100644,
        ".raybundle/root-1/greeting/gr\u00fc\u00dfe.txt": 0o100644,
        "job.py": 0o100644,
        "run.sh": 0o100755,
        "sitecustomize.py": 0o100644,
    }
    assert list(found) == sorted(found)
    assert times == {(1980, 1, 1, 0, 0, 0)}
    assert archive.sha256 == hashlib.sha256(archive.data).hexdigest()


def test_the_digest_of_a_boot_is_over_its_names_and_contents() -> None:
    boot = {"b.py": b"B", "a.py": b"A"}
    listing = "".join(f"{hashlib.sha256(boot[name]).hexdigest()}  {name}\n" for name in ("a.py", "b.py"))

    assert boot_digest(boot) == hashlib.sha256(listing.encode()).hexdigest()


def test_the_digest_of_a_layer_is_what_it_was() -> None:
    assert LAYER.record().decode().splitlines()[0] == (
        '"six,too.py",sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,0'
    )
    assert LAYER.digest() == LAYER_DIGEST
