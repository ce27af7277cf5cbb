"""Jobs on three nodes that have Ray and nothing of what the jobs import: it travels with them."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.another_python import find_python_312
from tests.support.layers import fetches
from tests.support.own_wheels import find_uv, make_small_environment, make_wheel
from tests.support.users import (
    installed_versions,
    require_distributions,
    user_python,
)
from tests.support.workplace import make_workplace, reports

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.nodes.conftest import ThreeNodes
    from tests.support.workplace import Workplace

pytestmark = pytest.mark.nodes

Runs = dict[str, Future["subprocess.CompletedProcess[str]"]]

JOBS = {
    "layers_training": "train.py",
    "layers_namespaces": "mirror.py",
    "layers_version": "job.py",
    "layers_libraries": "job.py",
}
"""Projects and their targets; the last one needs most layers of the first."""

AT_ONCE = 2
"""Jobs that are on their way: this machine's processors unpack on all nodes."""

LONG = 300.0
"""Seconds until the first submission of 400 MB counts as hanging; three nodes share this machine."""

HEAVY = """
import hashlib, json, pathlib, socket
import heavy, ray

def here():
    data = pathlib.Path(heavy.__file__).with_suffix(".bin").read_bytes()
    return socket.gethostname(), hashlib.sha256(data).hexdigest()

ray.init(log_to_driver=False)
task = ray.remote(num_cpus=0)(here)
nodes = ray.get([task.options(resources={node: 1}).remote() for node in ("n0", "n1", "n2")])
print("REPORT " + json.dumps([here(), *nodes]))
"""
"""A job that shows what the driver and each node have of a distribution with 100 MiB of data."""

ENVIRONMENTS = "/tmp/raybundle-0/environments/"
NODES = ["n0", "n1", "n2"]


@pytest.fixture(scope="module")
def desks(three_nodes: ThreeNodes, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Workplace]:
    """A copy of each project, whose users share a store."""
    require_distributions()
    directory = tmp_path_factory.mktemp("layers")
    return {name: make_workplace(directory / name, name, **three_nodes.shared_environ) for name in JOBS}


@pytest.fixture(scope="module")
def before(three_nodes: ThreeNodes) -> int:
    """How many requests tests of other files have made."""
    return len(three_nodes.proxy.requests)


@pytest.fixture(scope="module")
def runs(three_nodes: ThreeNodes, desks: dict[str, Workplace], before: int) -> Iterator[Runs]:
    """The first submission of each job, two at a time, and the control on plain Ray; after `before`."""
    del before
    with ThreadPoolExecutor(AT_ONCE) as pool:
        started: Runs = {name: pool.submit(submit, desk, name) for name, desk in desks.items()}
        started["plain"] = pool.submit(submit_plainly, desks["layers_version"], three_nodes.nodes.address)
        yield started


def submit(desk: Workplace, name: str, *words: str) -> subprocess.CompletedProcess[str]:
    command = ("--json", "submit", "--python", str(user_python()), *words, JOBS[name])
    return desk.raybundle(*command, timeout=LONG)


def submit_plainly(desk: Workplace, address: str) -> subprocess.CompletedProcess[str]:
    ray = str(Path(sys.executable).with_name("ray"))
    words = ["--address", address, "--working-dir", ".", "--", "python", "job.py"]
    return desk.command([ray, "job", "submit", *words])


def result(runs: Runs, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The document of a submission that went well, and what its job reported."""
    done = runs[name].result()
    assert done.returncode == 0, done.stderr
    [report] = reports(done.stderr)
    return json.loads(done.stdout), report


def test_pandas_scikit_learn_and_a_declared_pyarrow_train_on_nodes_without_them(runs: Runs) -> None:
    names = ("pandas", "scikit-learn", "pyarrow", "numpy")
    versions = installed_versions(user_python(), *names)

    _, report = result(runs, "layers_training")

    assert [node["host"] for node in report["nodes"]] == NODES
    assert all(node["score"] > 0.9 for node in report["nodes"])
    for process in (report["driver"], *report["nodes"]):
        assert process["versions"] == versions
        assert [file for file in process["files"].values() if not file.startswith(ENVIRONMENTS)] == []
        assert process["path"] == report["driver"]["path"]
        assert process["foreign"] == []
        assert not process["boto3"], "the node's own boto3 can be imported"


def test_the_nodes_reach_the_cluster_and_the_store_and_nothing_else(
    three_nodes: ThreeNodes, runs: Runs
) -> None:
    _, report = result(runs, "layers_training")

    assert [node["error"] for node in report["nodes"]] == ["Network is unreachable"] * 3
    routes = [three_nodes.nodes.run(node, ["ip", "route"]).stdout.splitlines() for node in NODES]
    assert [len(lines) for lines in routes] == [1, 1, 1]
    assert [lines for lines in routes if "default" in lines[0]] == []


def test_namespaces_of_several_distributions_are_one_on_every_node(runs: Runs) -> None:
    _, report = result(runs, "layers_namespaces")

    assert [node["host"] for node in report["nodes"]] == NODES
    for process in (report["driver"], *report["nodes"]):
        assert process["urls"] == ["/b/photos", "https://account.blob.core.windows.net/photos"]
        assert [file for file in process["files"] if not file.startswith(ENVIRONMENTS)] == []


def test_the_version_of_the_bundle_is_imported_where_a_node_has_another(
    three_nodes: ThreeNodes, runs: Runs
) -> None:
    python = str(three_nodes.nodes.python)
    show = "import humanize; print(humanize.__version__)"
    of_node = three_nodes.nodes.run("n1", [python, "-c", show]).stdout.strip()
    of_user = installed_versions(user_python(), "humanize")["humanize"]
    assert of_user != of_node

    _, report = result(runs, "layers_version")
    plain = runs["plain"].result()
    [plainly] = reports(plain.stdout)

    assert [each["version"] for each in (report["driver"], *report["nodes"])] == [of_user] * 4
    assert [each["version"] for each in (plainly["driver"], *plainly["nodes"])] == [of_node] * 4


def test_ray_data_tune_train_and_serve_run_from_one_bundle(runs: Runs) -> None:
    _, report = result(runs, "layers_libraries")

    values = {name: part["value"] for name, part in report.items()}
    assert values == {"data": 90, "tune": 0, "train": [2, 2], "serve": ["WHY", "HOW"]}
    origins = [origin for part in report.values() for origin in part["origins"]]
    assert [origin for origin in origins if not origin.startswith(ENVIRONMENTS)] == []


def test_a_second_submission_sends_no_byte_of_a_layer_and_no_node_fetches_one(
    three_nodes: ThreeNodes, desks: dict[str, Workplace], runs: Runs
) -> None:
    first, _ = result(runs, "layers_version")
    wait(runs.values())
    before = len(three_nodes.proxy.requests)

    second = submit(desks["layers_version"], "layers_version")

    assert second.returncode == 0, second.stderr
    document = json.loads(second.stdout)
    assert document["bundle"] == first["bundle"]
    assert document["uploaded_bytes"] == 0
    assert fetches(three_nodes.proxy, three_nodes.nodes, before) == {}


def test_no_node_fetches_a_layer_twice_whichever_jobs_need_it(
    three_nodes: ThreeNodes, runs: Runs, before: int
) -> None:
    wait(runs.values())

    counts = fetches(three_nodes.proxy, three_nodes.nodes, before)

    assert {node for node, _ in counts} == set(NODES)
    assert {key: count for key, count in counts.items() if count > 1} == {}


def test_a_layer_that_is_relayed_in_parts_is_imported_on_every_node(
    three_nodes: ThreeNodes, tmp_path: Path
) -> None:
    data = os.urandom(100 << 20)  # more than fits into one package
    (tmp_path / "wheels").mkdir()
    files = {"heavy.py": b"", "heavy.bin": data}
    python = make_small_environment(tmp_path / "env", make_wheel(tmp_path / "wheels", "heavy", "1.0", files))
    environ = {**three_nodes.shared_environ, "RAYBUNDLE_STORE": str(tmp_path / "store")}
    work = make_workplace(tmp_path / "work", **environ)
    (work.directory / "job.py").write_text(HEAVY)

    done = work.raybundle("submit", "--python", str(python), "job.py")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "relaying 1 object (100.0 MiB)" in done.stderr
    digest = hashlib.sha256(data).hexdigest()
    assert reports(done.stdout) == [[[node, digest] for node in ("n0", "n0", "n1", "n2")]]


def test_a_client_with_python_312_brings_wheels_that_the_older_nodes_run(
    three_nodes: ThreeNodes, tmp_path: Path
) -> None:
    environment = tmp_path / "env"
    python = make_environment(find_python_312(), environment, "humanize", "markupsafe")
    work = make_workplace(tmp_path / "work", "layers_other_minor", **three_nodes.shared_environ)

    done = work.raybundle("--json", "submit", "job.py", env={"VIRTUAL_ENV": str(environment)})

    assert done.returncode == 0, done.stderr
    [report] = reports(done.stderr)
    versions = installed_versions(python, "humanize", "markupsafe")
    assert report["versions"] == versions
    assert report["python"] == list(sys.version_info[:2])
    assert f"cpython-{sys.version_info[0]}{sys.version_info[1]}-" in report["native"]


def make_environment(base: str, directory: Path, *names: str) -> Path:
    """Returns the interpreter of a new environment with distributions of the registry."""
    subprocess.run([base, "-m", "venv", "--without-pip", str(directory)], check=True)
    python = directory / "bin" / "python"
    subprocess.run([find_uv(), "pip", "install", "-q", "--python", str(python), *names], check=True)
    return python
