"""On a real cluster: modules that change the import system, with the project gone, and hints of the nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.disk.explain.test_node_hints import CASES
from tests.integration.disk.roots.test_rewiring import FROM_PKGUTIL, PROJECTS
from tests.support.small_project import tree

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.cluster.conftest import Embedded

pytestmark = pytest.mark.ray

KINDS = ("a package that adds what it vendors", "overrides that come first", "other names")
JOB = """import os, sys
import ray

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path += [os.path.join(HERE, "left"), os.path.join(HERE, "right")]


@ray.remote
def apart(name):
    import compat, compat.jsonlib, corp.left, corp.right, oldname.models, sdk.extra, tool

    return [tool.answer(), sdk.extra.text(), oldname.models.NAME, corp.left.NAME, corp.right.NAME, name]


ray.init()
print(ray.get([apart.remote(name) for name in "ab"]))
"""
ALONE = """import ray


@ray.remote
def apart():
    import tool_gql.client

    return tool_gql.client.ask()


import tool

ray.init()
print(tool.answer(), ray.get(apart.remote()))
"""


def test_tasks_see_what_modules_change_as_the_driver_does(embedded: Embedded, tmp_path: Path) -> None:
    files = {name: text for kind in KINDS for name, text in PROJECTS[kind].items()}
    for side in ("left", "right"):
        files |= {f"{side}/corp/__init__.py": FROM_PKGUTIL, f"{side}/corp/{side}.py": f"NAME = '{side}'\n"}
    work = embedded.workplace(tree(tmp_path / "work", {**files, "job.py": JOB, "alone.py": ALONE}))
    digests = [work.build("--strict", name) for name in ("job.py", "alone.py")]
    work.directory.rename(tmp_path / "gone")
    work.directory.mkdir()

    together, alone = (work.raybundle("run", digest) for digest in digests)

    row = ["vendored", "words", "models", "left", "right"]
    assert f"[{[*row, 'a']}, {[*row, 'b']}]" in together.stdout, together.stderr
    assert "vendored vendored" in alone.stdout, alone.stderr


def test_the_end_of_a_failed_job_names_the_line_of_the_user_and_what_to_do(
    embedded: Embedded, tmp_path: Path
) -> None:
    work = embedded.workplace(tree(tmp_path / "work", dict(CASES["a module beside the driver"].files)))

    failed = work.raybundle("submit", "job.py")
    (work.directory / "pyproject.toml").write_text('[tool.raybundle]\ninclude = ["helpers.py"]\n')
    done = work.raybundle("submit", "--strict", "job.py")

    error, hint = failed.stderr.rstrip().splitlines()[-2:]
    assert error.endswith("ModuleNotFoundError: No module named 'helpers' at job.py:7")
    assert hint.startswith("hint: ")
    assert '`include = ["helpers.py"]`' in hint
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "done")
