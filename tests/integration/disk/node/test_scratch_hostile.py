"""What a job makes of its own scratch, and that its removal touches nothing else."""

from __future__ import annotations

import fcntl
import json
import os
import re
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from raybundle.node.scratch import raybundle_reaper
from tests.integration.disk.node.test_scratch import (
    DRIVER,
    PATIENCE,
    on_node,
    reapers,
    start,
    wait_until_empty,
)
from tests.support.booting import last_json, make_interpreter, unpack, with_cache_at

if TYPE_CHECKING:
    from tests.support.booting import Unpacked


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter of the version of the tests."""
    return make_interpreter(tmp_path_factory.mktemp("python") / "env", sys.executable)


AWAY = """
import os, shutil, sys
scratch = os.environ["RAYBUNDLE_SCRATCH"]
os.chdir("/")
shutil.rmtree(scratch)
os.symlink(sys.argv[1], scratch)
"""


def test_a_scratch_that_became_a_link_goes_and_what_it_leads_to_stays_as_it_is(
    tmp_path: Path, python: Path
) -> None:
    outside = tmp_path / "outside"
    (outside / "folder").mkdir(parents=True)
    (outside / "folder/kept.txt").write_text("kept")
    (outside / "folder").chmod(0o755)
    node = on_node(tmp_path, AWAY)

    done = node.driver(python, "job.py", str(outside))

    assert done.returncode == 0, done.stderr
    wait_until_empty(node)
    assert (outside / "folder/kept.txt").read_text() == "kept"
    assert (outside / "folder").stat().st_mode & 0o777 == 0o755


MOUNT = """
import os, subprocess, sys
os.makedirs("a/data")
subprocess.check_call(["mount", "--bind", sys.argv[1], "a/data"])
"""


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
def test_what_is_mounted_in_a_scratch_is_not_removed_with_it(tmp_path: Path, python: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept.txt").write_text("kept")
    outside.chmod(0o755)
    node = on_node(tmp_path, MOUNT, {"project/other/x.txt": ""})

    done = node.driver(python, "job.py", str(outside))
    try:
        wait_until_ended(node)
        left = [path.name for path in (node.private / "jobs").rglob("*.txt")]
    finally:
        subprocess.run(["umount", *mounts_below(tmp_path)], check=True)
    node.driver(python, "-c", "")  # the next job

    assert done.returncode == 0, done.stderr
    assert left == ["kept.txt"]
    assert (outside / "kept.txt").read_text() == "kept"
    assert outside.stat().st_mode & 0o777 == 0o755
    wait_until_empty(node)


def wait_until_ended(node: Unpacked) -> None:
    """Waits until no reaper is at work."""
    deadline = time.monotonic() + PATIENCE
    while reapers(node):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def mounts_below(directory: Path) -> list[str]:
    points = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    return [point for point in points if point.startswith(f"{directory}/")]


DEEP = """
import os
for _ in range(2000):
    os.mkdir("d")
    os.chdir("d")
"""


@pytest.mark.slow
def test_folders_are_removed_however_deep_they_are(tmp_path: Path, python: Path) -> None:
    node = on_node(tmp_path, DEEP)

    done = node.driver(python, "job.py")

    try:
        assert done.returncode == 0, done.stderr
        wait_until_empty(node)
    finally:
        subprocess.run(["rm", "-rf", node.private / "jobs"], check=True)  # pytest is not able to


KNOWN = f"""
import runpy, sys, time
reaper = runpy.run_path({raybundle_reaper.__file__!r})
reaper["main"].__globals__["PATIENCE"] = 5.0
print(1, flush=True)
reaper["main"](sys.argv[1])
print(time.monotonic())
"""


@pytest.mark.slow
def test_a_reaper_is_patient_from_when_the_last_process_has_left(tmp_path: Path) -> None:
    jobs = tmp_path / "jobs"
    (jobs / "a").mkdir(parents=True)
    (jobs / "a.job").write_text("gcs 127.0.0.1:1\nsubmission x\nray /nowhere\n")  # nobody answers
    with (jobs / "a.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_SH)
        words = [sys.executable, "-c", KNOWN, str(jobs / "a.job")]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as reaper:
            assert reaper.stdout is not None
            reaper.stdout.readline()
            time.sleep(6)  # longer than its patience
            left = time.monotonic()
            fcntl.flock(held, fcntl.LOCK_UN)
            removed = float(reaper.stdout.readline())

    assert removed - left >= 5
    assert list(jobs.iterdir()) == []


WHERE = "import json, os; print(json.dumps([os.getcwd(), __file__]))\n"


def test_a_job_finds_its_scratch_where_ray_has_a_link_on_the_way_to_its_own_directory(
    tmp_path: Path, python: Path
) -> None:
    node = on_node(tmp_path, WHERE, {"project/sub/x.txt": ""})
    (tmp_path / "link").symlink_to(tmp_path / "job")
    scratch = tmp_path / "link/scratch"
    node = replace(node, scratch=scratch, environ={**node.environ, "PYTHONPATH": str(scratch)})

    first = last_json(node.driver(python, "job.py"))
    below = subprocess.check_output(
        [python, "../job.py"], cwd=scratch / "sub", env={**node.environ, **DRIVER}, start_new_session=True
    )

    for (where, file), expected in ((first, ""), (json.loads(below), "/sub")):
        assert re.fullmatch(f"{node.private}/jobs/[0-9a-f]+{expected}", where)
        assert file == str(node.tree / "project/job.py")
    wait_until_empty(node)


OUTER = """
import json, os
for name in ("job.py", "data.txt"):
    open(name, "w").write("print('changed')")
print(json.dumps([os.getcwd(), os.environ["RAYBUNDLE_JOB"]]), flush=True)
input()
"""
SUPERVISOR = """
import json, os, subprocess, sys
words, variables = [sys.executable, "inner.py"], {**os.environ, "RAY_JOB_CONFIG_JSON_ENV_VAR": "{}"}
read = subprocess.check_output(["sh", "-c", "cat data.txt"], text=True)
inner = json.loads(subprocess.check_output(words, env=variables, start_new_session=True))
print(json.dumps([read, *inner]))
"""
READY = """
import json, os, pickle, sys, types

where = os.getcwd()
for name in ("ray", "ray._private", "ray._private.function_manager"):
    sys.modules[name] = types.ModuleType(name)
manager = sys.modules["ray._private"].function_manager = sys.modules["ray._private.function_manager"]
manager.pickle = pickle
sys.modules["raybundle_boot"].ready()
manager.pickle.loads(pickle.dumps({"module": "job"}))
print(json.dumps([where, os.getcwd()]))
"""
"""The first function that Ray describes to a worker decides whether it is a supervisor."""


def test_a_job_submitted_with_the_runtime_env_of_another_one_stays_out_of_its_scratch(
    tmp_path: Path, python: Path
) -> None:
    inner = "import json, os; print(json.dumps([os.getcwd(), __file__, open('data.txt').read()]))\n"
    node = on_node(tmp_path, OUTER, {"project/inner.py": inner, "project/data.txt": "as built"})
    outer = start(node, python)
    [scratch, job] = json.loads(outer.said)
    place = tmp_path / "ray/_private/workers/default_worker.py"
    place.parent.mkdir(parents=True)
    passed = {"RAYBUNDLE_JOB": job, "RAY_worker_niceness": "0"}

    place.write_text(SUPERVISOR)
    [read, where, file, data] = last_json(node.run(python, str(place), env=passed))
    place.write_text(READY)
    [before, after] = last_json(node.run(python, str(place), env=passed))
    outer.end()

    assert (read, data, file) == ("as built", "as built", str(node.tree / "project/inner.py"))
    assert where != scratch
    assert (before, after) == (str(node.scratch), scratch)
    wait_until_empty(node)


def test_a_worker_with_the_archive_of_one_bundle_and_the_name_of_another_one_is_refused(
    tmp_path: Path, python: Path
) -> None:
    node = on_node(tmp_path, "print(1)\n")
    newer = with_cache_at(unpack(tmp_path / "newer", {"project/job.py": "print(2)\n"}), tmp_path / "cache")
    node.driver(python, "job.py")
    newer.driver(python, "job.py")
    place = tmp_path / "ray/_private/workers/default_worker.py"
    place.parent.mkdir(parents=True)
    place.touch()
    mixed = {"PYTHONPATH": str(newer.scratch)}  # Ray merges an actor's own working_dir and env_vars

    own = newer.run(python, str(place))
    done = node.run(python, str(place), env=mixed)

    assert own.stderr == ""
    assert f"{newer.scratch}/.raybundle/manifest.json: expected {node.digest}" in done.stderr
    assert f"found {newer.digest}: " in done.stderr
