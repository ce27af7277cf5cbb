"""A full or read-only disk below a store: one error, nothing half, and the same command works later."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.small_disk import small_disk
from tests.support.small_project import tree
from tests.support.workplace import make_workplace

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

MIB = 1 << 20
FILES = {
    "job.py": "open('data.bin').close()\n",
    "pyproject.toml": '[tool.raybundle]\ninclude = ["data.bin"]\n',
}


def said(stderr: str) -> list[str]:
    return [line.partition(" ")[0] for line in stderr.splitlines() if line and not line.startswith("  ")]


@pytest.mark.parametrize("size", [64 << 10, 2 * MIB], ids=["no room at all", "room for a part"])
def test_a_full_disk_is_one_error_and_after_it_the_store_is_whole(tmp_path: Path, size: int) -> None:
    work = make_workplace(tmp_path / "work", VIRTUAL_ENV=sys.prefix)
    tree(work.directory, FILES)
    (work.directory / "data.bin").write_bytes(os.urandom(3 * MIB))
    with small_disk(tmp_path / "disk", size) as disk:
        store = ("--store", str(disk / "store"))
        full = work.raybundle("build", *store, "job.py")
        halves = [each for each in disk.rglob("*") if each.is_file() and ".incoming" in each.parts]
        subprocess.run(["mount", "-o", f"remount,size={32 * MIB}", str(disk)], check=True)
        built = work.raybundle("build", *store, "job.py")
        checked = work.raybundle("check", "--read-data", *store)

    assert (full.returncode, said(full.stderr)) == (4, ["error:", "hint:"]), full.stderr
    assert "No space left on device" in full.stderr
    assert halves == []
    assert built.returncode == 0, built.stderr
    assert checked.returncode == 0, checked.stdout


def test_a_read_only_disk_is_one_error_for_a_build_and_none_for_those_who_read(tmp_path: Path) -> None:
    work = make_workplace(tmp_path / "work", VIRTUAL_ENV=sys.prefix)
    tree(work.directory, {"job.py": "print(1)\n"})
    with small_disk(tmp_path / "disk", 32 * MIB) as disk:
        store = ("--store", str(disk / "store"))
        digest = work.build(*store, "job.py")
        (work.directory / "job.py").write_text("print(2)\n")
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        refused = work.raybundle("build", *store, "job.py")
        probed = work.raybundle("store", "probe", str(disk / "store"))
        shown = work.raybundle("show", *store, digest)

    assert (refused.returncode, said(refused.stderr)) == (4, ["error:", "hint:"]), refused.stderr
    assert "Read-only file system" in refused.stderr
    assert (probed.returncode, said(probed.stderr)) == (4, ["error:", "hint:"]), probed.stderr
    assert shown.returncode == 0, shown.stderr
