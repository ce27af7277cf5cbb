"""What changes, comes at once, is killed, full or evicted while layers reach three nodes."""

from __future__ import annotations

import signal
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.nodes.conftest import CREDENTIALS
from tests.support.layers import StoredLayers, fetches, inside, kill_while_materialising, torn, unpacked
from tests.support.own_wheels import install, make_seasons, make_small_environment, make_tally
from tests.support.workplace import make_workplace, reports

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

    from tests.integration.nodes.conftest import ThreeNodes

pytestmark = pytest.mark.nodes

NODES = ["n0", "n1", "n2"]
CACHE = "/tmp/raybundle-0"
LONG = 300.0
"""Seconds until a job counts as hanging; Ray tries a worker again a minute after it was killed."""
FETCHED = 50_000
"""Random bytes that make a layer one that no node has."""
LARGE = 120_000_000
"""Bytes of a layer that takes a node long enough to be killed or filled meanwhile."""


class Own:
    """A user whose distributions are wheels that nobody else has: every node is cold."""

    def __init__(
        self, three_nodes: ThreeNodes, directory: Path, *, size: int = FETCHED, store: str | None = None
    ) -> None:
        self.nodes = three_nodes.nodes
        self.proxy = three_nodes.proxy
        environ = three_nodes.shared_environ | ({"RAYBUNDLE_STORE": store} if store else {})
        self.work = make_workplace(directory / "work", "layers_own", **environ)
        self.layers = StoredLayers(three_nodes.s3, environ["RAYBUNDLE_STORE"])
        self.others = self.layers.names
        self.wheels = directory
        wheels = make_tally(directory, size), make_seasons(directory, "1.0", "winter", FETCHED)
        self.python = make_small_environment(directory / "env", *wheels)

    @property
    def names(self) -> set[str]:
        """The archives that this user has added to the store."""
        return self.layers.names - self.others

    def digest(self, name: str) -> str:
        """The digest of a layer of theirs."""
        return str(self.document(name)["digest"])

    def document(self, name: str) -> dict[str, Any]:
        return self.layers.document(name, self.names)

    def submit(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.work.raybundle("--json", *self.words(*arguments))

    def words(self, *arguments: str) -> tuple[str, ...]:
        return ("submit", "--python", str(self.python), "job.py", *arguments)

    def fetched(self) -> dict[tuple[str, str], int]:
        names = self.names
        counts = fetches(self.proxy, self.nodes)
        return {key: count for key, count in counts.items() if key[1] in names}


def report_of(done: subprocess.CompletedProcess[str]) -> Any:
    assert done.returncode == 0, done.stderr
    [report] = reports(done.stderr)
    return report


def test_an_extension_in_c_of_the_users_own_runs_and_a_bumped_dependency_travels_alone(
    three_nodes: ThreeNodes, tmp_path: Path
) -> None:
    own = Own(three_nodes, tmp_path)
    first = report_of(own.submit())
    before = own.names

    install(own.python, make_seasons(own.wheels, "2.0", "spring", FETCHED))
    second = report_of(own.submit())

    assert [node["host"] for node in first["nodes"]] == NODES
    assert answers(first) == [[42, "winter"]] * 4
    assert answers(second) == [[42, "spring"]] * 4
    [added] = own.names - before
    assert own.digest("tally") in before
    everything = {(node, name): 1 for node in NODES for name in (*before, added)}
    assert own.fetched() == everything


def answers(report: Any) -> list[list[Any]]:
    return [[each["sum"], each["season"]] for each in (report["driver"], *report["nodes"])]


def test_eight_actors_at_once_on_a_cold_node_fetch_and_unpack_each_layer_once(
    three_nodes: ThreeNodes, tmp_path: Path
) -> None:
    own = Own(three_nodes, tmp_path, size=5_000_000)

    actors = report_of(own.submit("actors"))

    assert [actor["host"] for actor in actors] == ["n1"] * 8
    assert len({actor["inode"] for actor in actors}) == 1
    fetched = own.fetched()
    assert set(fetched.values()) == {1}
    assert {(node, name) for node in ("n0", "n1") for name in own.names} <= set(fetched)
    document = own.document("tally")
    [directory] = unpacked(three_nodes.nodes, "n1", document["digest"])
    assert torn(directory, document) == []


def test_after_a_worker_was_killed_while_materialising_the_job_runs_and_nothing_is_torn(
    three_nodes: ThreeNodes, tmp_path: Path
) -> None:
    own = Own(three_nodes, tmp_path, size=LARGE)
    built = own.work.raybundle("build", "--python", str(own.python), "job.py")
    assert built.returncode == 0, built.stderr
    document = own.document("tally")
    with own.work.started(*own.words()) as running:
        begun = kill_while_materialising(three_nodes.nodes, "n1", document["digest"])
        running.process.send_signal(signal.SIGTERM)  # stops the job: Ray may take a minute to try again
        running.process.wait(60)
    assert [each for each in begun if torn(each, document) == []] == []

    report = report_of(own.work.raybundle("--json", "run", built.stdout.strip(), timeout=LONG))

    assert [node["sum"] for node in report["nodes"]] == [42] * 3
    for node in NODES:
        [directory] = unpacked(three_nodes.nodes, node, document["digest"])
        assert torn(directory, document) == []


def test_a_full_disk_stops_the_job_with_one_line_and_leaves_no_half_layer(
    three_nodes: ThreeNodes, tmp_path: Path
) -> None:
    own = Own(three_nodes, tmp_path, size=LARGE)
    small = f"mkdir -p -m 700 {CACHE} && mount -t tmpfs -o size=40m,mode=700 tmpfs {CACHE}"
    three_nodes.nodes.run("n0", ["sh", "-c", small])
    try:
        done = own.submit()
        left = unpacked(three_nodes.nodes, "n0", own.digest("tally"))
    finally:
        three_nodes.nodes.run("n0", ["umount", "-l", CACHE])

    assert done.returncode == 22, done.stderr
    assert reports(done.stderr) == []
    [line] = [line for line in done.stderr.splitlines() if line.startswith("error: raybundle: boot failed: ")]
    assert "node n0" in line
    assert "No space left on device" in line
    assert left == []
    assert report_of(own.submit())["driver"]["sum"] == 42


def test_a_running_job_goes_on_when_the_store_has_lost_what_the_layers_came_from(
    three_nodes: ThreeNodes, tmp_path: Path
) -> None:
    own = Own(three_nodes, tmp_path)
    word = f"/tmp/{uuid.uuid4().hex}"
    with own.work.started(*own.words("stay", word)) as running:
        running.wait_for("WAITING")
        for name in own.names:
            own.layers.remove(name)
        inside(three_nodes.nodes, "n0", word).touch()
        code, log, errors = running.end()

    assert code == 0, errors
    before, after = reports(log.decode())
    assert [node["host"] for node in before["nodes"]] == NODES
    assert after["driver"] == "3 winter"
    assert after["nodes"] == ["3 winter"] * 3
    assert [actor["sum"] for actor in after["actors"]] == [42, 42]


def test_nodes_without_credentials_or_boto3_are_found_before_the_job_and_all_comes_through_the_jobs_api(
    three_nodes: ThreeNodes, tmp_path: Path
) -> None:
    own = Own(three_nodes, tmp_path, store=three_nodes.s3.prefix())  # the nodes are asked anew
    show = "import boto3; print(boto3.__path__[0])"
    python = str(three_nodes.nodes.python)
    hidden = three_nodes.nodes.run("n2", [python, "-c", show]).stdout.strip()
    three_nodes.nodes.run("n1", ["mv", CREDENTIALS, f"{CREDENTIALS}.hidden"])
    three_nodes.nodes.run("n2", ["mount", "-t", "tmpfs", "tmpfs", hidden])
    try:
        done = own.submit()
    finally:
        three_nodes.nodes.run("n1", ["mv", f"{CREDENTIALS}.hidden", CREDENTIALS])
        three_nodes.nodes.run("n2", ["umount", "-l", hidden])

    report = report_of(done)
    [warning] = [line for line in done.stderr.splitlines() if line.startswith("warning: node")]
    for words in ("node n1 ", "no credentials: ", "node n2 ", "boto3"):
        assert words in warning
    assert answers(report) == [[42, "winter"]] * 4
    assert own.fetched() == {}
