"""The job's own working directory on several nodes with Ray: shared by its processes, and gone after it."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.bed import processes_in
from tests.support.nodes import GCS_PORT, Nodes
from tests.support.workplace import reports

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.integration.nodes.conftest import ThreeNodes
    from tests.support.workplace import Workplace

pytestmark = pytest.mark.nodes

NAMES = ("n0", "n1", "n2")
PATIENCE = 90.0
"""Seconds until what a job has left counts as left for ever; Ray knows of a lost node after some."""


def left_on(nodes: Nodes, node: str) -> list[str]:
    """What a node has of jobs: directories, files, and the processes that are to remove them."""
    listed = nodes.run(node, ["ls", "/tmp/raybundle-0/jobs"], check=False).stdout.split()
    listed = [name for name in listed if name != "making"]
    return listed + [str(process) for process in find(nodes, node, "/raybundle_reaper.py")]


def all_on(nodes: Nodes) -> dict[str, list[str]]:
    """What each node has of earlier jobs: detached actors, such as those of Ray Data, outlive theirs."""
    return {name: left_on(nodes, name) for name in NAMES}


def wait_until_empty(nodes: Nodes, *names: str, before: Mapping[str, list[str]] | None = None) -> None:
    """Waits until nodes have nothing of jobs, but for what was there before."""
    deadline = time.monotonic() + PATIENCE
    for name in names:
        while left := set(left_on(nodes, name)).difference((before or {}).get(name, ())):
            assert time.monotonic() < deadline, (name, left)
            time.sleep(0.2)


def test_the_same_job_again_and_two_at_once_start_from_the_same_files(
    three_nodes: ThreeNodes, tmp_path: Path
) -> None:
    work, before = three_nodes.workplace(tmp_path / "work", "scratch_share"), all_on(three_nodes.nodes)

    alone = work.raybundle("submit", "fit.py")
    with ThreadPoolExecutor(2) as pool:
        at_once = list(pool.map(lambda _: work.raybundle("submit", "fit.py"), range(2)))

    for done in (alone, *at_once):
        assert done.returncode == 0, done.stdout + done.stderr
        assert "LR used 0.1 " in done.stdout
        assert "tool says original" in done.stdout
    assert "by __file__: 0.1\n" in alone.stdout
    wait_until_empty(three_nodes.nodes, *NAMES, before=before)


def test_a_jobs_processes_share_the_directory_of_the_command_on_each_node(
    three_nodes: ThreeNodes, tmp_path: Path
) -> None:
    work, before = three_nodes.workplace(tmp_path / "work", "scratch_nodes"), all_on(three_nodes.nodes)
    (work.directory / "experiments/a").mkdir(parents=True)
    words = ("submit", "../../job.py", "n0", "n1", "n2")
    expected = [["n0", "experiments/a", [], 1]]
    expected += [
        [name, "experiments/a", ["counts.db"] * (name == "n0"), 1 + (name == "n0")] for name in NAMES
    ]
    expected += [[name, "experiments/a", ["counts.db"], 2 + (name == "n0")] for name in NAMES]

    with ThreadPoolExecutor(2) as pool:
        both = list(
            pool.map(lambda _: work.raybundle(*words, cwd=work.directory / "experiments/a"), range(2))
        )

    for done in both:
        assert done.returncode == 0, done.stdout + done.stderr
        assert reports(done.stdout) == [expected]
    wait_until_empty(three_nodes.nodes, *NAMES, before=before)


OUTSIDE = """
import json, os, sys, time
import ray

ray.init(runtime_env=json.loads(sys.argv[1]), log_to_driver=False)

@ray.remote(num_cpus=0, max_calls=1, resources={"n1": 1})
def look():
    seen = sorted(os.listdir())
    open("mine.txt", "w").close()
    return [os.path.dirname(os.getcwd()), seen, os.path.exists(os.environ["RAYBUNDLE_SCRATCH"] + "/job.py")]

for _ in range(2):
    print("REPORT " + json.dumps(ray.get(look.remote())))
    time.sleep(4)
"""
"""A driver outside the Jobs API, whose tasks leave something to later ones."""


def test_tasks_of_a_driver_outside_the_jobs_api_share_a_scratch_of_their_own(
    three_nodes: ThreeNodes, tmp_path: Path
) -> None:
    work, nodes = three_nodes.workplace(tmp_path / "work", "scratch_nodes"), three_nodes.nodes
    before = all_on(nodes)
    digest = work.build("job.py")
    exported = work.raybundle("export", "--format", "runtime-env", "--cwd", "made", digest)
    gcs = {"RAY_ADDRESS": f"{nodes.node('n0').address}:{GCS_PORT}"}
    command = [str(nodes.python), "-c", OUTSIDE, exported.stdout]

    done = [nodes.run("n0", command, env=gcs) for _ in range(2)]

    for each in done:
        [first, second] = reports(each.stdout)
        assert first[0].startswith("/tmp/raybundle-0/jobs/")
        assert first[1:] == [[], True]
        assert second == [first[0], ["mine.txt"], True]
    assert reports(done[0].stdout)[0][0] != reports(done[1].stdout)[0][0]
    wait_until_empty(nodes, *NAMES, before=before)


Filling = tuple[Nodes, "Workplace", dict[str, list[str]]]


@pytest.fixture
def filling(three_nodes: ThreeNodes, tmp_path: Path) -> Filling:
    """The nodes, a user whose job fills directories, and what the nodes have of earlier jobs."""
    nodes = three_nodes.nodes
    return nodes, three_nodes.workplace(tmp_path / "work", "scratch_fill"), all_on(nodes)


def test_a_job_that_ends_or_whose_driver_is_killed_leaves_nothing_behind(filling: Filling) -> None:
    nodes, work, before = filling

    done = work.raybundle("submit", "job.py", "0", "n1")
    assert "FILLED n0 n1" in done.stdout, done.stderr
    wait_until_empty(nodes, "n0", "n1", before=before)

    with work.started("submit", "job.py", "600", "n1") as running:
        running.wait_for("FILLED n0 n1")
        [driver] = find(nodes, "n0", "/project/job.py")
        os.kill(driver, signal.SIGKILL)
        code, _, _ = running.end()
    assert code == 20
    wait_until_empty(nodes, "n0", "n1", before=before)


def test_a_job_leaves_nothing_on_a_node_whose_raylet_or_whose_every_process_is_killed(
    filling: Filling, tmp_path: Path
) -> None:
    nodes, work, before = filling
    first, second = (f"{tmp_path.name}-{number}" for number in (1, 2))
    with work.started("submit", "--submission-id", first, "job.py", "600", "n1") as running:
        running.wait_for("FILLED n0 n1")
        [raylet] = find(nodes, "n1", "/raylet/raylet")
        os.kill(raylet, signal.SIGKILL)
        wait_until_empty(nodes, "n1", before=before)
        nodes.start_again("n1", {"n1": 100})

    with work.started("submit", "--submission-id", second, "job.py", "600", "n1") as running:
        running.wait_for("FILLED n0 n1")
        end_all_but_the_holder(nodes, "n1")
        left = {*left_on(nodes, "n1")}.difference(before["n1"])
        nodes.start_again("n1", {"n1": 100})
        after = work.raybundle("submit", "job.py", "0", "n1")

    assert len(left) == 3  # the directory, and beside it a lock and a record
    assert "FILLED n0 n1" in after.stdout, after.stderr
    wait_until_empty(nodes, "n1", before=before)
    for name in (first, second):
        assert work.raybundle("stop", name).stdout == "STOPPED\n"
    wait_until_empty(nodes, "n0", before=before)


def find(nodes: Nodes, node: str, text: str) -> list[int]:
    """The processes of a node that run a program with `text` in its path."""
    found = []
    for process in processes_in(nodes.node(node).namespace):
        with contextlib.suppress(OSError):
            words = Path(f"/proc/{process}/cmdline").read_text("utf-8", "replace").split("\0")
            if any(text in word for word in words[:4]):
                found.append(process)
    return found


def end_all_but_the_holder(nodes: Nodes, name: str) -> None:
    node = nodes.node(name)
    while others := [each for each in processes_in(node.namespace) if each != node.holder]:
        for process in others:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        time.sleep(0.05)
