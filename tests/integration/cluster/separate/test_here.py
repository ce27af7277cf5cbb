"""A program of `run --here` may start a Ray of its own, whose tasks have the path of the bundle."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.small_project import tree
from tests.support.workplace import make_workplace

if TYPE_CHECKING:
    from pathlib import Path

DRIVER = """\
import ray
from pkg import part

@ray.remote
def here():
    from pkg import part
    return part.__file__

ray.init(address="local", num_cpus=1, object_store_memory=100 << 20, include_dashboard=False)
print(ray.get(here.remote()) == part.__file__)
"""


@pytest.mark.ray
@pytest.mark.slow
def test_tasks_of_a_local_ray_run_on_the_path_of_the_bundle(tmp_path: Path) -> None:
    work = make_workplace(tmp_path / "work", VIRTUAL_ENV=sys.prefix)
    tree(work.directory, {"job.py": DRIVER, "pkg/part.py": ""})
    digest = work.build("job.py")

    done = work.raybundle("run", "--here", digest)

    assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr
    assert not (tmp_path / "work-home/.ray/auth_token").exists()
