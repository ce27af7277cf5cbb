"""`submit` where a CI service runs it, and for programs that read its steps."""

from __future__ import annotations

import json
import re
import shlex
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.cluster.embedded.test_schemas import EVENTS, changed, validator
from tests.support import jenkins as jenkins_agent
from tests.support.runner import run_step
from tests.support.small_project import tree

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from raybundle.cluster.jobs import JobsClient
    from tests.integration.cluster.conftest import Embedded
    from tests.support.workplace import Workplace

pytestmark = pytest.mark.ray

SUBMIT = "exec {python} -m raybundle submit {words}\n"
HOSTILE = """\
::error file=a.py::from the job
##[add-path]/from/the/job
::set-output name=bundle::from-the-job
::stop-commands::guessed
::guessed::
no newline at the end"""
DRIVER = f"""\
import sys
import time

print("START", flush=True)
match sys.argv[1:]:
    case ["hostile"]:
        print({HOSTILE!r}, end="", flush=True)
    case ["fail"]:
        print("::add-mask::of the log's end")
        sys.exit("::error::of the log's end")
    case ["sleep"]:
        time.sleep(600)
"""


@pytest.fixture
def work(embedded: Embedded, tmp_path: Path) -> Workplace:
    made = embedded.workplace(tmp_path / "work", **embedded.token)
    tree(made.directory, {"job.py": DRIVER, "jobs/broken.py": "import os\nimport absent_here\n"})
    return made


def script(*words: str) -> str:
    return SUBMIT.format(python=shlex.quote(sys.executable), words=shlex.join(words))


def test_github_has_outputs_and_a_summary_and_carries_out_no_command_of_the_job(work: Workplace) -> None:
    step = run_step(work, script("job.py", "hostile"), RAY_AUTH_TOKEN="not-for-logs")

    assert step.code == 0, step.stderr
    assert {name for name, _, _ in step.commands} == {"add-mask", "group", "stop-commands", "endgroup"}
    assert ("add-mask", "", "not-for-logs") in step.commands
    assert HOSTILE in step.stdout
    assert set(step.outputs) == {"bundle", "submission_id", "status", "exit_code"}
    assert (step.outputs["status"], step.outputs["exit_code"]) == ("SUCCEEDED", "0")
    assert re.fullmatch("sha256:[0-9a-f]{64}", step.outputs["bundle"])
    assert f"### Ray job `{step.outputs['submission_id']}` SUCCEEDED" in step.summary
    assert f"| bundle | `{step.outputs['bundle']}` |" in step.summary


def test_a_failed_job_has_outputs_and_its_error_is_in_the_summary(work: Workplace) -> None:
    step = run_step(work, script("job.py", "fail"))

    assert (step.code, step.outputs["status"], step.outputs["exit_code"]) == (20, "FAILED", "20")
    assert {name for name, _, _ in step.commands} == {"add-mask", "group", "stop-commands", "endgroup"}
    assert "of the log's end" not in {message for _, _, message in step.commands}
    assert "failed: its driver ended with exit code 1" in step.summary


def test_imports_that_resolve_nowhere_are_annotations_at_their_lines(work: Workplace) -> None:
    step = run_step(work, script("jobs/broken.py"))

    assert (step.code, step.outputs) == (3, {"exit_code": "3"})
    place = "file=jobs/broken.py,line=2,title=raybundle"
    assert step.commands[1:] == [("error", place, "cannot find `absent_here`")]


def test_a_cancelled_step_stops_its_job(work: Workplace) -> None:
    step = run_step(work, script("job.py", "sleep"), cancel_when=lambda stdout: "START" in stdout)

    job = work.raybundle("status", step.outputs["submission_id"])
    assert (step.code, step.outputs["exit_code"]) == (130, "130")
    assert (job.stdout, step.outputs["status"]) == ("STOPPED\n", "STOPPED")


def test_the_same_step_again_is_the_same_job_and_a_new_attempt_is_a_new_one(work: Workplace) -> None:
    same = script("--submission-id", "@ci", "job.py")

    first, again = run_step(work, same), run_step(work, same)
    other = run_step(work, same, GITHUB_RUN_ATTEMPT="2")

    found = [step.outputs["submission_id"] for step in (first, again, other)]
    assert re.fullmatch("github-4711-1-train-run-[0-9a-f]{8}", found[0])
    assert found[0] == found[1] != found[2]
    assert "is there already" in again.stderr


def test_gitlab_has_a_section_and_later_jobs_have_variables(work: Workplace) -> None:
    done = work.raybundle("submit", "--dotenv", "job.env", "job.py", env={"GITLAB_CI": "true"})

    sections = re.findall(r"\x1b\[0Ksection_(start|end):\d+:(\w+)\s", done.stdout)
    lines = (work.directory / "job.env").read_text().splitlines()
    assert done.returncode == 0, done.stderr
    assert [what for what, _ in sections] == ["start", "end"]
    assert [line.partition("=")[0] for line in lines] == [
        f"RAYJOB_{name}" for name in ("BUNDLE", "SUBMISSION_ID", "STATUS", "EXIT_CODE")
    ]
    assert lines[2:] == ["RAYJOB_STATUS=SUCCEEDED", "RAYJOB_EXIT_CODE=0"]


def test_a_cancelled_job_of_gitlab_stops_its_job_and_says_so_to_later_jobs(work: Workplace) -> None:
    with work.started("submit", "--dotenv", "job.env", "job.py", "sleep", env={"GITLAB_CI": "true"}) as step:
        step.wait_for("START")
        step.process.terminate()
        code, _, _ = step.end()

    found = dict(line.split("=", 1) for line in (work.directory / "job.env").read_text().splitlines())
    job = work.raybundle("status", found["RAYJOB_SUBMISSION_ID"])
    assert (code, found["RAYJOB_EXIT_CODE"], found["RAYJOB_STATUS"]) == (143, "143", "STOPPED")
    assert job.stdout == "STOPPED\n"


@pytest.fixture
def jenkins(embedded: Embedded, work: Workplace) -> Callable[..., tuple[jenkins_agent.Step, dict[str, str]]]:
    """Runs the step of the template that submits, changed as its comments say, and reads `job.env`."""
    own = {"RAYBUNDLE_STORE": str(work.directory.parent / "store"), "RAYBUNDLE_ADDRESS": embedded.address}
    work.raybundle("init", "jenkins")
    file = work.directory / "Jenkinsfile"
    install, submit = jenkins_agent.shell_steps(file.read_text())
    assert jenkins_agent.variables(file.read_text()).keys() == own.keys()
    assert install == "python -m venv .venv && .venv/bin/pip install raybundle ."
    (work.directory / ".venv").symlink_to(sys.prefix)

    def run(
        *words: str, abort_when: Callable[[str], bool] | None = None
    ) -> tuple[jenkins_agent.Step, dict[str, str]]:
        step = jenkins_agent.run_step(work, " ".join([submit, *words]), own, abort_when)
        lines = (work.directory / "job.env").read_text().splitlines()
        return step, dict(line.removeprefix("RAYJOB_").split("=", 1) for line in lines)

    return run


def test_a_step_of_jenkins_hands_on_its_job_and_follows_it_when_it_runs_again(jenkins: Any) -> None:
    (step, found), (again, same) = jenkins("fail"), jenkins("fail")

    assert (step.code, found["STATUS"], found["EXIT_CODE"]) == (20, "FAILED", "20"), step.log
    assert re.fullmatch("jenkins-team-nightly-7-run-[0-9a-f]{8}", found["SUBMISSION_ID"])
    assert (again.code, same) == (step.code, found)


def test_an_aborted_step_of_jenkins_stops_its_job(jenkins: Any, client: JobsClient) -> None:
    step, found = jenkins("sleep", abort_when=lambda log: "START" in log)

    assert (step.code, found.get("STATUS"), found.get("EXIT_CODE")) == (143, "STOPPED", "143"), step.log
    assert client.info(found["SUBMISSION_ID"]).status == "STOPPED"


def test_nothing_is_added_to_a_log_in_a_file_or_if_it_is_switched_off(work: Workplace) -> None:
    kept = run_step(work, script("job.py").replace("\n", " > job.log\n"))
    off = work.raybundle("submit", "job.py", env={"GITHUB_ACTIONS": "true", "RAYBUNDLE_CI": "off"})

    assert kept.code == off.returncode == 0
    assert "::" not in (work.directory / "job.log").read_text() + off.stdout
    assert kept.outputs["status"] == "SUCCEEDED"


def events(work: Workplace, *words: str, **environ: str) -> tuple[int, list[dict[str, Any]]]:
    done = work.raybundle("submit", "--output", "ndjson", *words, env=environ)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    schema = validator(EVENTS)
    for event in found:
        assert schema.is_valid(event), list(schema.iter_errors(event))
        taken = [change for change, other in changed(event) if schema.is_valid(other)]
        assert not taken, taken
    return done.returncode, found


def test_each_step_is_an_event_and_fits_the_schema(work: Workplace) -> None:
    code, found = events(work, "job.py", "hostile", GITHUB_ACTIONS="true")

    names = [event["event"] for event in found if event["event"] not in ("log", "upload", "warning")]
    assert code == 0
    assert names == [*["stage"] * 3, "stored", "stage", "accepted", "running", "ended"]
    assert [event["stage"] for event in found if "stage" in event] == ["resolve", "build", "upload", "submit"]
    lines = [event["text"] for event in found if event["event"] == "log"]
    start = lines.index("START")
    assert lines[start + 1 : start + 1 + len(HOSTILE.splitlines())] == HOSTILE.splitlines()
    assert found[-1]["result"]["status"] == "SUCCEEDED"


def test_events_say_why_a_job_or_a_command_failed(work: Workplace) -> None:
    failed, job = events(work, "job.py", "fail")
    unresolved, none = events(work, "jobs/broken.py")

    assert (failed, unresolved) == (20, 3)
    assert [event["event"] for event in job[-2:]] == ["error", "ended"]
    assert (job[-2]["exit_code"], job[-1]["result"]["status"]) == (20, "FAILED")
    assert [event["event"] for event in none] == ["stage", "error"]
    assert (none[-1]["exit_code"], "absent_here" in none[-1]["error"]) == (3, True)
