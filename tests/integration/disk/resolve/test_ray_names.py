"""The list of names that Ray imports holds what the installed Ray really asks `sys.path` for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest

from raybundle.resolve.find.ray_names import RAY_NAMES, RAY_TRIES

if TYPE_CHECKING:
    from pathlib import Path

OLD_RAY = "RAYBUNDLE_TEST_OLD_RAY_ENV"
PYTHONS = [sys.executable, *([f"{os.environ[OLD_RAY]}/bin/python"] if OLD_RAY in os.environ else [])]
PROCESSES = (
    "ray",
    "ray._private.workers.setup_worker",
    "ray._private.workers.default_worker",
    "ray.dashboard.modules.job.job_supervisor",
    "ray.dashboard.modules.job.job_manager",
)
"""What the supervisor, the driver and the workers of a job import before any code of the user."""

WATCH = """
import importlib, json, sys

class Watch:
    asked = {}
    def find_spec(self, name, path=None, target=None):
        if path is None:
            frame = sys._getframe(1)
            while frame and frame.f_code.co_filename.startswith("<frozen"):
                frame = frame.f_back
            self.asked.setdefault(name, frame.f_code.co_filename if frame else "")

sys.meta_path.insert(0, Watch())
for name in sys.argv[1:]:
    importlib.import_module(name)
own = {name: by for name, by in Watch.asked.items() if name.partition(".")[0] not in sys.stdlib_module_names}
print(json.dumps({name: [name in sys.modules, by] for name, by in own.items()}))
"""
"""Prints the top-level names that are looked for: whether they were found, and which file asks first."""

SHADOW = """
import importlib, sys
sys.path.insert(0, sys.argv[1])
for name in sys.argv[2:]:
    importlib.import_module(name)
"""


@cache
def asked(python: str) -> dict[str, Any]:
    done = subprocess.run(
        [python, "-W", "ignore", "-c", WATCH, *PROCESSES], capture_output=True, check=True, text=True
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.slow
@pytest.mark.parametrize("python", PYTHONS)
def test_every_name_that_ray_finds_on_the_path_is_in_the_list(python: str) -> None:
    found = {name: by for name, (there, by) in asked(python).items() if there}

    assert {"ray", "psutil", "google"} <= set(found), "the test sees nothing"
    found.pop("wcwidth", None)  # Ray only tries it, and starts beside one; what the tests use brings it
    assert {name: by for name, by in found.items() if name not in RAY_NAMES and name[0] != "_"} == {}


def starts(python: str, directory: Path) -> bool:
    command = [python, "-W", "ignore", "-c", SHADOW, str(directory), *PROCESSES]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("python", PYTHONS)
def test_the_names_that_ray_only_tries_and_that_are_not_in_the_list_do_no_harm(
    python: str, tmp_path: Path
) -> None:
    tried = {name for name, (there, _) in asked(python).items() if not there} - RAY_NAMES - RAY_TRIES
    for name in tried:
        (tmp_path / f"{name}.py").touch()

    assert len(tried) > 5, "the test sees nothing"
    assert starts(python, tmp_path)


@pytest.mark.slow
def test_a_name_that_ray_tries_and_goes_without_can_keep_it_from_starting(tmp_path: Path) -> None:
    (tmp_path / "simplejson.py").touch()

    assert "simplejson" in RAY_TRIES
    assert not starts(sys.executable, tmp_path)
