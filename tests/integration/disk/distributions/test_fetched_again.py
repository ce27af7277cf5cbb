from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from raybundle.wheels import fetch
from tests.support.client import Client, versions
from tests.support.wheels import make_wheel

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def client(tmp_path: Path) -> Client:
    for name in ("site", "links"):
        (tmp_path / name).mkdir()
    return Client(tmp_path)


@pytest.mark.parametrize("name", ["alpha-1.0.dist-info", "beta-1.0.dist-info"])
def test_what_is_not_whole_any_more_is_fetched_again(client: Client, name: str) -> None:
    alpha = client.install("alpha-1.0", requires=["beta"])
    make_wheel(client.links, "beta-1.0")
    first = client.retargeted(alpha, python="3.12").distributions[0].metadata
    assert first is not None
    shutil.rmtree(first.parent / name)

    assert versions(client.retargeted(alpha, python="3.12")) == {"alpha": "1.0", "beta": "1.0"}
    assert (first.parent / name).is_dir()


def test_making_room_leaves_no_half_directory_when_it_is_killed(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    for number in range(fetch.KEPT + 1):
        (kept / f"{number}/alpha-1.0.dist-info").mkdir(parents=True)
        os.utime(kept / str(number), (number, number))
    for name, seconds in ((".partial-now", time.time()), (".partial-long-ago", 0)):
        (kept / name).mkdir()
        os.utime(kept / name, (seconds, seconds))
    code = """
import os, shutil, signal, sys
from pathlib import Path
from raybundle.wheels.fetch import make_room
shutil.rmtree = lambda *args, **more: os.kill(os.getpid(), signal.SIGKILL)
make_room(Path(sys.argv[1]), Path(sys.argv[1], sys.argv[2]))
"""

    done = subprocess.run([sys.executable, "-c", code, kept, str(fetch.KEPT)], check=False)

    assert done.returncode == -signal.SIGKILL
    assert not (kept / "0").exists()
    fetch.make_room(kept, kept / str(fetch.KEPT))
    left = [".partial-now", *(str(number) for number in range(1, fetch.KEPT + 1))]
    assert sorted(each.name for each in kept.iterdir()) == left


def test_a_wheel_that_was_built_again_is_fetched_again(client: Client) -> None:
    alpha = client.install("alpha-1.0")
    first = client.retargeted(alpha, python="3.12").distributions[0].metadata
    make_wheel(client.links, "alpha-1.0", files={"alpha.py": b"built = 'again'"})

    second = client.retargeted(alpha, python="3.12").distributions[0].metadata

    assert first is not None
    assert second is not None
    assert (second.parent / "alpha.py").read_text() == "built = 'again'"
    assert first != second
