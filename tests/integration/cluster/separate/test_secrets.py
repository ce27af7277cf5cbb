"""Secrets on a real cluster: in every process of a job, and in nothing that anybody else can read."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.workplace import make_workplace, reports

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.support.workplace import Workplace

pytestmark = pytest.mark.ray

STATES = ("jobs", "tasks", "actors", "workers", "runtime_envs", "nodes", "objects")
API = ("jobs/", "jobs/{}", "jobs/{}/logs", *(f"v0/{state}?detail=True" for state in STATES))
KINDS = ("driver", "task", "child", "actor")
SOON = 30.0
"""Seconds by which a job whose boot fails has ended; 3 to 8 are usual, a hang takes 60."""
TIMEOUT = 120.0
"""Seconds until a job counts as hanging."""

JOB = '''
import hashlib, json, os, pathlib, subprocess, sys, time
import ray

NAMES = ("FROM_FILE", "FROM_NODE", "NODE_CANARY")

def sums():
    return {name: hashlib.sha256(os.environ.get(name, "").encode()).hexdigest() for name in NAMES}

def places():
    """Where the secrets stand besides their variables: other variables, arguments, what Ray knows."""
    found, values = [], {os.environ[name] for name in NAMES}
    texts = {name: value for name, value in os.environ.items() if name not in NAMES}
    texts["runtime_env"] = str(ray.get_runtime_context().runtime_env)
    for arguments in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            texts[str(arguments)] = arguments.read_text(errors="replace")
        except OSError:
            pass
    return [place for place, text in texts.items() if any(value in text for value in values)]

def keys():
    """The entries of the cluster's key-value store that hold a secret, and how many there are."""
    from ray._private import ray_constants
    from ray.experimental.internal_kv import _internal_kv_get, _internal_kv_list
    spaces = {getattr(ray_constants, name) for name in dir(ray_constants) if name.startswith("KV_NAMESPACE")}
    found, count = [], 0
    for space in {*spaces, None, b"job", b"fun"}:
        for key in _internal_kv_list(b"", namespace=space):
            count += 1
            value = key + (_internal_kv_get(key, namespace=space) or b"")
            if any(os.environ[name].encode() in value for name in NAMES):
                found.append(str(key))
    return found, count

@ray.remote
def task():
    child = "import job, json; print(json.dumps(job.sums()))"
    return [sums(), json.loads(subprocess.check_output([sys.executable, "-c", child])), places()]

@ray.remote
class Actor:
    def look(self):
        return [sums(), places()]

if __name__ == "__main__":
    ray.init()
    hold = pathlib.Path(sys.argv[1])
    in_task, child, beside_task = ray.get(task.remote())
    actor = Actor.remote()
    another = Actor.options(runtime_env={"env_vars": {"FROM_FILE": "its own"}}).remote()
    in_actor, beside_actor = ray.get(actor.look.remote())
    found, count = keys()
    print("REPORT " + json.dumps({
        "driver": sums(), "task": in_task, "child": child, "actor": in_actor,
        "another": ray.get(another.look.remote()),
        "places": [*places(), *beside_task, *beside_actor, *found], "keys": count,
    }), flush=True)
    hold.with_suffix(".ready").touch()
    while not hold.exists():
        time.sleep(0.05)
'''

GONE = """
import os, ray, sys

@ray.remote
def task():
    print("TASK RAN")

ray.init()
os.unlink(sys.argv[1])
ray.get(task.remote())
"""


@dataclass(frozen=True, slots=True)
class SecretCluster:
    """An embedded cluster whose nodes have a secret in their environment, and the clients have not."""

    address: str
    state: Path
    temp_dir: Path
    canary: str

    def workplace(self, directory: Path, script: str = JOB) -> Workplace:
        work = make_workplace(directory, RAYBUNDLE_LOCAL_STATE=str(self.state))
        (work.directory / "job.py").write_text(f"{script}# {time.time_ns()}\n", encoding="utf-8")
        return work

    def answers(self, job: str) -> dict[str, bytes]:
        """What the API says, by path."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        token = (self.state / "auth_token").read_text()
        opener.addheaders.append(("Authorization", f"Bearer {token}"))
        found = {}
        for path in (path.format(job) for path in API):
            with opener.open(f"{self.address}/api/{path}", timeout=60) as response:
                found[path] = response.read()
        return found


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecretCluster]:
    """A cluster of its own: a node's environment is that in which it was started."""
    state, canary = tmp_path_factory.mktemp("secret-state"), f"canary-{secrets.token_hex(16)}"
    work = make_workplace(tmp_path_factory.mktemp("up") / "work", RAYBUNDLE_LOCAL_STATE=str(state))
    options = ("--num-cpus", "4", "--object-store-memory", "100000000")
    up = work.raybundle("--json", "local", "up", *options, env={"NODE_CANARY": canary})
    try:
        assert up.returncode == 0, up.stderr
        temp_dir = Path(json.loads((state / "cluster.json").read_text())["temp_dir"])
        yield SecretCluster(json.loads(up.stdout)["address"], state, temp_dir, canary)
    finally:
        work.raybundle("local", "down")


@pytest.fixture
def canary_file(tmp_path: Path) -> Path:
    """A secret that no other test has, on the node, and not where the user works."""
    file = tmp_path / "on the node" / "canary"
    file.parent.mkdir()
    file.write_text(f"canary-{secrets.token_hex(16)}\n")
    return file


def run_and_look(
    cluster: SecretCluster, work: Workplace, job: str, words: Sequence[str]
) -> tuple[int, str, str, dict[str, bytes]]:
    """Runs a job that waits until the API was asked; returns exit code, output, and answers at both times."""
    hold = work.directory.parent / job
    with subprocess.Popen(
        [sys.executable, "-m", "raybundle", *words, str(hold)],
        cwd=work.directory,
        env=dict(work.environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        ready, deadline = hold.with_suffix(".ready"), time.monotonic() + TIMEOUT
        while not ready.exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        during = cluster.answers(job) if ready.exists() else {}
        hold.touch()
        stdout, stderr = process.communicate(timeout=TIMEOUT)
    after = {f"{path} after": answer for path, answer in cluster.answers(job).items()}
    return process.returncode, stdout, stderr, {**during, **after}


def files_below(directory: Path) -> dict[str, bytes]:
    """The bytes of all files below a directory, by path."""
    return {
        str(file): file.read_bytes()
        for file in directory.rglob("*")
        if file.is_file() and not file.is_symlink()
    }


@pytest.mark.parametrize("command", ["submit", "run"])
def test_a_secret_is_in_every_process_of_a_job_and_in_nothing_that_others_can_read(
    cluster: SecretCluster, tmp_path: Path, canary_file: Path, command: str
) -> None:
    work, job = cluster.workplace(tmp_path / "work"), f"{command}-{tmp_path.name}"
    options = ["--secret", f"FROM_FILE=file:{canary_file}", "--secret", "FROM_NODE=env:NODE_CANARY"]
    options += ["--secret", "NODE_CANARY=env:NODE_CANARY", "--submission-id", job]
    target = ["submit", *options, "job.py"]
    if command == "run":
        target = ["--json", "run", *options, work.build("job.py")]

    code, stdout, stderr, answers = run_and_look(cluster, work, job, target)

    assert code == 0, stdout + stderr
    [report] = reports(stdout + stderr)
    from_file, from_node = canary_file.read_text().strip(), cluster.canary
    everywhere = {"FROM_FILE": from_file, "FROM_NODE": from_node, "NODE_CANARY": from_node}
    expected = {name: sha256(value.encode()).hexdigest() for name, value in everywhere.items()}
    assert {kind: report[kind] for kind in KINDS} == dict.fromkeys(KINDS, expected)
    assert report["places"] == []
    own = {**expected, "FROM_FILE": sha256(b"its own").hexdigest()}
    assert report["another"] == [own, ["runtime_env"]]  # a literal of an actor is no secret, and is found
    assert report["keys"] > 20

    below_session = files_below(cluster.temp_dir)
    of_the_client = {**files_below(work.directory), **files_below(Path(work.environ["HOME"]))}
    places = {
        **answers,
        **below_session,
        **of_the_client,
        "stdout": stdout.encode(),
        "stderr": stderr.encode(),
    }
    holders = [
        place for place, data in places.items() if from_file.encode() in data or from_node.encode() in data
    ]
    assert holders == []
    # The same search finds what does stand there: the reference in the API, the job in logs and in the store.
    reference = str(canary_file).encode()
    assert {place for place in answers if reference in answers[place]} >= {"jobs/", f"jobs/{job} after"}
    assert any(job.encode() in data for data in below_session.values())
    assert any("/store/runs/" in place and job.encode() in data for place, data in of_the_client.items())


@pytest.mark.parametrize("form", [[], ["--json"]])
@pytest.mark.parametrize(
    "option", [["--env", "TOKEN={}"], ["--env", "PLAIN=postgres://user:{}@db/x"], ["--secret", "TOKEN={}"]]
)
def test_a_literal_secret_is_refused_and_not_repeated(
    cluster: SecretCluster, tmp_path: Path, form: list[str], option: list[str]
) -> None:
    work, canary = cluster.workplace(tmp_path / "work"), f"canary-{secrets.token_hex(16)}"

    done = work.raybundle(*form, "submit", *[word.format(canary) for word in option], "job.py")

    assert done.returncode == 2
    assert canary not in done.stdout + done.stderr
    assert option[1].partition("=")[0] in done.stderr
    assert "--secret NAME=file:PATH" in done.stderr


def submit_json(work: Workplace, *words: str) -> tuple[dict[str, Any], str]:
    done = work.raybundle("--json", "submit", *words)
    assert done.stdout, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    assert document["exit_code"] == done.returncode
    return document, done.stderr


@pytest.mark.parametrize(
    ("reference", "missing"),
    [("file:{}", "file {}: expected the secret TOKEN, found none"),
     ("env:NO_SUCH", "variable NO_SUCH: expected the secret TOKEN, found none")],
)  # fmt: skip
def test_a_secret_that_a_node_has_not_ends_the_job_before_it_starts(
    cluster: SecretCluster, tmp_path: Path, reference: str, missing: str
) -> None:
    work, file = cluster.workplace(tmp_path / "work", "print('DRIVER RAN')\n"), tmp_path / "no such file"

    document, stderr = submit_json(work, "--secret", f"TOKEN={reference.format(file)}", "job.py")

    assert document["exit_code"] == 22, stderr
    assert document["timings"]["queue"] + document["timings"]["run"] < SOON
    [line] = [line for line in stderr.splitlines() if line.startswith("error: ")]
    assert line.startswith(f"error: raybundle: boot failed: bundle {document['bundle']}: node ")
    assert line.endswith(f": {missing.format(file)}")
    assert "DRIVER RAN" not in stderr


def test_a_secret_that_is_gone_when_a_task_starts_ends_the_job_with_one_line(
    cluster: SecretCluster, tmp_path: Path, canary_file: Path
) -> None:
    work = cluster.workplace(tmp_path / "work", GONE)

    document, stderr = submit_json(work, "--secret", f"TOKEN=file:{canary_file}", "job.py", str(canary_file))

    assert document["exit_code"] == 22, stderr
    assert document["timings"]["queue"] + document["timings"]["run"] < SOON
    [line] = [line for line in stderr.splitlines() if line.startswith("error: ")]
    assert line.endswith(f": file {canary_file}: expected the secret TOKEN, found none")
    assert "TASK RAN" not in stderr
