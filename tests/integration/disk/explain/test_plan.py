from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from raybundle.resolve.files.git_ignored import git_ignored
from tests.support.slow import rest_slow
from tests.support.workplace import Workplace, make_workplace

if TYPE_CHECKING:
    from pathlib import Path

ADDED = {
    "job.py": "import importlib\nimport sys\nimport pkg.data\n\n"
    "try:\n    import faster\nexcept ImportError:\n    pass\n"
    "importlib.import_module(f'pkg.steps.{sys.argv[1]}')\n",
    "pkg/data/__init__.py": "",
    "pkg/steps/__init__.py": "",
    "pkg/steps/one.py": "1",
    "pkg/steps/two.py": "",
    ".gitignore": "one.py\n*.txt\n",
}

COUNTING = """
import sys
from raybundle.cli.main import main
from raybundle.formats.toml import loads

parsed = []
sys.setprofile(lambda frame, event, _: parsed.extend([event] * (frame.f_code is loads.__code__)))
try:
    main()
finally:
    print(parsed.count("call"))
"""


@pytest.fixture
def work(tmp_path: Path) -> Workplace:
    """A repository whose bundle has something of everything that `plan` points out."""
    made = make_workplace(tmp_path / "work", "plain")
    for name, text in ADDED.items():
        file = made.directory / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    git(made.directory, "init", "--quiet")
    git(made.directory, "add", "--force", "pkg/words.txt")
    return made


def git(directory: Path, *words: str) -> None:
    subprocess.run(["git", "-C", directory, *words], check=True, capture_output=True)


def test_the_text_of_a_plan_points_out_what_was_guessed_hidden_absent_and_ignored(work: Workplace) -> None:
    done = work.raybundle("plan", "job.py")

    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "  job.py:9: prefix `pkg.steps.` took 2 modules; 3 modules (1 B) in only by it" in lines
    assert "  faster at job.py:6" in lines
    assert "  `pkg.data` is pkg/data/__init__.py, not pkg/data.py" in lines
    assert lines[lines.index("ignored by git, but included") + 1] == "  pkg/steps/one.py"
    assert len(lines) < 30


@pytest.mark.parametrize("target", rest_slow(["job.py", "greet"], 1))
def test_a_plan_parses_the_pyproject_of_its_project_once(work: Workplace, target: str) -> None:
    with (work.directory / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write('[project.scripts]\ngreet = "pkg.data:greet"\n[tool.uv]\n')
    done = work.command([sys.executable, "-c", COUNTING, "plan", target])

    assert done.stdout.splitlines()[-1:] == ["1"], done.stdout + done.stderr


def test_the_document_of_a_plan_has_all_of_it(work: Workplace) -> None:
    plan = json.loads(work.raybundle("plan", "--format", "json", "job.py").stdout)

    assert plan["git_ignored"] == [str(work.directory / "pkg/steps/one.py")]
    assert [(each["name"], each["others"]) for each in plan["shadowed"]] == [
        ("pkg.data", [str(work.directory / "pkg/data.py")])
    ]
    assert [(each["name"], each["line"]) for each in plan["not_found"]] == [("faster", 6)]
    assert [each["took"] for each in plan["widenings"]] == [["pkg.steps.one", "pkg.steps.two"]]
    assert sum(each["bytes"] for each in plan["sizes"]["packages"]) == plan["bytes"]
    assert sum(each["size"] for each in plan["files"]) == plan["bytes"]


def test_the_tables_of_a_plan_are_whole(work: Workplace) -> None:
    done = work.raybundle("plan", "--format", "markdown", "job.py")

    assert done.stdout.startswith("### Bundle of `job.py`: 7 files, ")
    tables = [line for line in done.stdout.splitlines() if line.startswith("|")]
    assert "| `job.py:9` | prefix | 2 of `pkg.steps.` | 3 modules, 1 B |" in tables
    assert {line.count("|") for line in tables} <= {5, 6}
    assert "- faster at job.py:6" in done.stdout


def test_files_of_several_repositories_and_of_none_are_asked_for_where_they_are(tmp_path: Path) -> None:
    for name, ignored in (("one", "a.py"), ("one/inner", "b.py")):
        (tmp_path / name).mkdir()
        git(tmp_path / name, "init", "--quiet")
        (tmp_path / name / ".gitignore").write_text(ignored)
    (tmp_path / "link").symlink_to(tmp_path / "one")
    files = [tmp_path / each for each in ("one/b.py", "one/a.py", "one/inner/b.py", "link/a.py", "none.py")]

    assert git_ignored(files, os.environ) == (files[1], files[2], files[3])


@pytest.mark.parametrize("environ", [{"PATH": "/nonexistent"}, dict(os.environ)])
def test_without_git_or_a_repository_nobody_knows(tmp_path: Path, environ: dict[str, str]) -> None:
    if environ["PATH"] == "/nonexistent":
        git(tmp_path, "init", "--quiet")

    assert git_ignored([tmp_path / "a.py"], environ) is None


def test_asking_git_runs_no_program_that_the_repository_names(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    monitor = tmp_path / "monitor"
    monitor.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    monitor.chmod(0o755)
    git(tmp_path, "config", "core.fsmonitor", str(monitor))
    (tmp_path / ".gitignore").write_text("a.py")

    assert git_ignored([tmp_path / "a.py"], os.environ) == (tmp_path / "a.py",)
    assert not (tmp_path / "ran").exists()


@pytest.mark.slow
def test_warnings_that_one_hint_settles_are_one_with_all_their_places(tmp_path: Path) -> None:
    work = make_workplace(tmp_path / "work")
    lines = "import importlib, sys\n" + "importlib.import_module(sys.argv[1])\n" * 8
    (work.directory / "job.py").write_text(lines)

    done = work.raybundle("plan", "job.py")
    markdown = work.raybundle("plan", "--format", "markdown", "job.py")
    document = json.loads(work.raybundle("plan", "--format", "json", "job.py").stdout)

    told = done.stderr.splitlines()
    assert done.stderr.count("warning: ") == 1
    assert told[1].startswith(f"  also at {work.directory}/job.py:3, ")
    assert told[1].endswith(" and 2 more places")
    assert "(also at job.py:3, job.py:4, job.py:5, job.py:6, job.py:7 and 2 more places)" in markdown.stdout
    assert [each["line"] for each in document["warnings"]] == [2, 3, 4, 5, 6, 7, 8, 9]


@pytest.mark.slow
def test_a_warning_about_many_files_is_one_with_the_first_of_them(tmp_path: Path) -> None:
    work = make_workplace(tmp_path / "work")
    (work.directory / "pkg").mkdir()
    (work.directory / "pkg" / "__init__.py").touch()
    (work.directory / "job.py").write_text("import pkg\n")
    for number in range(8):
        (work.directory / "pkg" / f"{number}.bin").write_bytes(bytes(11 << 20))

    done = work.raybundle("plan", "job.py")
    markdown = work.raybundle("plan", "--format", "markdown", "job.py")

    first, others, hint = done.stderr.splitlines()
    assert first.startswith(f"warning: {work.directory}/pkg/0.bin is left out: ")
    assert others.startswith(f"  also at {work.directory}/pkg/1.bin, {work.directory}/pkg/2.bin, ")
    assert others.endswith(" and 2 more places")
    assert hint.startswith("  hint: name it in `include`")
    assert "(also at pkg/1.bin, pkg/2.bin, pkg/3.bin, pkg/4.bin, pkg/5.bin and 2 more" in markdown.stdout
