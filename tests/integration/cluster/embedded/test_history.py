"""The history of runs: written before the request, completed after it, by whoever is still there."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import pytest

from raybundle.model import Digest
from raybundle.publish.runs.records import record_start
from raybundle.publish.runs.run import Run
from raybundle.store import open_store
from tests.support.another_python import find_python_312

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.cluster.conftest import Embedded
    from tests.support.workplace import Workplace

pytestmark = pytest.mark.ray

CANARY = "kanarie4711zz"
JOB = """\
import os
import sys
import time

import part

print("OUTPUT", part.WORD, os.environ.get("SEED"), *sys.argv[1:])
time.sleep(float(os.environ.get("NAP", "0")))
sys.exit(int(os.environ.get("CODE", "0")))
"""


@pytest.fixture
def work(embedded: Embedded, tmp_path: Path) -> Workplace:
    """A committed project of two modules, one of which has changed since, and a store of its own."""
    work = embedded.workplace(tmp_path / "work", RAYBUNDLE_STORE=str(tmp_path / "store"))
    (work.directory / "job.py").write_text(JOB)
    (work.directory / "part.py").write_text('WORD = "one"\n')
    (work.directory / "other.py").write_text("")
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b"]
    remote = f"https://ann:{CANARY}@git.example.com/team/fraud.git"
    for line in ("init -q", "add .", "commit -qm first", f"remote add origin {remote}"):
        assert work.command([*git, *line.split()]).returncode == 0
    (work.directory / "part.py").write_text('WORD = "two"\n')
    (work.directory / "other.py").write_text("# not in the bundle\n")
    return work


def shown(work: Workplace, run_id: str) -> dict[str, Any]:
    done = work.raybundle("--json", "show", run_id)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)["run"]
    return found


def listed(work: Workplace, *words: str) -> dict[str, str]:
    done = work.raybundle("--json", "runs", *words)
    assert done.returncode == 0, done.stderr
    return {row["id"]: row["status"] for row in json.loads(done.stdout)["runs"]}


def test_a_run_says_what_ran_from_which_commit_and_what_happened(work: Workplace) -> None:
    words = ("--env", "SEED=7", "--env", f"PLAIN={CANARY}", "--env", "CODE=3", "--name", "fraud")
    options = ("--submission-id", f"history-{time.time_ns()}", "--metadata-json", '{"team": "risk"}')

    done = work.raybundle("submit", *words, *options, "job.py", "--epochs", "2", f"--password={CANARY}")

    # Ray writes its own first line after it has started the driver.
    assert (done.returncode, "\nOUTPUT two 7 " in f"\n{done.stdout}") == (20, True), done.stdout
    run = shown(work, options[1])
    facts, events = run["facts"], run["events"]
    assert (run["status"], events["end"]["exit_code"], events["end"]["driver_exit_code"]) == ("FAILED", 20, 3)
    first, second, *last = events  # what the nodes saw is recorded beside the end
    assert (first, second, sorted(last)) == ("accepted", "running", ["end", "observed"])
    assert [node["processes"] for node in events["observed"]["nodes"]] == [{"driver": 1}]
    assert events["observed"]["outside"] == []
    assert run["arguments"] == ["--epochs", "2", "…"]
    assert (facts["env"], run["env_names"]) == ({"SEED": "7"}, ["CODE", "PLAIN"])
    assert (facts["name"], facts["metadata"]) == ("fraud@1", {"team": "risk"})
    assert facts["git"]["remote"] == "https://git.example.com/team/fraud.git"
    assert (facts["git"]["dirty"], facts["git"]["changed"]) == (True, ["part.py"])
    assert len(facts["git"]["commit"]) == 40
    assert facts["client"]["python"].startswith("{}.{}".format(*sys.version_info))
    holders = [
        str(file)
        for file in (work.directory.parent / "store").rglob("*")
        if file.is_file() and CANARY.encode() in file.read_bytes()
    ]
    assert holders == []
    text = work.raybundle("show", options[1]).stdout
    assert "status    FAILED, exit code 20" in text
    assert CANARY not in text
    assert listed(work, "--name", "fraud") == {options[1]: "FAILED"}


STRAY = """\
import subprocess
import sys

import ray

import part

CHILD = "import sys; sys.path.append({outside!r}); __import__('of_a_' + sys.argv[1]); import part"


@ray.remote
def task():
    sys.path.insert(0, {outside!r})
    import json, part, importlib.util
    assert importlib.util.find_spec("only_asked_for")
    import of_a_task
    return of_a_task.__file__


ray.init(log_to_driver=False)
print(ray.get(task.remote()))
subprocess.run([sys.executable, "-c", CHILD, "child"], check=True)
"""


def test_what_a_job_imports_from_outside_its_bundle_is_told_and_recorded(
    work: Workplace, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    for name in ("of_a_task", "of_a_child", "only_asked_for", "part"):
        (outside / f"{name}.py").write_text("")
    (work.directory / "job.py").write_text(STRAY.format(outside=str(outside)))
    name = f"stray-{time.time_ns()}"

    done = work.raybundle("submit", "--submission-id", name, "job.py")

    assert done.returncode == 0, done.stderr
    assert "warning: imported from outside the bundle: " in done.stderr
    seen = shown(work, name)["events"]["observed"]
    assert sorted((each["module"], each["file"], each["process"]) for each in seen["outside"]) == [
        ("of_a_child", str(outside / "of_a_child.py"), "child"),
        ("of_a_task", str(outside / "of_a_task.py"), "worker"),
        ("part", str(outside / "part.py"), "worker"),  # before that of the bundle
    ]
    [node] = seen["nodes"]
    assert node["processes"] == {"driver": 1, "worker": 1, "child": 1}
    assert any(each.startswith("ray-") for each in node["provided"])
    text = work.raybundle("show", name).stdout
    assert f"outside   of_a_task from {outside}/of_a_task.py (a worker on {node['node']})" in text
    assert "; 1 driver, 1 worker, 1 child" in text

    # What docs/messages.md says: the directory as a root, and no edit of the path.
    (work.directory / "pyproject.toml").write_text(f'[tool.raybundle]\nroots = [".", "{outside}"]\n')
    (work.directory / "job.py").write_text("import of_a_task\nprint(of_a_task.__file__)\n")
    done = work.raybundle("submit", "--submission-id", f"{name}-2", "job.py")
    assert (done.returncode, "outside the bundle" in done.stderr) == (0, False), done.stderr
    assert "/trees/" in done.stdout.splitlines()[-1]


def test_a_client_that_was_killed_is_completed_by_refresh_or_by_attach(work: Workplace) -> None:
    ids = [f"killed-{time.time_ns()}-{number}" for number in range(2)]
    clients = [
        subprocess.Popen(
            [
                sys.executable,
                "-m",
                "raybundle",
                "submit",
                "--env",
                "NAP=2",
                "--submission-id",
                each,
                "job.py",
            ],
            cwd=work.directory,
            env=dict(work.environ),
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        for each in ids
    ]
    for client in clients:
        assert client.stderr is not None
        assert any("submitted successfully" in line for line in client.stderr)
        client.send_signal(signal.SIGKILL)
        client.wait()
        client.stderr.close()
    open_ones = listed(work)

    attached = work.raybundle("attach", ids[0])
    work.raybundle("attach", "--store", str(work.directory / "none"), ids[1])
    between = listed(work)
    refreshed = listed(work, "--refresh")

    assert open_ones == dict.fromkeys(ids, "OPEN")
    assert attached.returncode == 0
    assert between == {ids[0]: "SUCCEEDED", ids[1]: "OPEN"}
    assert refreshed == dict.fromkeys(ids, "SUCCEEDED")
    assert {"accepted", "end"} <= set(shown(work, ids[1])["events"])


def test_a_run_whose_cluster_is_gone_stays_open_and_is_named(work: Workplace, tmp_path: Path) -> None:
    digest = work.raybundle("build", "job.py").stdout.strip()
    record = {
        "schema_version": 1,
        "id": "gone",
        "bundle": digest,
        "arguments": [],
        "env": {},
        "env_names": [],
        "address": "http://127.0.0.1:9",
        "cwd": ".",
        "started": "2026-01-02T03:04:05+00:00",
    }
    folder = tmp_path / "store/runs/2026/01"
    folder.mkdir(parents=True)
    (folder / "gone.json").write_text(json.dumps(record))
    mark = tmp_path / "store/history/2026/01/02" / f"20260102T030405Z!gone!{digest[7:23]}!!"
    mark.parent.mkdir(parents=True)
    mark.write_text("{}")

    done = work.raybundle("runs", "--refresh")

    assert done.returncode == 0
    assert "the runs of http://127.0.0.1:9 stay open" in done.stderr
    assert listed(work) == {"gone": "OPEN"}


def test_the_job_of_another_bundle_ends_no_run_of_the_same_id(work: Workplace) -> None:
    name, other = f"same-{time.time_ns()}", str(work.directory / "other-store")
    submitted = work.raybundle("--json", "submit", "--submission-id", name, "job.py")
    (work.directory / "part.py").write_text('WORD = "three"\n')
    digest = work.raybundle("build", "--store", other, "job.py").stdout.strip()
    address = json.loads(submitted.stdout)["address"]
    started = datetime.now(timezone.utc).replace(microsecond=0)
    record_start(open_store(other, {}), Run(name, Digest(digest), (), {}, address, started))

    refreshed = work.raybundle("--json", "runs", "--store", other, "--refresh")

    assert [row["status"] for row in json.loads(refreshed.stdout)["runs"]] == ["OPEN"]


def test_a_run_is_repeated_by_somebody_who_has_only_the_store(
    embedded: Embedded, work: Workplace, tmp_path: Path
) -> None:
    options = ("--env", "SEED=7", "--name", "fraud", "--cwd", ".")
    first = work.raybundle("--json", "submit", *options, "job.py", "a b", "$X", "'")
    shutil.rmtree(work.directory)
    shutil.rmtree(work.environ["HOME"])
    other = embedded.workplace(tmp_path / "other", RAYBUNDLE_STORE=str(tmp_path / "store"))
    before = json.loads(first.stdout)

    again = other.raybundle("--json", "rerun", before["submission_id"])
    changed = other.raybundle("rerun", "--args", "'c d' e", "--env", "SEED=8", before["submission_id"])

    after = json.loads(again.stdout)
    assert (after["bundle"], after["status"]) == (before["bundle"], "SUCCEEDED")
    assert "OUTPUT two 7 a b $X '" in first.stderr
    assert "OUTPUT two 7 a b $X '" in again.stderr
    assert changed.stdout.splitlines()[-1] == "OUTPUT two 8 c d e"
    facts = shown(other, after["submission_id"])["facts"]
    assert (facts["rerun_of"], facts["name"]) == (before["submission_id"], "fraud@1")
    assert facts["nodes"]["ray"]
    assert other.raybundle("check").returncode == 0


def test_what_is_not_recorded_must_be_given_again(work: Workplace) -> None:
    name = f"masked-{time.time_ns()}"
    words = ("--env", f"PLAIN={CANARY}", "--submission-id", name, "job.py", f"--password={CANARY}")
    assert work.raybundle("submit", *words).returncode == 0

    refused = [work.raybundle("rerun", *more, name) for more in ([], ["--args", "x"])]
    done = work.raybundle("rerun", "--args", "x", "--env", "PLAIN=1", name)

    assert [each.returncode for each in refused] == [2, 2]
    assert "argument 1 of run" in refused[0].stderr
    assert "the values of PLAIN of run" in refused[1].stderr
    assert "--env PLAIN=VALUE" in refused[1].stderr
    assert done.returncode == 0, done.stderr


def test_a_cluster_that_differs_is_shown_and_must_be_accepted(work: Workplace, tmp_path: Path) -> None:
    name = f"drift-{time.time_ns()}"
    assert work.raybundle("submit", "--submission-id", name, "job.py").returncode == 0
    record = next((tmp_path / "store/runs").rglob(f"{name}.json"))
    text = json.loads(record.read_text())
    text["nodes"] = {**text["nodes"], "python": ["cpython 3.9.1"], "ray": ["2.1.0"], "libc": ["glibc 2.17"]}
    record.chmod(0o600)
    record.write_text(json.dumps(text))

    refused = work.raybundle("rerun", name)
    accepted = work.raybundle("rerun", "--accept-drift", name)

    assert refused.returncode == 3
    for line in (
        r"python +cpython 3\.9\.1 +cpython 3\.",
        r"ray +2\.1\.0 +\d",
        r"libc +glibc 2\.17 +glibc \d",
    ):
        assert re.search(f"^{line}", refused.stderr, re.MULTILINE)
    assert f"this cluster is not like that of run {name}: python, ray, libc" in refused.stderr
    assert "hint: `--accept-drift` runs it nevertheless" in refused.stderr
    assert accepted.returncode == 0, accepted.stderr


LACKING = {
    "python": r"the embedded cluster runs Python 3\.\d+ on .*, and the bundle is for Python 3\.12",
    "absentee": r"does not run here:\nnode .*absentee",
}


@pytest.mark.parametrize("lacking", LACKING)
def test_a_bundle_that_the_cluster_cannot_run_is_refused_by_what_it_lacks(
    work: Workplace, tmp_path: Path, lacking: str
) -> None:
    options = ("--python", find_python_312()) if lacking == "python" else ()
    name = f"lacking-{lacking}-{time.time_ns()}"
    assert work.raybundle("submit", "--submission-id", name, "job.py").returncode == 0
    (work.directory / "pyproject.toml").write_text('[tool.raybundle]\ncluster-provides = ["absentee"]\n')
    (work.directory / "part.py").write_text('import absentee\nWORD = "two"\n')
    built = work.raybundle("build", *options, "job.py")
    assert built.returncode == 0, built.stderr
    record = next((tmp_path / "store/runs").rglob(f"{name}.json"))
    text = json.loads(record.read_text())
    record.chmod(0o600)
    record.write_text(json.dumps({**text, "bundle": built.stdout.strip()}))

    refused = work.raybundle("rerun", "--accept-drift", name)

    assert refused.returncode == 3
    assert re.search(LACKING[lacking], refused.stderr), refused.stderr


def test_a_damaged_bundle_is_not_run_again(work: Workplace, tmp_path: Path) -> None:
    name = f"damaged-{time.time_ns()}"
    assert work.raybundle("submit", "--submission-id", name, "job.py").returncode == 0
    archive = next((tmp_path / "store/bundles").rglob("*.zip"))
    archive.chmod(0o600)
    archive.write_bytes(archive.read_bytes()[:-1])

    done = work.raybundle("rerun", name)

    assert done.returncode == 3
    assert "is not as it was stored:" in done.stderr
    assert archive.name in done.stderr


def test_a_log_that_was_kept_is_shown_when_the_cluster_is_gone(work: Workplace) -> None:
    names = [f"log-{time.time_ns()}-{each}" for each in ("kept", "lost")]
    for name, more in zip(names, (["--save-logs"], []), strict=True):
        assert work.raybundle("submit", *more, "--submission-id", name, "job.py", "a").returncode == 0
    gone = {"RAYBUNDLE_LOCAL_STATE": "../no-cluster"}

    kept = work.raybundle("logs", names[0], env=gone)
    tail = work.raybundle("--json", "logs", "--tail", "1", names[0], env=gone)
    lost = work.raybundle("logs", names[1], env=gone)

    assert kept.stdout.splitlines()[-1] == "OUTPUT two None a"
    assert json.loads(tail.stdout)["logs"] == "OUTPUT two None a\n"
    assert lost.returncode == 5
    assert work.raybundle("check").returncode == 0
