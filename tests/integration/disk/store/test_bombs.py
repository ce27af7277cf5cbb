"""A bundle that says it is small, or a gigabyte: no command has more in memory than it needs."""

from __future__ import annotations

import hashlib
import json
import sys
import zipfile
from typing import TYPE_CHECKING

import pytest

from raybundle.formats.canonical import canonical_json, digest_of
from tests.support.workplace import Workplace, make_workplace

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

BOMB = 256 << 20
"""Bytes of zeros in the archive."""
MOST = 192 << 10
"""KiB that a command may have in memory; Python and its modules are half of that."""
MEASURED = """if True:
    import sys
    from raybundle.cli.main import main
    code = main(sys.argv[1:])
    status = open("/proc/self/status").read()  # getrusage counts what the parent had when it forked
    print(status.partition("VmHWM:")[2].split()[0], code)"""


def bomb(store: Path, digest: str, declared: int) -> str:
    """Returns the digest of the same bundle whose script is `declared` bytes, and in the archive zeros."""
    folder = store / "bundles" / digest.removeprefix("sha256:")
    document = json.loads((folder / "manifest.json").read_bytes())
    document["files"][0]["size"] = declared
    manifest = canonical_json(document)
    spoiled = store / "bundles" / digest_of(manifest).removeprefix("sha256:")
    spoiled.mkdir()
    (spoiled / "manifest.json").write_bytes(manifest)
    (spoiled / "graph.json").write_bytes((folder / "graph.json").read_bytes())
    [whole] = folder.glob("*-*.zip")
    young = spoiled / "young.zip"
    with (
        zipfile.ZipFile(whole) as old,
        zipfile.ZipFile(young, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as new,
    ):
        for name in old.namelist():
            with new.open(name, "w", force_zip64=True) as member:
                if name == document["files"][0]["path"]:
                    for _ in range(BOMB >> 20):
                        member.write(bytes(1 << 20))
                else:
                    member.write(manifest if name == "manifest.json" else old.read(name))
    stem = f"{whole.name.partition('-')[0]}-{hashlib.sha256(young.read_bytes()).hexdigest()}"
    young.rename(spoiled / f"{stem}.zip")
    for delivery in folder.glob("*-*.json"):
        (spoiled / f"{stem}.json").write_bytes(delivery.read_bytes())
    return digest_of(manifest)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    place = tmp_path_factory.mktemp("bombs")
    made = make_workplace(place / "work", VIRTUAL_ENV=sys.prefix, RAYBUNDLE_STORE=str(place / "store"))
    (made.directory / "job.py").write_text("print(1)\n")
    return made


@pytest.mark.parametrize(
    ("declared", "codes"),
    [
        (5, ["3", "3", "3"]),
        (1 << 30, ["3", "4", "4"]),
    ],  # what is over 1 MiB must be an object, which is missing
    ids=["says 5 bytes", "says a gigabyte"],
)
def test_a_member_that_inflates_is_refused_before_it_is_in_memory(
    work: Workplace, declared: int, codes: list[str]
) -> None:
    digest = bomb(work.directory.parent / "store", work.build("job.py"), declared)
    out = str(work.directory / f"out-{declared}")

    for words, expected in zip(
        (["verify", digest], ["pull", digest, out], ["run", "--here", digest]), codes, strict=True
    ):
        done = work.command([sys.executable, "-c", MEASURED, *words])
        said = done.stdout + done.stderr

        memory, code = done.stdout.splitlines()[-1].split()
        assert code == expected, said
        assert int(memory) < MOST, said
        assert "Traceback" not in said
