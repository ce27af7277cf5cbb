"""Where a job starts: by the command that submits it, on a real cluster."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from raybundle.errors import UsageError
from raybundle.model import NotebookTarget, ScriptTarget
from raybundle.resolve.driver.project import parse_directory, start_directory
from tests.support.workplace import make_workplace

if TYPE_CHECKING:
    from tests.integration.cluster.conftest import Embedded
    from tests.support.workplace import Workplace

SHOW = "import os\nprint('START', os.path.relpath(os.getcwd(), os.environ['RAYBUNDLE_SCRATCH']))\n"


@pytest.mark.parametrize(
    ("target", "cwd", "expected"),
    [
        ("train.py", "", ""),
        ("train.py", "experiments/a", "experiments/a"),
        ("experiments/train.ipynb", "", "experiments"),
        ("experiments/train.ipynb", "../elsewhere", "experiments"),
        ("train.py", "..", ""),
        ("train.py", "../project-2", ""),
        ("train.py", "cafe\u0301", "caf\u00e9"),
    ],
)
def test_a_job_starts_where_python_would(tmp_path: Path, target: str, cwd: str, expected: str) -> None:
    project = tmp_path / "project"
    file = project / target
    found = NotebookTarget(file) if file.suffix == ".ipynb" else ScriptTarget(file)

    assert start_directory(found, project, Path(tmp_path, "project", cwd).resolve()) == expected


@pytest.mark.parametrize("text", ["..", "../up", "/tmp", "a/../../b", "a\nb", "\udcff"])
def test_a_directory_that_no_project_has_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_directory(text)


@pytest.mark.parametrize(("text", "expected"), [("", ""), (".", ""), ("a/./b/", "a/b"), ("a/../b", "b")])
def test_a_directory_is_named_in_one_way(text: str, expected: str) -> None:
    assert parse_directory(text) == expected


@pytest.fixture
def work(embedded: Embedded, tmp_path: Path) -> Workplace:
    """A project with a script and a notebook, whose store a cluster on this machine reads."""
    work = embedded.workplace(tmp_path / "work")
    (work.directory / "pyproject.toml").touch()
    (work.directory / "where.py").write_text(SHOW)
    (work.directory / "lab/deep").mkdir(parents=True)
    cell: dict[str, object] = {
        "cell_type": "code",
        "metadata": {},
        "outputs": [],
        "execution_count": None,
        "source": SHOW,
    }
    notebook = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    (work.directory / "lab/note.ipynb").write_text(json.dumps(notebook))
    return work


@pytest.mark.ray
def test_each_way_to_run_a_bundle_starts_in_its_directory(work: Workplace) -> None:
    deep = work.directory / "lab/deep"
    digest = work.build("where.py")
    commands: list[tuple[tuple[str, ...], Path, str]] = [
        (("submit", "../../where.py"), deep, "lab/deep"),
        (("submit", "../note.ipynb"), deep, "lab"),
        (("submit", "--working-dir", "../..", "--", "python", "where.py"), deep, "."),
        (("submit", "--cwd", "lab", "../../where.py"), deep, "lab"),
        (("run", digest), deep, "."),
        (("run", "--cwd", "not/there yet", digest), deep, "not/there yet"),
    ]

    with ThreadPoolExecutor(3) as pool:
        done = list(pool.map(lambda each: work.raybundle(*each[0], cwd=each[1]), commands))

    for each, (_, _, expected) in zip(done, commands, strict=True):
        assert f"START {expected}\n" in each.stdout, each.stdout + each.stderr
    records = (work.directory.parent / "work-home").rglob("runs/*/*/*.json")
    starts = sorted(cwd for file in records if (cwd := json.loads(file.read_text()).get("cwd")))
    assert starts == sorted(expected for _, _, expected in commands)


def test_an_exported_runtime_env_has_the_directory_and_the_root_has_none(tmp_path: Path) -> None:
    work = make_workplace(tmp_path / "work", RAYBUNDLE_STORE=f"file://{tmp_path}/store")
    (work.directory / "where.py").write_text(SHOW)
    digest = work.build("where.py")

    below = work.raybundle("export", "--format", "runtime-env", "--cwd", "lab/", digest)
    root = work.raybundle("export", "--format", "runtime-env", digest)
    refused = work.raybundle("export", "--format", "runtime-env", "--cwd", "..", digest)

    assert json.loads(below.stdout)["env_vars"]["RAYBUNDLE_CWD"] == "lab"
    assert "RAYBUNDLE_CWD" not in json.loads(root.stdout)["env_vars"]
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "the directory .. is not below the project" in refused.stderr
