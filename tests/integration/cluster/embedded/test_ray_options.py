"""Options of `ray job submit` on a real cluster: working directory, variables, and pip beside a bundle."""

from __future__ import annotations

import json
import zipfile
from typing import TYPE_CHECKING

import pytest

from tests.support.workplace import reports

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.cluster.conftest import Embedded

pytestmark = pytest.mark.ray

JOB = """
import importlib, json, os, sys
import ray
from shared import NAME

def seen():
    try:
        extra = importlib.import_module("extra_" + "pkg").NAME
    except ModuleNotFoundError:
        extra = None
    return [NAME, os.environ.get("LEVEL"), extra, "/pip/" in sys.prefix]

print("REPORT", json.dumps([seen(), ray.get(ray.remote(seen).remote()), sorted(os.listdir("."))]))
"""


def make_wheel(directory: Path) -> Path:
    """A wheel of one module, which needs nothing."""
    wheel = directory / "extra_pkg-1.0-py3-none-any.whl"
    metadata = "extra_pkg-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("extra_pkg.py", "NAME = 'extra'\n")
        archive.writestr(f"{metadata}/METADATA", "Metadata-Version: 2.1\nName: extra-pkg\nVersion: 1.0\n")
        archive.writestr(
            f"{metadata}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{metadata}/RECORD", "")
    return wheel


def test_a_runtime_env_of_ray_is_merged_into_the_bundle(embedded: Embedded, tmp_path: Path) -> None:
    work = embedded.workplace(tmp_path / "work")
    (work.directory / "wd" / "jobs").mkdir(parents=True)
    (work.directory / "wd" / "jobs" / "job.py").write_text(JOB)
    (work.directory / "wd" / "shared.py").write_text("NAME = 'shared'\n")
    runtime_env = {"env_vars": {"LEVEL": "low"}, "pip": [str(make_wheel(tmp_path))]}
    options = ("--working-dir", "wd", "--runtime-env-json", json.dumps(runtime_env), "--env", "LEVEL=high")

    done = work.raybundle("submit", *options, "--", "python", "jobs/job.py")

    assert done.returncode == 0, done.stderr
    [[driver, task, files]] = reports(done.stdout)
    # The Python is that of an environment that Ray made; what was asked for there comes on top of the bundle.
    assert driver == task == ["shared", "high", "extra", True]
    assert {"jobs", "shared.py"} <= set(files)
    assert "Ray sets up `pip`" in done.stderr


@pytest.mark.parametrize(("installer", "comment"), [("pip", ""), ("uv", "  # raybundle: ignore")])
def test_what_ray_installs_need_not_be_installed_here(
    embedded: Embedded, tmp_path: Path, installer: str, comment: str
) -> None:
    work = embedded.workplace(tmp_path / "work")
    statement = f"import extra_pkg{comment}"
    (work.directory / "job.py").write_text(
        f"import ray\n{statement}\n@ray.remote\ndef f():\n    {statement}\n    return extra_pkg.NAME\n"
        "print([extra_pkg.NAME, ray.get(f.remote())])\n"
    )
    (work.directory / "requirements.txt").write_text(f"{make_wheel(tmp_path)}\n")
    runtime_env = json.dumps({installer: "requirements.txt"})

    done = work.raybundle("submit", "--runtime-env-json", runtime_env, "--", "python", "job.py")

    assert done.returncode == 0, done.stderr
    assert "['extra', 'extra']" in done.stdout
