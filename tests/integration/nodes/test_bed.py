"""The bed that the three nodes are in: what they see of this machine, and what is left of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from raybundle.cluster.embedded.processes import read_table
from tests.support.bed import Bed, processes_in
from tests.support.nodes import REPOSITORY, Nodes, node_environment, require_namespaces

if TYPE_CHECKING:
    from tests.integration.nodes.conftest import ThreeNodes

pytestmark = pytest.mark.nodes

CLUSTER = REPOSITORY / "scripts" / "cluster"

WHERE_TASKS_RUN = """
import json, ray, socket
ray.init(log_to_driver=False)
host = ray.remote(lambda: socket.gethostname())
names = json.loads('NAMES')
print(json.dumps([ray.get(host.options(resources={name: 1}).remote()) for name in names]))
"""


CONNECT = "import socket; socket.create_connection(('{address}', {port}), 5)"


@pytest.fixture
def nodes(three_nodes: ThreeNodes) -> Nodes:
    return three_nodes.nodes


def remains_of(bed: Bed) -> list[str]:
    """What the kernel still knows of a bed: links, namespaces, mounts, living processes."""
    links = [link for link in (bed.bridge, *(node.cable for node in bed.nodes)) if is_link(link)]
    mounts = [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if bed.bridge in line]
    pids = [node.holder for node in bed.nodes if node.holder and node.holder in read_table()]
    namespaces = [node.namespace for node in bed.nodes if Path("/run/netns", node.namespace).exists()]
    return [*links, *mounts, *namespaces, *map(str, pids)]


def is_link(name: str) -> bool:
    return Path("/sys/class/net", name).exists()


def hosts_of_tasks(nodes: Nodes, names: list[str]) -> list[str]:
    script = WHERE_TASKS_RUN.replace("NAMES", json.dumps(names))
    address = nodes.address.removeprefix("http://").replace("8265", "6379")
    done = nodes.run("n0", [str(nodes.python), "-c", script], env={"RAY_ADDRESS": address})
    hosts: list[str] = json.loads(done.stdout.splitlines()[-1])
    return hosts


def test_each_node_has_a_tmp_of_its_own(nodes: Nodes) -> None:
    nodes.run("n1", ["touch", "/tmp/only-here"])

    assert "only-here" in nodes.run("n1", ["ls", "/tmp"]).stdout
    assert "only-here" not in nodes.run("n2", ["ls", "/tmp"]).stdout
    assert not Path("/tmp/only-here").exists()


def test_a_node_sees_neither_the_source_tree_nor_our_environment(nodes: Nodes) -> None:
    seen = nodes.run("n1", ["ls", "-A", str(REPOSITORY)], check=False).stdout.split()
    found = nodes.run("n1", [str(nodes.python), "-c", "import raybundle"], check=False)
    variables = nodes.run("n1", ["env"]).stdout

    assert set(seen) <= {".venv", ".cache"}
    assert "No module named 'raybundle'" in found.stderr
    assert "PYTHONPATH" not in variables
    assert "AWS_ENDPOINT_URL=http" in variables  # given to `start_ray`


def test_a_node_cannot_change_the_environment_that_holds_ray(nodes: Nodes) -> None:
    done = nodes.run("n1", ["touch", "/tmp/env/lib/planted"], check=False)

    assert "Read-only file system" in done.stderr


def test_tasks_run_on_the_node_they_are_pinned_to(nodes: Nodes) -> None:
    assert hosts_of_tasks(nodes, ["n2", "n0", "n1"]) == ["n2", "n0", "n1"]


def test_two_raylets_on_one_host_share_the_session_directory(nodes: Nodes) -> None:
    show = ["sh", "-c", "ls -d /tmp/ray/session_2*/sockets/raylet*"]
    before = nodes.run("n1", show).stdout.split()

    with nodes.another_raylet("n1", {"second": 1}):
        raylets = nodes.run("n1", show).stdout.split()

        assert nodes.alive == 4
        assert len(raylets) == len(before) + 1
        assert len({Path(raylet).parent for raylet in raylets}) == 1
        assert hosts_of_tasks(nodes, ["second"]) == ["n1"]

    assert nodes.alive == 3
    assert hosts_of_tasks(nodes, ["n1"]) == ["n1"]


def test_down_leaves_nothing_and_can_be_repeated(tmp_path: Path) -> None:
    require_namespaces()
    nodes = Nodes(2, state=tmp_path)
    nodes.network()
    bed = nodes.bed
    stray = subprocess.Popen(nodes.command("n1", ["sleep", "1000"]), env=nodes.environment)

    assert remains_of(bed)
    assert nodes.down()
    assert remains_of(bed) == []
    assert stray.wait(5) == -signal.SIGKILL
    assert not nodes.down()


def test_what_listens_on_the_bridge_is_reached_from_a_node(tmp_path: Path) -> None:
    require_namespaces()
    with Nodes(1, state=tmp_path / "state") as nodes:
        address = nodes.network()
        server = [
            sys.executable,
            "-c",
            f"import socket; s = socket.create_server(('{address}', 9000)); s.accept()",
        ]
        listening = subprocess.Popen(server)
        connect = f"import socket; socket.create_connection(('{address}', 9000), 5)"
        for _ in range(50):
            done = nodes.run("n0", [str(nodes.python), "-c", connect], check=False)
            if done.returncode == 0:
                break
            time.sleep(0.1)

        assert listening.wait(5) == 0


@pytest.mark.parametrize("moment", [0.0, 0.1, 0.3, 2.0])
def test_down_removes_what_a_killed_up_left(tmp_path: Path, moment: float) -> None:
    require_namespaces()
    command = [sys.executable, "-IS", str(CLUSTER), "up", "--state", str(tmp_path)]
    up = subprocess.Popen([*command, "--env", str(node_environment())], stdout=subprocess.DEVNULL)
    record = tmp_path / "nodes.json"
    while not record.exists():
        time.sleep(0.01)
    time.sleep(moment)
    os.kill(up.pid, signal.SIGKILL)
    up.wait()
    bed = Bed.parse(record.read_text())

    subprocess.run([sys.executable, "-IS", str(CLUSTER), "down", "--state", str(tmp_path)], check=True)

    assert remains_of(bed) == []
    assert not any(processes_in(node.namespace) for node in bed.nodes)
    assert not record.exists()


def test_nodes_run_from_a_repository_and_environment_with_a_space_in_their_path(tmp_path: Path) -> None:
    require_namespaces()
    clone = tmp_path / "my clone"
    (clone / "tests").mkdir(parents=True)
    (clone / "secret.py").touch()
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(clone / ".venv")], check=True)

    with Nodes(1, env=clone / ".venv", hidden=[clone], state=tmp_path / "state") as nodes:
        nodes.network()
        prefix = nodes.run("n0", ["python", "-c", "import sys; print(sys.prefix)"]).stdout.strip()

        assert prefix == "/tmp/env"
        assert nodes.run("n0", ["ls", "-A", str(clone)]).stdout.split() == [".venv"]
