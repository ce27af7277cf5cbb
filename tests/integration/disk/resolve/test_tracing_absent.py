"""What a run that succeeded says of imports that resolve nowhere, and a run that has nothing to say."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from raybundle.resolve.traced import LOCK
from tests.support.slow import rest_slow
from tests.support.small_project import tree
from tests.support.workplace import make_workplace

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.workplace import Workplace

FILES = {
    "job.py": "import sys, parts\nif len(sys.argv) > 1:\n  sys.exit(int(sys.argv[1]))\nparts.go(False)\n",
    "parts.py": "def go(use):\n  if use:\n    import absent_a\n",
}
HOOKED = (
    "import sys, types\n"
    "sys.modules.__setitem__('absent_b', types.ModuleType('absent_b'))\n"
    "import absent_b\n"
    "import parts\n"
)


def place(directory: Path, **files: str) -> Workplace:
    work = make_workplace(directory / "work")
    tree(work.directory, {**FILES, **files})
    return work


def test_a_recorded_run_settles_what_it_did_without(tmp_path: Path) -> None:
    work = place(tmp_path)
    assert work.raybundle("plan", "--strict", "job.py").returncode == 3
    assert work.raybundle("trace", "job.py").returncode == 0

    done = work.raybundle("plan", "--strict", "job.py")

    assert (done.returncode, "absent_a" in done.stderr) == (0, False), done.stderr
    [entry] = json.loads((work.directory / LOCK).read_text())["targets"].values()
    assert entry["absent"] == {"parts": ["absent_a"]}


def test_a_recorded_run_settles_an_error_too(tmp_path: Path) -> None:
    work = place(tmp_path, **{"job.py": HOOKED})
    assert "cannot find `absent_b`" in work.raybundle("plan", "job.py").stderr
    assert work.raybundle("trace", "job.py").returncode == 0

    assert work.raybundle("plan", "--strict", "job.py").returncode == 0


@pytest.mark.slow
def test_a_recorded_run_says_nothing_of_an_import_that_is_new(tmp_path: Path) -> None:
    work = place(tmp_path)
    work.raybundle("trace", "job.py")
    (work.directory / "parts.py").write_text("def go(use):\n  if use:\n    import absent_a, absent_c\n")

    done = work.raybundle("plan", "job.py")

    assert "absent_c" in done.stderr
    assert "absent_a" not in done.stderr


@pytest.mark.slow
def test_a_run_that_failed_settles_nothing(tmp_path: Path) -> None:
    work = place(tmp_path)
    assert work.raybundle("trace", "job.py", "7").returncode == 0

    assert "absent_a" in work.raybundle("plan", "job.py").stderr


@pytest.mark.slow
def test_a_run_for_one_plan_settles_that_plan(tmp_path: Path) -> None:
    work = place(tmp_path)

    assert "absent_a" not in work.raybundle("plan", "--trace", "job.py").stderr
    assert "absent_a" in work.raybundle("plan", "job.py").stderr


@pytest.mark.parametrize("end", rest_slow(["raise SystemExit(3)", "import absent_first", "1 +"], 1))
def test_a_run_that_failed_before_it_imported_anything_writes_nothing(tmp_path: Path, end: str) -> None:
    work = place(tmp_path, **{"job.py": f"{end}\n"})

    done = work.raybundle("trace", "job.py")

    assert done.returncode == 3
    assert "before it imported anything" in done.stderr or "cannot parse" in done.stderr
    assert not (work.directory / LOCK).exists()


@pytest.mark.slow
def test_a_run_with_a_wrong_command_line_writes_nothing_and_its_hint_settles_it(tmp_path: Path) -> None:
    source = (
        "import argparse, parts\nparser = argparse.ArgumentParser()\n"
        "parser.add_argument('--epochs', type=int, required=True)\nparser.parse_args()\nparts.go(False)\n"
    )
    work = place(tmp_path, **{"job.py": source})

    done = work.raybundle("trace", "job.py")

    assert done.returncode == 3
    assert "the following arguments are required: --epochs" in done.stderr
    assert "as for a wrong command line" in done.stderr
    assert not (work.directory / LOCK).exists()
    assert work.raybundle("trace", "job.py", "--epochs", "2").returncode == 0
    assert (work.directory / LOCK).exists()


@pytest.mark.slow
def test_what_a_run_with_exit_code_2_has_shown_is_recorded(tmp_path: Path) -> None:
    source = "import importlib, sys\nimportlib.import_module('parts'[:99])\nsys.exit(2)\n"
    work = place(tmp_path, **{"job.py": source})

    assert work.raybundle("trace", "job.py").returncode == 0
    assert (work.directory / LOCK).exists()


@pytest.mark.ray
def test_tasks_on_a_local_ray_find_the_declared_roots(tmp_path: Path) -> None:
    source = (
        "import ray\nfrom parts_of.work import task\nray.init(num_cpus=1, include_dashboard=False)\n"
        "print('SAID', ray.get(ray.remote(task).remote()))\n"
    )
    files = {
        "scripts/job.py": source,
        "src/parts_of/__init__.py": "",
        "src/parts_of/work.py": "def task():\n  from parts_of.inner import WORD\n  return WORD\n",
        "src/parts_of/inner.py": "WORD = 'found'\n",
        "pyproject.toml": '[tool.raybundle]\nroots = ["src"]\n',
    }
    work = place(tmp_path, **files)

    done = work.raybundle("--json", "trace", "scripts/job.py")

    assert "SAID found" in done.stderr
    assert json.loads(done.stdout)["exit_code"] == 0
