"""The same command twice, however the first one ended, starts one driver."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.proxy import Faults, Proxy

if TYPE_CHECKING:
    from pathlib import Path

    from raybundle.cluster.jobs import JobsClient
    from tests.integration.cluster.conftest import Embedded
    from tests.support.workplace import Workplace

pytestmark = pytest.mark.ray

SUBMITTED = r"^POST /api/jobs/$"


@pytest.fixture
def work(embedded: Embedded, tmp_path: Path) -> Workplace:
    return embedded.workplace(tmp_path / "work", "exits", **embedded.token)


def test_a_client_that_is_killed_and_started_again_finds_its_job(
    work: Workplace, client: JobsClient, tmp_path: Path
) -> None:
    name = f"killed-{tmp_path.name}"
    words = ("submit", "--submission-id", name, "job.py", "sleep", "8")
    with work.started(*words) as first:
        while client.find(name) is None:
            time.sleep(0.01)
        first.process.kill()
        first.process.wait()

    second = work.raybundle(*words)

    assert second.returncode == 0, second.stderr
    assert second.stdout.count("STARTED") == 1
    assert second.stdout.count("Running entrypoint for job") == 1
    assert "is there already" in second.stderr
    assert [job.submission_id for job in client.list()].count(name) == 1


@pytest.mark.parametrize("named", [True, False], ids=["named", "generated"])
def test_a_submission_whose_answer_is_lost_starts_one_driver(
    embedded: Embedded, work: Workplace, client: JobsClient, tmp_path: Path, *, named: bool
) -> None:
    name = f"unanswered-{tmp_path.name}"
    options = ("--submission-id", name, "--if-exists", "fail") if named else ()
    before = len(client.list())
    with Proxy(embedded.address, Faults(reset=(SUBMITTED, 1))) as proxy:
        done = work.raybundle("--json", "--address", proxy.address, "submit", *options, "job.py", "code", "7")
        posts = [request for request in proxy.requests if request.path == "/api/jobs/"]

    assert done.returncode == 20, done.stderr
    assert len(posts) == 1
    assert len(client.list()) == before + 1
    assert not json.loads(done.stdout)["attached"]


def test_a_submission_that_never_arrived_is_sent_again(embedded: Embedded, work: Workplace) -> None:
    with Proxy(embedded.address, Faults(unavailable=(SUBMITTED, 2))) as proxy:
        done = work.raybundle("--address", proxy.address, "submit", "job.py", "code", "0")

    assert done.returncode == 0, done.stderr
    assert done.stderr.count("submitting it again") == 2


def test_an_id_that_is_taken_is_attached_to_refused_or_counted_on(
    work: Workplace, client: JobsClient, tmp_path: Path
) -> None:
    name = f"taken-{tmp_path.name}"

    def submit(*words: str) -> tuple[int, str]:
        done = work.raybundle("submit", "--submission-id", name, *words)
        return done.returncode, done.stderr

    assert submit("job.py", "code", "3")[0] == 20
    assert submit("job.py", "code", "3")[0] == 20
    other = submit("job.py", "code", "4")
    assert other[0] == 2
    assert "other arguments" in other[1]
    assert submit("--if-exists", "fail", "job.py", "code", "3")[0] == 2
    assert submit("--if-exists", "new", "job.py", "code", "4")[0] == 20
    assert client.info(f"{name}-2").entrypoint.endswith("code 4")
    (work.directory / "job.py").write_text("print('changed')\n")
    changed = submit("job.py", "code", "3")
    assert changed[0] == 2
    assert "another bundle" in changed[1]


def test_a_failed_job_is_submitted_again_with_the_chain_in_its_metadata(
    work: Workplace, client: JobsClient, tmp_path: Path
) -> None:
    name = f"again-{tmp_path.name}"
    flaky = (
        "import os, sys\n"
        "count = len(os.listdir(sys.argv[1]))\n"
        "open(os.path.join(sys.argv[1], str(count)), 'w').close()\n"
        "sys.exit(5 if count < 2 else 0)\n"
    )
    (work.directory / "job.py").write_text(flaky)
    (tmp_path / "attempts").mkdir()

    done = work.raybundle(
        *("--json", "submit", "--submission-id", name, "--retries", "3", "job.py"), str(tmp_path / "attempts")
    )

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["attempts"] == [name, f"{name}-retry1", f"{name}-retry2"]
    chain = client.info(f"{name}-retry2").metadata
    assert chain["raybundle.first"] == name
    assert chain["raybundle.retry_of"] == f"{name}-retry1"
    assert chain["raybundle.attempt"] == "3"


def test_a_job_that_somebody_else_started_can_be_attached_to(
    embedded: Embedded, work: Workplace, client: JobsClient, tmp_path: Path
) -> None:
    name = f"foreign-{tmp_path.name}"
    client.submit(name, {"entrypoint": "echo by hand; sleep 2; exit 9"})

    done = work.raybundle("--address", embedded.address, "attach", "--exit-code", "job", name)

    assert done.returncode == 9
    assert "by hand\n" in done.stdout
    assert "exit code 9" in done.stderr


def test_only_a_job_that_has_ended_can_be_deleted(
    work: Workplace, client: JobsClient, tmp_path: Path
) -> None:
    name = f"deleted-{tmp_path.name}"
    client.submit(name, {"entrypoint": "sleep 60"})

    early = work.raybundle("delete", name)
    work.raybundle("stop", name)
    late = work.raybundle("delete", name)

    assert early.returncode == 5
    assert late.returncode == 0
    time.sleep(2.5)  # by then Ray has brought back what was deleted too early
    assert client.find(name) is None
    assert work.raybundle("delete", "never-there").returncode == 23
