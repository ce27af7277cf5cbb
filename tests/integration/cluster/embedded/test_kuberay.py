"""What KubeRay does with a RayJob: its submitter with raybundle as `ray job`; exported jobs on plain Ray."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from raybundle.cli.parser import parse
from tests.support.kuberay import SPEC
from tests.support.small_project import tree
from tests.support.workplace import Workplace

if TYPE_CHECKING:
    from tests.integration.cluster.conftest import Embedded

SUBMITTER = """\
if ! ray job status --address {address} {id} >/dev/null 2>&1 ; then \
ray job submit --address {address} --no-wait --runtime-env-json {runtime_env} --metadata-json {metadata} \
--submission-id {id} --entrypoint-num-cpus 0.500000 --entrypoint-resources "{{}}" -- {entrypoint} ; fi ; \
ray job logs --address {address} --follow {id}"""
"""As `BuildJobSubmitCommand` has it (KubeRay, controllers/ray/common/job.go), without the wait for a head."""
SHELL = ("/bin/bash", "-ce", "--")
WITHOUT_EFFECT = ("--log-style", "record", "--log-color", "false", "-v")
"""How Ray's own client shows its messages."""
DRIVER = """\
import os
import sys
import time

runs, ticks, *words = sys.argv[1:]
with open(runs, "a") as stream:
    stream.write("run ")
print("START", os.environ["GREETING"], words, flush=True)
for number in range(int(ticks)):
    print("tick", number, flush=True)
    time.sleep(0.2)
"""


@dataclass(frozen=True, slots=True)
class Pod:
    """A submitter's container: the project is its working directory, and `ray job` is raybundle."""

    work: Workplace
    line: str
    runs: Path
    """Where each driver leaves a word."""

    def start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*SHELL, self.line],
            cwd=self.work.directory,
            env=dict(self.work.environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self) -> tuple[int, str]:
        done = self.work.command([*SHELL, self.line])
        return done.returncode, done.stdout


def make_pod(embedded: Embedded, directory: Path, name: str, ticks: int, *options: str) -> Pod:
    work = embedded.workplace(directory / "work")
    (work.directory / "job.py").write_text(DRIVER)
    programs, runs = directory / "bin", directory / "runs"
    programs.mkdir()
    command = programs / "raybundle"
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m raybundle "$@"\n')
    command.chmod(0o755)
    line = SUBMITTER.format(
        address=embedded.address,
        id=name,
        runtime_env=go_quoted({"env_vars": {"GREETING": "grüß 'dich'"}}),
        metadata=go_quoted({"team": "a b"}),
        entrypoint=f"python job.py {runs} {ticks} 'two words' \"it's\"",
    )
    for verb in ("status", "submit", "logs"):
        line = line.replace(f"ray job {verb}", shlex.join(["raybundle", verb, *options]))
    environ = {**work.environ, "PATH": f"{programs}:{work.environ['PATH']}"}
    return Pod(Workplace(work.directory, environ), line, runs)


def go_quoted(value: object) -> str:
    """As KubeRay quotes JSON for the shell: Go's `strconv.Quote`."""
    return json.dumps(json.dumps(value, ensure_ascii=False), ensure_ascii=False)


def written(embedded: Embedded, name: str, ticks: int) -> str:
    """Returns the log on the disk of the cluster's node, with Ray's own lines among the driver's."""
    record = json.loads((embedded.state / "cluster.json").read_text())
    file = Path(record["temp_dir"], "ray/session_latest/logs", f"job-driver-{name}.log")
    log = file.read_text("utf-8")
    expected = ["START grüß 'dich' ['two words', \"it's\"]", *(f"tick {number}" for number in range(ticks))]
    assert [line for line in log.splitlines() if line.startswith(("START", "tick"))] == expected
    return log


@pytest.mark.ray
def test_a_new_id_is_submitted_and_one_that_ended_is_read_again(embedded: Embedded, tmp_path: Path) -> None:
    name = "kuberay-again"
    pod = make_pod(embedded, tmp_path, name, 3)

    first, second = pod.run(), pod.run()

    log = written(embedded, name, 3)
    assert first == (0, f"{name}\n{log}")
    assert second == (0, log)
    assert pod.runs.read_text() == "run "
    listed = json.loads(pod.work.raybundle("--json", "list").stdout)["jobs"]
    [job] = [job for job in listed if job["submission_id"].startswith(name)]
    assert job["metadata"]["team"] == "a b"


@pytest.mark.ray
def test_a_pod_that_is_killed_and_started_again_follows_the_same_driver(
    embedded: Embedded, tmp_path: Path
) -> None:
    pod = make_pod(embedded, tmp_path, "kuberay-killed", 100, *WITHOUT_EFFECT)
    with pod.start() as killed:
        assert killed.stdout is not None
        for line in killed.stdout:
            if line == "tick 1\n":
                break
        os.killpg(killed.pid, signal.SIGKILL)
    before = pod.work.raybundle("status", "kuberay-killed").stdout

    again = pod.run()

    assert before == "RUNNING\n"
    assert again == (0, written(embedded, "kuberay-killed", 100))
    assert pod.runs.read_text() == "run "


@pytest.mark.parametrize(
    "words",
    [["submit"], ["status", "ID"], ["stop", "ID"], ["logs", "ID"], ["list"], ["delete", "ID"]],
    ids=lambda words: words[0],
)
def test_options_for_the_form_of_rays_own_messages_are_taken(words: list[str]) -> None:
    command, *rest = words

    arguments = parse([command, *WITHOUT_EFFECT, *rest])

    assert arguments.command == command
    assert getattr(arguments, "id", None) == (rest[0] if rest else None)


EXPORTED = {
    "jobs/job.py": """\
import os
import sys

import ray

from helper import value


@ray.remote
def task():
    from helper import value

    return value(), os.environ["GREETING"]


print("GOT", value(), sys.argv[1:], ray.get(task.remote()), flush=True)
""",
    "jobs/helper.py": "def value():\n    return 41\n",
    "spec.yaml": SPEC,
}
BY_HTTP = """\
import json
import sys
import time

from ray.job_submission import JobSubmissionClient

client = JobSubmissionClient(sys.argv[1])
name = client.submit_job(**json.load(sys.stdin))
while not client.get_job_status(name).is_terminal():
    time.sleep(0.2)
print(client.get_job_logs(name))
print("STATUS", client.get_job_status(name).value)
"""
"""What KubeRay does in HTTPMode, with Ray's own client."""


def exported(embedded: Embedded, directory: Path, *words: str) -> tuple[Workplace, dict[str, Any]]:
    """Returns the `spec` of a RayJob, whose project is gone; its user has plain Ray and the token."""
    store, own = f"file://{directory}/store", {**embedded.token, "RAY_AUTH_MODE": "token"}
    greeting = {"RAYBUNDLE_STORE": store, "RAYBUNDLE_ENV": "GREETING=grüß 'dich'"}
    work = embedded.workplace(directory / "work", **own)
    tree(work.directory, EXPORTED)
    digest = work.raybundle("build", "jobs/job.py", env=greeting).stdout.strip()
    options = ("--format", "rayjob", "--cluster-spec", "spec.yaml")
    done = work.raybundle("export", digest, *options, *words, env=greeting)
    assert done.returncode == 0, done.stderr
    shutil.rmtree(work.directory)
    work.directory.mkdir()
    spec: dict[str, Any] = yaml.safe_load(done.stdout)["spec"]
    return work, spec


@pytest.mark.ray
def test_the_runtime_env_of_an_exported_rayjob_runs_on_plain_ray(embedded: Embedded, tmp_path: Path) -> None:
    arguments = ["two words", "$HOME", "it's"]
    work, spec = exported(embedded, tmp_path, "--", *arguments)
    request = {
        "entrypoint": spec["entrypoint"],
        "runtime_env": yaml.safe_load(spec["runtimeEnvYAML"]),
        "metadata": spec["metadata"],
    }

    done = subprocess.run(
        [sys.executable, "-c", BY_HTTP, embedded.address],
        input=json.dumps(request),
        cwd=work.directory,
        env=dict(work.environ),
        capture_output=True,
        text=True,
        check=False,
    )

    assert f"GOT 41 {arguments} (41, \"grüß 'dich'\")" in done.stdout, done.stdout + done.stderr
    assert "STATUS SUCCEEDED" in done.stdout


@pytest.mark.ray
def test_an_exported_rayjob_runs_through_the_shell_of_kuberays_submitter(
    embedded: Embedded, tmp_path: Path
) -> None:
    work, spec = exported(embedded, tmp_path, "--mode", "K8sJobMode", "--", "--epochs=2")
    line = SUBMITTER.format(
        address=embedded.address,
        id="kuberay-exported",
        runtime_env=go_quoted(yaml.safe_load(spec["runtimeEnvYAML"])),
        metadata=go_quoted(spec["metadata"]),
        entrypoint=spec["entrypoint"],
    )
    programs = str(Path(sys.executable).parent)

    done = work.command([*SHELL, line], env={"PATH": f"{programs}:{work.environ['PATH']}"})

    assert "GOT 41 ['--epochs=2'] (41, \"grüß 'dich'\")" in done.stdout, done.stdout + done.stderr
    job = json.loads(work.raybundle("--json", "status", "kuberay-exported").stdout)
    assert (job["status"], job["metadata"]) == ("SUCCEEDED", spec["metadata"])
