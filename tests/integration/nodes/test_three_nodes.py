"""The same path and the same files on every node, with an S3 store and without the source tree."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.workplace import reports

if TYPE_CHECKING:
    from tests.integration.nodes.conftest import ThreeNodes

pytestmark = pytest.mark.nodes

RAY = str(Path(sys.executable).with_name("ray"))


def assert_everywhere_the_same(report: dict[str, Any]) -> None:
    driver, nodes = report["driver"], report["nodes"]
    assert [node["host"] for node in nodes] == ["n0", "n1", "n2"]
    for node in nodes:
        assert node["path"] == driver["path"]
        assert node["files"] == driver["files"]
    assert all(entry.startswith("/") for entry in driver["path"])
    assert not any(entry.endswith("-packages") for entry in driver["path"])


@pytest.mark.parametrize(
    ("project", "words", "expected"),
    [
        ("nodes_module", ["-m", "app.main"], ["SPEC app.main app.part"]),
        (
            "nodes_paths",
            ["jobs/job.py"],
            ["BOTH 3", "GREETINGS ['hello n0', 'hello n1', 'hello n2']", *["BACK 2 3 7"] * 3],
        ),
    ],
)
def test_driver_and_every_node_see_one_path_and_the_same_files(
    three_nodes: ThreeNodes, tmp_path: Path, project: str, words: list[str], expected: list[str]
) -> None:
    work = three_nodes.workplace(tmp_path / "work", project)

    done = work.raybundle("submit", *words)

    assert done.returncode == 0, done.stdout + done.stderr
    said = [line for line in done.stdout.splitlines() if line.startswith(("SPEC", "BOTH", "GREET", "BACK"))]
    assert said == expected
    [report] = reports(done.stdout)
    assert_everywhere_the_same(report)


@pytest.mark.wide
def test_plain_ray_fails_where_a_task_imports_a_sibling_of_the_script(
    three_nodes: ThreeNodes, tmp_path: Path
) -> None:
    work = three_nodes.workplace(tmp_path / "work", "nodes_sibling")
    address = ("--address", three_nodes.nodes.address)

    done = work.command([RAY, "job", "submit", *address, "--working-dir", ".", "--", "python", "jobs/job.py"])

    assert done.returncode != 0
    assert "No module named 'helper'" in done.stdout + done.stderr


def test_an_editable_install_outside_the_project_travels(three_nodes: ThreeNodes, tmp_path: Path) -> None:
    work = three_nodes.workplace(tmp_path / "work", "nodes_editable")
    outside = tmp_path / "elsewhere"
    (outside / "src" / "outside").mkdir(parents=True)
    (outside / "src" / "outside" / "__init__.py").touch()
    (outside / "src" / "outside" / "core.py").write_text("VALUE = 42\n")
    (outside / "pyproject.toml").write_text(
        "[build-system]\nrequires = ['setuptools']\nbuild-backend = 'setuptools.build_meta'\n"
        "[project]\nname = 'outside'\nversion = '1'\n"
        "[tool.setuptools.packages.find]\nwhere = ['src']\n"
    )
    python = make_environment_with_editable(tmp_path / "env", outside)

    done = work.raybundle("submit", "--python", str(python), "jobs/job.py")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "OUTSIDE 42" in done.stdout
    [report] = reports(done.stdout)
    assert_everywhere_the_same(report)
    assert "/root-1/outside/core.py" in report["driver"]["files"]["outside.core"][0]


def make_environment_with_editable(directory: Path, project: Path) -> Path:
    """Returns the interpreter of a new environment that has `project` installed as an editable."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", directory], check=True)
    python = directory / "bin" / "python"
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or "uv"
    subprocess.run([uv, "pip", "install", "-q", "--python", python, "-e", project], check=True)
    return python


def test_every_kind_of_child_process_has_the_same_path_and_nothing_of_the_node(
    three_nodes: ThreeNodes, tmp_path: Path
) -> None:
    work = three_nodes.workplace(tmp_path / "work", "nodes_children")

    done = work.raybundle("submit", "jobs/job.py")

    assert done.returncode == 0, done.stdout + done.stderr
    [seen] = reports(done.stdout)
    assert seen["foreign"] == []
    assert seen["worker"]["path"] == seen["path"]
    for children in (seen["children"], seen["worker"]["children"]):
        assert_children_have(seen["path"], children)


def assert_children_have(path: list[str], children: dict[str, Any]) -> None:
    assert children["-c"][0] == children["python"][0] == ["", *path]
    assert [children[method][0] for method in ("spawn", "fork", "forkserver")] == [path, path, path]
    own, *rest = children["script"][0]
    assert own.endswith("/tools")
    assert rest == path
    verified = [found for name in ("-c", "script", "spawn") for found in children[name][1:]]
    assert all("/trees/" in file for file in verified), verified


def test_the_exported_runtime_env_runs_the_bundle_on_plain_ray(
    three_nodes: ThreeNodes, tmp_path: Path
) -> None:
    work = three_nodes.workplace(tmp_path / "work", "nodes_sibling")
    digest = work.build("jobs/job.py")
    exported = work.raybundle("export", "--format", "runtime-env", digest)
    shutil.rmtree(work.directory)
    work.directory.mkdir()
    address = ("--address", three_nodes.nodes.address)
    submit = [RAY, "job", "submit", *address, "--runtime-env-json", exported.stdout, "--", "python"]

    done = work.command([*submit, "jobs/job.py"])

    assert done.returncode == 0, done.stdout + done.stderr
    [report] = reports(done.stdout)
    assert_everywhere_the_same(report)
    assert digest.removeprefix("sha256:") in report["driver"]["path"][0]


def test_a_bundle_runs_again_from_its_digest_when_the_tree_is_gone(
    three_nodes: ThreeNodes, tmp_path: Path
) -> None:
    work = three_nodes.workplace(tmp_path / "work", "nodes_sibling")
    digest = work.build("jobs/job.py")
    shutil.rmtree(work.directory)
    work.directory.mkdir()

    done = work.raybundle("run", digest[7:19])

    assert done.returncode == 0, done.stdout + done.stderr
    assert "SUM 6" in done.stdout
    [report] = reports(done.stdout)
    assert_everywhere_the_same(report)
