"""The job's own working directory on a node: real interpreters, an archive as Ray leaves it, no Ray."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from raybundle.node.scratch import raybundle_fill
from tests.support.booting import last_json, make_interpreter, unpack, with_cache_at

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.support.booting import Unpacked

DRIVER = {"RAY_JOB_CONFIG_JSON_ENV_VAR": "{}"}
NOBODY = 65534
PATIENCE = 60.0
"""Seconds until what should happen counts as never happening; it takes well under one."""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter of the version of the tests."""
    return make_interpreter(tmp_path_factory.mktemp("python") / "env", sys.executable)


def on_node(directory: Path, script: str, files: Mapping[str, str] | None = None) -> Unpacked:
    """A node with a cache of its own that has fetched a bundle of a script and these files."""
    node = unpack(directory / "job", {"project/job.py": script, **(files or {})})
    (directory / "cache").mkdir(exist_ok=True)
    return with_cache_at(node, directory / "cache")


def left_in(node: Unpacked) -> list[str]:
    return sorted(entry.name for entry in (node.private / "jobs").iterdir() if entry.name != "making")


def wait_until_empty(node: Unpacked) -> None:
    """Waits until the node has nothing of any job, also no reaper."""
    deadline = time.monotonic() + PATIENCE
    while left_in(node) or reapers(node):
        assert time.monotonic() < deadline, left_in(node)
        time.sleep(0.02)


@dataclass(frozen=True, slots=True)
class Driver:
    """A driver that runs until it is told to end."""

    process: subprocess.Popen[str]
    said: str
    """Its first line."""

    def end(self) -> None:
        """Lets it go on, and waits for its end."""
        self.process.communicate("\n")

    def kill(self) -> None:
        """Kills it."""
        self.process.kill()
        self.process.communicate()


def start(node: Unpacked, python: Path) -> Driver:
    """Starts a driver as its supervisor does, and returns it once it has printed a line."""
    process = subprocess.Popen(
        [python, "job.py"],
        cwd=node.scratch,
        env={**node.environ, **DRIVER},
        start_new_session=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return Driver(process, process.stdout.readline())


SHARE = """
import json, pathlib, subprocess, sys
settings = json.load(open("conf/settings.json"))
tool = subprocess.check_output([sys.executable, "tool.py"], text=True)
mine = sorted(p.name for p in pathlib.Path(".").rglob("*") if p.is_file())
for name in ("conf/settings.json", "tool.py", "new.txt"):
    pathlib.Path(name).write_text("print('changed')\\n")
for name in ("conf/settings.json", "tool.py"):
    place = pathlib.Path(__file__).parent / name
    try:  # root can do it
        place.parent.chmod(0o700)
        place.chmod(0o600)
        place.write_text("print('changed')\\n")
    except OSError:
        pass
print(json.dumps([settings, tool, mine]), flush=True)
input()
"""


@pytest.mark.slow
def test_no_job_sees_what_another_wrote_one_after_the_other_or_at_once(tmp_path: Path, python: Path) -> None:
    files = {"project/conf/settings.json": '{"rate": 1}', "project/tool.py": "print('original')\n"}
    node = on_node(tmp_path, SHARE, files)
    expected = [{"rate": 1}, "original\n", ["job.py", "settings.json", "tool.py"]]

    first, second = start(node, python), start(node, python)
    first.end()
    second.end()
    third = start(node, python)
    third.end()

    assert [json.loads(driver.said) for driver in (first, second, third)] == [expected] * 3
    wait_until_empty(node)


WHERE = """
import json, os, subprocess, sys
child = subprocess.check_output([sys.executable, "-c", "import os; print(os.getcwd())"], text=True).strip()
print(json.dumps([os.getcwd(), os.environ["PWD"], child, os.environ["RAYBUNDLE_SCRATCH"], os.listdir()]))
"""


@pytest.mark.parametrize(
    ("variables", "expected", "files"),
    [
        ({}, "", {"data", "job.py"}),
        ({"RAYBUNDLE_CWD": "data/raw"}, "/data/raw", {"a.csv"}),
        ({"RAYBUNDLE_CWD": "made/for it"}, "/made/for it", set()),
    ],
)
def test_a_driver_and_its_children_start_where_the_job_was_submitted(
    tmp_path: Path, python: Path, variables: dict[str, str], expected: str, files: set[str]
) -> None:
    node = on_node(tmp_path, WHERE, {"project/data/raw/a.csv": "1"})

    where, variable, child, scratch, listed = last_json(node.run(python, "job.py", env=DRIVER | variables))

    assert where == variable == child == scratch + expected
    assert scratch.startswith(f"{node.private}/jobs/")
    assert set(listed) == files


@pytest.mark.parametrize("below", ["../up", "/tmp", "a/../../b"])
def test_a_start_outside_the_project_is_refused(tmp_path: Path, python: Path, below: str) -> None:
    node = on_node(tmp_path, "print('RAN')\n")

    done = node.run(python, "job.py", env=DRIVER | {"RAYBUNDLE_CWD": below})

    assert (done.returncode, done.stdout) == (78, "")
    assert f"expected a path below the project, found {below}" in done.stderr


@pytest.mark.parametrize(
    ("shell", "expected"),
    [
        ("cd sub && exec $PYTHON ../job.py", "/sub"),
        ("echo 'import os; print(os.getcwd())' >made.py; exec $PYTHON made.py", ""),
        ("exec $PYTHON -m pkg.run", ""),
        ("exec $PYTHON -c 'import os, pkg.run'", ""),
    ],
)
def test_an_entrypoint_of_plain_ray_goes_on_in_the_scratch(
    tmp_path: Path, python: Path, shell: str, expected: str
) -> None:
    script = "import os; print(os.getcwd())\n"
    files = {"project/sub/x.txt": "", "project/pkg/__init__.py": "", "project/pkg/run.py": script}
    node = on_node(tmp_path, script, files)
    environ = {**node.environ, **DRIVER, "PYTHON": str(python)}

    done = subprocess.run(
        ["sh", "-c", shell],
        cwd=node.scratch,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        start_new_session=True,
    )

    [where] = done.stdout.splitlines() or [done.stderr]
    assert where.startswith(f"{node.private}/jobs/")
    assert where.endswith(expected)
    wait_until_empty(node)


@pytest.mark.slow
def test_the_drivers_of_one_entrypoint_share_a_scratch(tmp_path: Path, python: Path) -> None:
    script = "import os; print(os.listdir()); open(str(os.getpid()), 'w')\n"
    node = on_node(tmp_path, script)
    environ = {**node.environ, **DRIVER, "PYTHON": str(python)}
    shell = "$PYTHON job.py; sleep 1; $PYTHON job.py"

    said = subprocess.check_output(
        ["sh", "-c", shell], cwd=node.scratch, env=environ, text=True, start_new_session=True
    )

    assert [len(line.split(",")) for line in said.splitlines()] == [1, 2]
    wait_until_empty(node)


MEET = """
import os, time
open(f"{os.getpid()}.here", "w").close()
deadline = time.monotonic() + 30
while time.monotonic() < deadline and len([name for name in os.listdir() if name.endswith(".here")]) < 8:
    time.sleep(0.02)
print(os.getcwd())
"""


@pytest.mark.slow
def test_processes_of_a_job_that_start_at_once_make_one_scratch(tmp_path: Path, python: Path) -> None:
    node = on_node(tmp_path, MEET)
    environ = {**node.environ, **DRIVER, "PYTHON": str(python)}
    shell = "$PYTHON job.py & " * 8 + "wait"

    said = subprocess.check_output(
        ["sh", "-c", shell], cwd=node.scratch, env=environ, text=True, start_new_session=True
    )

    assert len(said.splitlines()) == 8
    assert len(set(said.splitlines())) == 1
    wait_until_empty(node)


MODULES = """
import json, os, pathlib, subprocess, sys
pathlib.Path("helper.py").write_text("VALUE = 'changed'\\n")
sys.path.insert(0, os.getcwd())
sys.path.insert(0, "")
import helper
asked = [[sys.executable, "-c", "import helper; print(helper.VALUE)"], [sys.executable, "-m", "helper"]]
children = [subprocess.check_output(words, text=True).strip() for words in asked]
print(json.dumps([helper.VALUE, *children]))
"""


def test_modules_come_from_the_verified_tree_and_never_from_the_scratch(tmp_path: Path, python: Path) -> None:
    text = "VALUE = 'verified'\nif __name__ == '__main__':\n    print(VALUE)\n"
    node = on_node(tmp_path, MODULES, {"project/helper.py": text})

    assert last_json(node.driver(python, "job.py")) == ["verified"] * 3


CHANGE = """
import json, os, pathlib
found = []
for name in ("small.txt", "large.bin"):
    file = pathlib.Path(name)
    try:
        if os.geteuid() == 0:
            file.chmod(0o666)
        with file.open("r+b") as stream:
            stream.write(b"changed")
        found.append("written")
    except PermissionError:
        found.append("refused")
print(json.dumps([found, [os.stat(name).st_nlink for name in ("small.txt", "large.bin")]]))
"""
LARGE = "x" * raybundle_fill.LARGE


def test_root_changes_nothing_of_the_verified_tree_through_the_scratch(tmp_path: Path, python: Path) -> None:
    node = on_node(tmp_path, CHANGE, {"project/small.txt": "small", "project/large.bin": LARGE})

    [outcomes, links] = last_json(node.driver(python, "job.py"))

    assert (outcomes, links) == (["written", "written"], [1, 1])
    assert (node.tree / "project/small.txt").read_text() == "small"
    assert (node.tree / "project/large.bin").read_text() == LARGE


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_user_who_is_not_root_shares_large_files_and_cannot_write_to_them(
    tmp_path: Path, python: Path
) -> None:
    node = on_node(tmp_path, CHANGE, {"project/small.txt": "small", "project/large.bin": LARGE})
    node = replace(node, private=node.private.with_name(f"raybundle-{NOBODY}"))
    os.chown(tmp_path / "cache", NOBODY, NOBODY)
    become = [f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    become += ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]

    first = last_json(node.driver(Path("setpriv"), *become, str(python), "job.py"))
    (node.tree / "project/large.bin").chmod(0o600)
    (node.tree / "project/large.bin").write_text("changed")
    second = last_json(node.driver(Path("setpriv"), *become, str(python), "job.py"))

    assert first == second == [["written", "refused"], [1, 3]]
    assert (node.tree / "project/small.txt").read_text() == "small"
    assert (node.tree / "project/large.bin").read_text() == LARGE
    wait_until_empty(node)


KEEP = """
import subprocess, sys
with open("big", "wb") as stream:
    stream.write(bytes(1 << 20))
child = "import time; print(1, flush=True); time.sleep(60)"
child = subprocess.Popen([sys.executable, "-c", child], stdout=-1)
child.stdout.readline()
print(child.pid, flush=True)
input()
"""


def test_a_scratch_goes_with_the_last_process_of_its_job(tmp_path: Path, python: Path) -> None:
    node = on_node(tmp_path, KEEP)
    driver = start(node, python)

    driver.kill()
    time.sleep(0.5)  # in which a reaper that does not wait for the child would be done
    kept = left_in(node)
    os.kill(int(driver.said), signal.SIGKILL)

    assert len(kept) == 3
    wait_until_empty(node)


def test_what_is_left_where_all_was_killed_goes_with_the_next_job(tmp_path: Path, python: Path) -> None:
    script = "import os\nos.chmod('sub', 0)\nprint(1, flush=True)\ninput()\n"
    node = on_node(tmp_path, script, {"project/sub/x": ""})
    first = start(node, python)
    reaper = the_reaper(node)
    os.kill(reaper, signal.SIGKILL)
    first.kill()
    time.sleep(0.5)
    left = left_in(node)

    start(node, python).end()

    assert len(left) == 3
    wait_until_empty(node)


def test_the_next_job_removes_nothing_of_one_that_runs(tmp_path: Path, python: Path) -> None:
    node = on_node(tmp_path, "import os\nprint(os.getcwd(), flush=True)\ninput()\n")
    first = start(node, python)
    reaper = the_reaper(node)
    os.kill(reaper, signal.SIGKILL)

    start(node, python).end()
    time.sleep(0.5)

    assert Path(first.said.strip(), "job.py").exists()
    first.end()
    wait_until_empty(node)


def the_reaper(node: Unpacked) -> int:
    """The reaper of a node's only job, once it runs."""
    deadline = time.monotonic() + PATIENCE
    while not (found := reapers(node)):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    [reaper] = found
    return reaper


def reapers(node: Unpacked) -> list[int]:
    """The reapers of a node's jobs."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().split(b"\0")
        except OSError:
            continue
        if any(word.startswith(f"{node.private}/jobs/".encode()) for word in words):
            found.append(int(entry.parent.name))
    return found


def test_a_reaper_holds_nothing_open_that_anybody_waits_for(tmp_path: Path, python: Path) -> None:
    node = on_node(tmp_path, "print(1, flush=True)\ninput()\n")
    driver = start(node, python)
    reaper = the_reaper(node)
    deadline = time.monotonic() + PATIENCE
    while not any(file.endswith(".lock") for file in opened_by(reaper)):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    opened = opened_by(reaper)

    driver.end()

    jobs = f"{node.private}/jobs/"
    assert {file for file in opened if not file.startswith(jobs)} == {os.devnull}
    wait_until_empty(node)


def opened_by(process: int) -> list[str]:
    return [str(each.readlink()) for each in Path(f"/proc/{process}/fd").iterdir()]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_a_disk_that_is_full_stops_the_job_with_one_line(tmp_path: Path, python: Path) -> None:
    (tmp_path / "cache").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", tmp_path / "cache"], check=True)
    try:
        node = on_node(tmp_path, "print('RAN')\n", {"project/data.bin": "x" * 2_500_000})
        done = node.driver(python, "job.py")

        assert (done.returncode, done.stdout) == (78, "")
        assert done.stderr.count("\n") == 1
        assert "No space left on device" in done.stderr
        assert "MiB are free in" in done.stderr
        wait_until_empty(node)
    finally:
        subprocess.run(["umount", "--lazy", tmp_path / "cache"], check=True)


@pytest.mark.slow
def test_what_a_scratch_was_filled_with_counts_for_the_bound_of_the_cache(
    tmp_path: Path, python: Path
) -> None:
    node = on_node(tmp_path, "print(1, flush=True)\ninput()\n", {"project/data.bin": "x" * 600_000})
    other = unpack(tmp_path / "other", {"project/job.py": "pass\n", "project/other.bin": "y" * 600_000})
    other = with_cache_at(other, tmp_path / "cache")
    last = unpack(tmp_path / "last", {"project/job.py": "pass\n# last\n", "project/last.bin": "z" * 600_000})
    last = with_cache_at(last, tmp_path / "cache")
    driver = start(node, python)
    other.driver(python, "job.py")

    last.run(python, "job.py", env={**DRIVER, "RAYBUNDLE_CACHE_BYTES": "2000000"})

    assert [each.tree.exists() for each in (node, other, last)] == [True, False, True]
    driver.end()
    wait_until_empty(node)
