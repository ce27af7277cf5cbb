"""`--working-dir` and `--runtime-env` of the commands that run no job: as `submit` takes them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support.small_project import tree
from tests.support.workplace import make_workplace

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.workplace import Workplace


@pytest.fixture
def work(tmp_path: Path) -> Workplace:
    """A user who stands beside a project, which has a module of a script's and one of its own."""
    made = make_workplace(tmp_path / "work")
    files = {"jobs/job.py": "import near\nimport shared\n", "jobs/near.py": "", "shared.py": "NAME = 1\n"}
    tree(made.directory / "wd", {**files, "app/__main__.py": "import shared\n"})
    return made


@pytest.mark.slow
@pytest.mark.parametrize("words", [("jobs/job.py",), ("--", "python", "jobs/job.py"), ("-m", "app")])
def test_plan_and_build_take_the_project_from_elsewhere(work: Workplace, words: tuple[str, ...]) -> None:
    planned = work.raybundle("--json", "plan", "--working-dir", "wd", *words)
    built = work.raybundle("--quiet", "build", "--working-dir", "wd", *words)
    own = work.directory / "wd"
    there = work.raybundle(
        "--quiet", "build", "--root", ".", *words, cwd=own, env={"RAYBUNDLE_DATA": "tracked"}
    )

    assert planned.returncode == built.returncode == 0, planned.stderr + built.stderr
    plan = json.loads(planned.stdout)
    assert "project:." in plan["sys_path"]
    assert {str(work.directory / "wd/shared.py")} < {each["file"] for each in plan["modules"]}
    assert plan["bundle"] == built.stdout.strip() == there.stdout.strip()


def test_why_and_trace_take_the_project_from_elsewhere(work: Workplace) -> None:
    why = work.raybundle("why", "--working-dir", "wd", "jobs/job.py", "shared")
    traced = work.raybundle("trace", "--working-dir", "wd", "jobs/job.py")

    assert why.returncode == traced.returncode == 0, why.stderr + traced.stderr
    assert "__main__ imports shared (static)" in why.stdout
    assert (work.directory / "wd/raybundle-trace.json").is_file()


@pytest.mark.parametrize("command", ["plan", "build", "trace"])
def test_a_working_directory_that_is_not_there_is_refused(work: Workplace, command: str) -> None:
    done = work.raybundle(command, "--working-dir", "absent", "jobs/job.py")

    assert done.returncode == 2
    assert "--working-dir: `working_dir` absent does not exist" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "key"),
    [("plan", "pip"), ("build", "uv"), ("plan", "conda"), ("why", "pip"), ("trace", "uv")],
)
def test_what_a_runtime_env_installs_settles_imports(work: Workplace, command: str, key: str) -> None:
    asked = {"dependencies": ["absent-a=1"]} if key == "conda" else ["absent-a==1.0"]
    text = json.dumps({key: asked})
    source = "import near\ndef f():\n    import absent_a\n"
    tree(work.directory, {"job.py": source, "near.py": "", "env.yaml": text})
    words = ("job.py", "near") if command == "why" else ("job.py",)

    without = work.raybundle(command, *words)
    given = work.raybundle(command, "--runtime-env-json", text, *words)
    read = work.raybundle(command, "--runtime-env", "env.yaml", *words)

    assert without.returncode == given.returncode == read.returncode == 0, given.stderr + read.stderr
    assert "absent_a" not in given.stderr + read.stderr
    assert ("absent_a" in without.stderr) == (command in ("plan", "build"))


@pytest.mark.slow
@pytest.mark.parametrize("command", ["plan", "build"])
def test_what_a_runtime_env_installs_settles_an_error(work: Workplace, command: str) -> None:
    tree(work.directory, {"job.py": "import absent_a\n"})

    assert work.raybundle(command, "job.py").returncode == 3
    done = work.raybundle(command, "--runtime-env-json", '{"pip": ["absent-a"]}', "job.py")
    other = work.raybundle(command, "--runtime-env-json", '{"pip": ["absent-b"]}', "job.py")

    assert done.returncode == 0, done.stderr
    assert other.returncode == 3
