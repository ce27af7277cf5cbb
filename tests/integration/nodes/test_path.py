"""`path` on three nodes: what it says that plain Ray and a bundle import is what they import."""

from __future__ import annotations

import json
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.nodes.test_three_nodes import RAY, make_environment_with_editable
from tests.support.small_project import tree
from tests.support.workplace import reports

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.nodes.conftest import ThreeNodes
    from tests.support.workplace import Workplace

pytestmark = pytest.mark.nodes
EDITS = "import os\nimport sys\n\nsys.path.append(os.path.join(os.path.dirname(__file__), '../lib'))\n"
EDITS += "sys.path.insert(0, 'lib2')\n"
"""What the driver of nodes_paths does before it imports anything."""
IMPORTING = """
import importlib
import json
import socket

import ray

NAMES = {names!r}


def missing():
    found = []
    for name in NAMES:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError:
            found.append(name)
    return found


class Actor:
    def missing(self):
        return missing()


if __name__ == "__main__":
    ray.init()
    seen = {{f"driver {{socket.gethostname()}}": missing()}}
    for node in ("n0", "n1", "n2"):
        pinned = {{"resources": {{node: 1}}, "num_cpus": 0}}
        seen[f"task {{node}}"] = ray.get(ray.remote(missing).options(**pinned).remote())
        seen[f"actor {{node}}"] = ray.get(ray.remote(Actor).options(**pinned).remote().missing.remote())
    print("REPORT " + json.dumps(seen), flush=True)
"""
"""Imports each module for real in driver, tasks and actors."""
CASES = [
    ("nodes_paths", ["jobs/job.py"], EDITS),
    *(
        pytest.param(*case, marks=pytest.mark.wide)
        for case in [
            ("nodes_sibling", ["jobs/job.py"], ""),
            ("nodes_module", ["-m", "app.main"], ""),
            ("nodes_editable", ["jobs/job.py"], ""),
        ]
    ),
]


LATE = "no answer in "
"""What `path` says of a node, or of all, where it gives up: a process that is silent predicts nothing.
On two cores that run other tests too, nodes take longer than it waits."""
TRIES = 4


def seen_by(work: Workplace, *words: str) -> dict[str, Any]:
    for _ in range(TRIES):
        done = work.raybundle("--json", "path", *words)
        assert done.stdout, done.stderr
        document: dict[str, Any] = json.loads(done.stdout)
        faults = [document["fault"], *(each["fault"] for each in document["processes"])]
        if not any(each and each.startswith(LATE) for each in faults):
            break
    assert set(faults) == {None}, faults
    assert done.returncode == (0 if document["ok"] else 1)
    return document


def failing(document: dict[str, Any], kind: str = "") -> dict[str, list[str]]:
    """Returns the modules that each process of the job cannot import, or of a driver of another kind."""
    return {
        f"{each['process'].removeprefix(kind)} {each['node'].partition(' ')[0]}": [
            module["name"] for module in each["modules"] if module["file"] is None
        ]
        for each in document["processes"]
        if each["process"].startswith("outside ") == bool(kind)
    }


def run_on_the_head(three_nodes: ThreeNodes, project: Path, words: list[str]) -> dict[str, list[str]]:
    """Returns what a driver and its tasks cannot import if it runs in a copy of the project on the head."""
    packed = project.parent / "outside.tar"
    with tarfile.open(packed, "w", dereference=True) as archive:
        archive.add(project, "outside")
    with packed.open("rb") as stream:
        three_nodes.nodes.run("n0", ["sh", "-c", "rm -rf /tmp/outside && tar -C /tmp -xf -"], stdin=stream)
    command = ["sh", "-c", 'cd /tmp/outside && exec python "$@"', "sh", *words]
    done = three_nodes.nodes.run("n0", command, env={"RAY_ADDRESS": "auto"})
    [seen] = reports(done.stdout)
    return {process: sorted(names) for process, names in seen.items() if not process.startswith("actor")}


@pytest.mark.parametrize(("project", "words", "edits"), CASES)
def test_what_plain_ray_fails_to_import_is_predicted_and_the_bundle_imports_all(
    three_nodes: ThreeNodes, tmp_path: Path, project: str, words: list[str], edits: str
) -> None:
    work = three_nodes.workplace(tmp_path / "work", project)
    python = []
    if project == "nodes_editable":
        outside = {"pyproject.toml": "[build-system]\nrequires = ['setuptools']\n", "src/outside/core.py": ""}
        tree(tmp_path / "elsewhere", {**outside, "src/outside/__init__.py": ""})
        (tmp_path / "elsewhere" / "pyproject.toml").write_text(
            "[build-system]\nrequires = ['setuptools']\nbuild-backend = 'setuptools.build_meta'\n"
            "[project]\nname = 'outside'\nversion = '1'\n"
            "[tool.setuptools.packages.find]\nwhere = ['src']\n"
        )
        python = ["--python", str(make_environment_with_editable(tmp_path / "env", tmp_path / "elsewhere"))]

    predicted = seen_by(work, "--plain", *python, *words)
    ours = seen_by(work, *python, *words)
    names = [each["name"] for each in predicted["processes"][0]["modules"]]
    driver = work.directory / ("app/main.py" if words[0] == "-m" else words[0])
    driver.write_text(edits + IMPORTING.format(names=names))
    address = ("--address", three_nodes.nodes.address)
    done = work.command([RAY, "job", "submit", *address, "--working-dir", ".", "--", "python", *words])
    [really] = reports(done.stdout)
    on_the_head = run_on_the_head(three_nodes, work.directory, words)

    assert failing(predicted, "outside ") == on_the_head
    assert failing(predicted) == {each: sorted(found) for each, found in really.items()}
    assert done.returncode == 0, done.stderr
    assert any(really.values()) == (project != "nodes_module")
    assert ours["ok"], ours["failing"]
    assert failing(ours) == {"driver n0": [], "task n0": [], "task n1": [], "task n2": []}
    paths = [[entry["path"] for entry in each["path"]] for each in ours["processes"]]
    assert all(path == paths[0] for path in paths)
