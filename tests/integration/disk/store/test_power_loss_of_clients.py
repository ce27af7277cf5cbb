"""A local store and the cache of a client after a power loss: an object is whole, a document is made anew."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from raybundle.publish.content.checking import check_store
from raybundle.publish.content.objects import open_shelf
from raybundle.store.local import LocalStore
from tests.support.power_loss import Disk, record

if TYPE_CHECKING:
    from pathlib import Path

    from raybundle.cache.documents import Cache

pytestmark = pytest.mark.slow

REPLAYS = 3


def test_after_a_power_loss_objects_are_whole_and_the_next_build_is_the_same(
    tmp_path: Path, cache: Cache
) -> None:
    if shutil.which("strace") is None:
        pytest.skip("no strace here: install the package strace")
    project, home = tmp_path / "project", tmp_path / "home"
    project.mkdir()
    home.mkdir()
    (project / "job.py").write_text('open("large.bin", "rb").close()\n')
    (project / "large.bin").write_bytes(os.urandom(1_200_000))
    environ = {"PATH": os.environ["PATH"], "HOME": str(home)}
    command = [sys.executable, "-m", "raybundle", "--store", str(home / "store"), "build", "job.py"]

    done, calls = record(command, environ, project, tmp_path / "log")

    assert done.returncode == 0, done.stderr
    disk, objects = Disk(home), set()
    disk.files[str(home)] = 0o700
    for call in calls:
        disk.do(call)
        if call.name == "link":
            objects.add(call.paths[-1])
        assert not objects & set(disk.unsynced()), call.paths
    assert len(objects) >= 5
    changing = [place for place, call in enumerate(calls) if call.name in ("rename", "link", "unlink")]
    for number in range(REPLAYS):
        disk = Disk(home)
        disk.files[str(home)] = 0o700
        for call in calls[: changing[number * len(changing) // REPLAYS] + 1]:
            disk.do(call)
        disk.write(home)

        again = subprocess.run(command, cwd=project, env=environ, capture_output=True, text=True, check=False)

        assert (again.returncode, again.stdout) == (0, done.stdout), again.stderr
        assert check_store(open_shelf(LocalStore(home / "store"), cache), read_data=True).findings == ()
