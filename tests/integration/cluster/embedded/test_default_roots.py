"""A job that nobody configured, in a folder of its project, on a real cluster and with its sources gone."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.small_project import tree

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.cluster.conftest import Embedded

JOB = """
import json, os, subprocess, sys
import ray
from common import link
from own.deep import DEEP
from tools import double

ASK = "import sys, tools, own.deep; print(tools.__file__, own.deep.__file__, *sys.path[1:])"

@ray.remote
def seen():
    import common, own.deep, tools
    child = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, check=True)
    assert not os.path.islink(os.path.dirname(common.__file__))
    assert open(os.path.join(os.path.dirname(common.__file__), "words.txt")).read() == "words"
    return [double(21), DEEP + link(), tools.__file__, own.deep.__file__, sys.path[1:], child.stdout.split()]

@ray.remote
class Actor:
    def seen(self):
        return [double(1), DEEP]

child = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, check=True)
found = [ray.get(seen.remote()), ray.get(Actor.remote().seen.remote()), sys.path[1:], child.stdout.split()]
print("SEEN", json.dumps(found))
"""


@pytest.mark.ray
def test_a_root_package_and_src_reach_driver_tasks_and_children(embedded: Embedded, tmp_path: Path) -> None:
    work = embedded.workplace(tmp_path / "work")
    files = {"scripts/job.py": JOB, "tools/__init__.py": "def double(x):\n    return 2 * x\n"}
    project = tree(work.directory / "project", {**files, "src/own/deep.py": "DEEP = 'deep'\n"})
    shared = {"common/__init__.py": "def link():\n    return ' link'\n", "common/words.txt": "words"}
    tree(work.directory / "shared", shared)
    (project / "common").symlink_to("../shared/common")
    subprocess.run(["git", "init", "--quiet", work.directory], check=True)
    planned = work.raybundle("plan", "scripts/job.py", cwd=project)
    built = work.raybundle("--json", "build", "scripts/job.py", cwd=project)
    shutil.rmtree(project)
    shutil.rmtree(work.directory / "shared")

    done = work.raybundle("run", json.loads(built.stdout)["bundle"])

    assert done.returncode == 0, done.stderr
    [line] = [each for each in done.stdout.splitlines() if each.startswith("SEEN ")]
    task, actor, path, child = json.loads(line.removeprefix("SEEN "))
    double, deep, tools_file, own_file, task_path, task_child = task
    assert [double, deep, actor] == [42, "deep link", [2, "deep"]]
    assert tools_file.endswith("/project/tools/__init__.py")
    assert own_file.endswith("/project/src/own/deep.py")
    assert child == task_child == [tools_file, own_file, *child[2:]]
    root, source = tools_file.removesuffix("/tools/__init__.py"), own_file.removesuffix("/own/deep.py")
    for each in (path, task_path, child[2:]):
        assert each.index(root) < each.index(source)
    assert "(from the project's root)" in planned.stdout
    assert "(from src/)" in planned.stdout
