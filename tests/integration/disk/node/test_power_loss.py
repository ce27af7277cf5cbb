"""A node's cache after a power loss or a kill at any moment: the next job has every byte."""

from __future__ import annotations

import shutil
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from tests.integration.disk.node.test_cache_damage import DRIVER, content_of, made, python
from tests.support.booting import last_json
from tests.support.power_loss import Disk, record

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.booting import Unpacked
    from tests.support.power_loss import Call

pytestmark = pytest.mark.slow

__all__ = ["python"]
NAMED = ("trees", "layers", "environments", "boot", "links")
"""Folders whose entries have their final names if these do not end in `.partial`, `.evicted` or `.new`."""
REPLAYS = 8
KILLS = 6


@pytest.fixture(scope="module")
def recorded(
    python: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Unpacked, list[Call], list[object]]:
    """A node that is about to run the job, the calls of its set-up, and what the job prints."""
    if shutil.which("strace") is None:
        pytest.skip("no strace here: install the package strace")
    directory = tmp_path_factory.mktemp("node")
    node = made(directory / "job", python)
    environ = {**node.environ, **DRIVER}
    done, calls = record([python, "job.py"], environ, node.scratch, directory / "log")
    return node, calls, last_json(done)


def final_names(disk: Disk, node: Unpacked) -> list[str]:
    """The files that are there under their final names, without records."""
    found = []
    for path in disk.files:
        folder, _, rest = path[len(str(node.private)) + 1 :].partition("/")
        top = rest.split("/")[0]
        if folder in NAMED and not top.endswith((".partial", ".evicted", ".new", ".files")):
            found.append(path)
    return found


def test_at_every_moment_a_final_name_has_bytes_that_are_on_the_disk(
    recorded: tuple[Unpacked, list[Call], list[object]],
) -> None:
    node, calls, _ = recorded
    disk, named = Disk(node.private), 0

    for call in calls:
        disk.do(call)
        if call.name in ("rename", "link", "write", "create"):
            late = set(disk.unsynced()) & set(final_names(disk, node))
            boot = {path for path in late if path.startswith(f"{node.private}/boot/")}  # named by its record
            assert late <= boot, (call.name, call.paths)
            named += call.name == "rename"

    assert named > 10
    assert not set(disk.unsynced()) & set(final_names(disk, node))


@pytest.mark.parametrize("number", range(REPLAYS))
def test_after_a_power_loss_the_next_job_has_every_byte(
    recorded: tuple[Unpacked, list[Call], list[object]], python: Path, number: int
) -> None:
    node, calls, expected = recorded
    points = [place for place, call in enumerate(calls) if call.name in ("rename", "link", "syncfs", "fsync")]
    assert_survived(node, calls[: points[number * len(points) // REPLAYS] + 1], python, expected)


@pytest.mark.wide
def test_after_a_power_loss_at_every_call_the_next_job_has_every_byte(
    recorded: tuple[Unpacked, list[Call], list[object]], python: Path
) -> None:
    node, calls, expected = recorded
    changing = [place for place, call in enumerate(calls) if call.paths[-1].startswith(str(node.private))]
    for place in changing[:: max(1, len(changing) // 150)]:
        assert_survived(node, calls[: place + 1], python, expected)


def assert_survived(node: Unpacked, calls: list[Call], python: Path, expected: list[object]) -> None:
    disk = Disk(node.private)
    disk.files[str(node.private)] = 0o700
    for call in calls:
        disk.do(call)
    disk.write(node.private)

    done = node.driver(python, "job.py")

    assert last_json(done) == expected, done.stderr
    assert_whole(node)


def assert_whole(node: Unpacked) -> None:
    left = [name for name in content_of(node) if name.endswith((".partial", ".evicted", ".new"))]
    assert left == []


@pytest.mark.parametrize("number", range(KILLS))
def test_after_a_kill_at_any_moment_the_next_job_has_every_byte(
    tmp_path: Path, python: Path, number: int
) -> None:
    kill_and_run(tmp_path, python, number / KILLS)


@pytest.mark.wide
def test_after_many_kills_in_a_row_the_junk_is_bounded(tmp_path: Path, python: Path) -> None:
    for number in range(100):
        kill_and_run(tmp_path, python, number / 100, again=1 + number % 3)


def kill_and_run(directory: Path, python: Path, share: float, again: int = 1) -> None:
    """Kills the set-up of a node, after a share of the time that it takes, then lets it end."""
    shutil.rmtree(directory / "job", ignore_errors=True)
    node = made(directory / "job", python)
    shutil.rmtree(node.private, ignore_errors=True)
    began = time.monotonic()
    expected = last_json(node.driver(python, "job.py"))
    took = time.monotonic() - began
    shutil.rmtree(node.private, ignore_errors=True)

    for _ in range(again):
        process = subprocess.Popen(
            [python, "job.py"], cwd=node.scratch, env={**node.environ, **DRIVER}, stdout=subprocess.PIPE,
            start_new_session=True,
        )  # fmt: skip
        time.sleep(share * took)
        process.kill()
        process.communicate()
    done = node.driver(python, "job.py")

    assert last_json(done) == expected, done.stderr
    assert_whole(node)
