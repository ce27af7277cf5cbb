"""What the library does, and what it refuses, as the command line does."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import raybundle
from raybundle.api.keywords import SubmitKeywords, WaitKeywords
from raybundle.cli.parser import command_parsers
from raybundle.cluster.jobs import JobsClient
from raybundle.config import CLUSTER_VARIABLE
from raybundle.errors import (
    BundleError,
    JobFailedError,
    JobLostError,
    JobTimeoutError,
    StoreError,
    UsageError,
)
from tests.support.fake_dashboard import Exchange, FakeDashboard
from tests.support.slow import rest_slow
from tests.support.small_project import tree
from tests.support.workplace import make_workplace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

COUNTS = Path(__file__).parents[3] / "support" / "counted_submission.py"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The project of a user who has configured nothing; no embedded cluster can start."""
    for name in ("HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    (tmp_path / "state").write_text("no embedded cluster starts here\n")
    monkeypatch.setenv("RAYBUNDLE_LOCAL_STATE", str(tmp_path / "state"))
    directory = tree(tmp_path / "project", {"job.py": "print(1)\n", "data/a.csv": "1\n"})
    monkeypatch.chdir(directory)
    return directory


@pytest.fixture
def dashboard() -> Iterator[FakeDashboard]:
    with FakeDashboard() as running:
        yield running


def ends(dashboard: FakeDashboard, *statuses: str) -> None:
    """Makes the first job that is asked for end with the first status, the next one with the second, …"""

    def end(exchange: Exchange) -> bool:
        for status, (name, job) in zip(statuses, dashboard.jobs.items(), strict=False):
            if exchange.command == "GET" and exchange.path.endswith(f"/jobs/{name}"):
                job["status"] = status
        return False

    dashboard.faults.append(end)


@pytest.mark.parametrize("address", ["ray://host:10001", "host:6379", "auto"])
def test_the_library_refuses_an_address_of_ray_that_is_no_dashboard_before_anything_is_stored(
    project: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv(CLUSTER_VARIABLE, address)

    with pytest.raises(UsageError, match=f"RAY_ADDRESS is '{address}'"):
        raybundle.submit(project / "job.py")
    with pytest.raises(UsageError, match=f"RAY_ADDRESS is '{address}'"):
        raybundle.run("a-name")
    assert not (project.parent / "home").exists()


@pytest.mark.parametrize("words", [("submit", "job.py"), ("run", "a-name")])
def test_the_command_line_refuses_an_address_of_ray_that_is_no_dashboard(
    tmp_path: Path, words: tuple[str, str]
) -> None:
    work = make_workplace(tmp_path / "work", "plain", RAY_ADDRESS="user:secret@host:6379")

    done = work.raybundle(*words)

    assert done.returncode == 2
    assert "RAY_ADDRESS is 'host:6379'" in done.stderr
    assert "secret" not in done.stderr


WRONG: dict[str, tuple[Callable[[], Any], str, str]] = {
    "one string": (
        lambda: raybundle.submit("job.py", "--fail"),
        "`arguments` must be a list of strings, and is '--fail'",
        "write arguments=['--fail']",
    ),
    "numbers": (
        lambda: raybundle.submit("job.py", [1, 2]),  # type: ignore[list-item]
        "`arguments` must be a list of strings, and is [1, 2]",
        "write arguments=['1', '2']",
    ),
    "a near miss": (
        lambda: raybundle.plan("job.py", inclued=["data/*"]),  # type: ignore[call-arg]
        "there is no argument `inclued`",
        "did you mean `include`?",
    ),
    "of another function": (
        lambda: raybundle.plan("job.py", submission_id="a"),  # type: ignore[call-arg]
        "there is no argument `submission_id`",
        "known are: ",
    ),
    "one glob": (
        lambda: raybundle.build("job.py", include="data/*"),
        "`include` must be a list of strings, and is 'data/*'",
        "write include=['data/*']",
    ),
    "one root": (
        lambda: raybundle.plan("job.py", roots=Path("src")),  # type: ignore[arg-type]
        "`roots` must be a list of strings or paths, and is ",
        "write roots=['src']",
    ),
    "a number of CPUs": (
        lambda: raybundle.submit("job.py", entrypoint_num_cpus="2"),  # type: ignore[arg-type]
        "`entrypoint_num_cpus` must be a number, and is '2'",
        "",
    ),
    "true as a number": (
        lambda: raybundle.submit("job.py", entrypoint_memory=True),
        "`entrypoint_memory` must be a whole number, and is True",
        "",
    ),
    "a choice": (
        lambda: raybundle.submit("job.py", if_exists="replace"),  # type: ignore[arg-type]
        "`if_exists` must be 'attach' or 'fail' or 'new', and is 'replace'",
        "",
    ),
    "a secret": (
        lambda: raybundle.submit("job.py", env={"TOKEN": 12345678}),  # type: ignore[dict-item]
        "`env` must be a mapping of strings to strings, and is {'TOKEN': int}",
        "",
    ),
    "words without a list": (
        lambda: raybundle.submit("job.py", "--n", "1"),  # type: ignore[call-arg]
        "the call of `submit` is wrong: too many positional arguments",
        "the arguments of a job are one list",
    ),
    "nothing": (
        raybundle.plan,  # type: ignore[dict-item]
        "the call of `plan` is wrong: missing a required argument: 'target'",
        "",
    ),
    "no target": (
        lambda: raybundle.plan(3),  # type: ignore[arg-type]
        "`target` must be a string or a path, and is 3",
        "",
    ),
    "no id": (
        lambda: raybundle.submit("job.py", submission_id="a b"),
        "the id 'a b' has characters other than letters, digits and `._-`",
        "start it with a letter or digit",
    ),
    "no JSON": (
        lambda: raybundle.submit("job.py", runtime_env={"pip": {1}}),
        "`runtime_env` holds what JSON cannot carry",
        "",
    ),
    "no bundle": (lambda: raybundle.run(["a"]), "`ref` must be a string, and is ['a']", ""),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_mistake_is_a_usage_error_that_says_what_to_write(project: Path, kind: str) -> None:
    call, text, hint = WRONG[kind]

    with pytest.raises(UsageError) as caught:
        call()

    assert str(caught.value).startswith(text)
    assert (caught.value.hint or "").startswith(hint)
    assert "12345678" not in str(caught.value)
    assert not (project.parent / "home").exists()


def test_a_job_gets_all_that_its_submission_says(project: Path, dashboard: FakeDashboard) -> None:
    said: list[str] = []
    (project / "env.yaml").write_text("env_vars: {COLOUR: blue}\npip: [six]\n")

    job = raybundle.submit(
        Path("job.py"),
        ["--n", "1"],
        address=dashboard.address,
        store=project.parent / "store",
        env={"SEED": "7"},
        secrets={"PASSWORD": "file:/run/password"},
        runtime_env="env.yaml",
        submission_id="train-1",
        metadata={"team": "search"},
        entrypoint_num_cpus=0.5,
        entrypoint_num_gpus=1,
        entrypoint_memory=1 << 20,
        entrypoint_resources={"slot": 1},
        entrypoint_label_selector={"zone": "a"},
        headers={"X-Team": "search"},
        cwd="data",
        notify=said.append,
    )

    [sent] = dashboard.submitted
    environ = sent["runtime_env"]["env_vars"]
    assert (job.id, job.address, job.bundle) == ("train-1", dashboard.address, sent["metadata"]["raybundle"])
    assert sent["metadata"]["team"] == "search"
    assert sent["entrypoint"].endswith("job.py --n 1")
    assert (environ["SEED"], environ["COLOUR"], environ["RAYBUNDLE_CWD"]) == ("7", "blue", "data")
    assert "PASSWORD file:/run/password" in environ["RAYBUNDLE_SECRETS"]
    assert sent["runtime_env"]["pip"] == ["six"]
    assert {name: value for name, value in sent.items() if name.startswith("entrypoint_")} == {
        "entrypoint_num_cpus": 0.5,
        "entrypoint_num_gpus": 1,
        "entrypoint_memory": 1 << 20,
        "entrypoint_resources": {"slot": 1},
        "entrypoint_label_selector": {"zone": "a"},
    }
    assert all(headers["X-Team"] == "search" for _, _, headers in dashboard.requests)
    assert any(line.startswith("warning: env.yaml:2: Ray sets up `pip`") for line in said)
    assert "Job 'train-1' submitted successfully" in said


def test_a_failed_job_is_submitted_again_as_often_as_is_said(project: Path, dashboard: FakeDashboard) -> None:
    ends(dashboard, "FAILED", "SUCCEEDED")
    job = raybundle.submit(project / "job.py", address=dashboard.address, submission_id="a")

    info = job.wait(retries=1)

    assert info.submission_id == "a-retry1"
    assert info.metadata["raybundle.retry_of"] == "a"
    records = sorted((project.parent / "home/raybundle/store/events").rglob("end.json"))
    assert [json.loads(each.read_text())["exit_code"] for each in records] == [20, 0]
    with pytest.raises(JobFailedError):
        job.wait()


def test_a_job_that_takes_too_long_is_stopped(project: Path, dashboard: FakeDashboard) -> None:
    job = raybundle.submit(project / "job.py", address=dashboard.address)

    with pytest.raises(JobTimeoutError):
        job.wait(timeout=0)
    assert job.status().status == "STOPPED"


def test_a_job_is_found_by_its_id_whoever_submitted_it(project: Path, dashboard: FakeDashboard) -> None:
    mine = raybundle.submit(project / "job.py", address=dashboard.address)
    dashboard.add("theirs", status="SUCCEEDED")
    dashboard.log = b"one\ntwo\n"
    pieces: list[str] = []

    found = raybundle.attach(mine.id, address=dashboard.address)
    other = raybundle.attach("theirs", address=dashboard.address)

    assert (found.bundle, other.bundle) == (mine.bundle, None)
    assert other.wait(pieces.append).status == "SUCCEEDED"
    assert "".join(pieces) == other.logs() == "one\ntwo\n"
    assert other.logs(tail=1) == "two\n"
    with pytest.raises(UsageError, match="job theirs was not submitted here"):
        other.wait(retries=1)
    assert found.stop(wait=True)
    assert not found.stop(wait=True)
    other.delete()
    with pytest.raises(JobLostError):
        raybundle.attach("theirs", address=dashboard.address)


def test_the_jobs_of_a_cluster_are_listed(project: Path, dashboard: FakeDashboard) -> None:
    job = raybundle.submit(project / "job.py", address=dashboard.address)

    def listed(exchange: Exchange) -> bool:
        is_list = (exchange.command, exchange.path) == ("GET", "/api/jobs/")
        return is_list and exchange.answer(200, list(dashboard.jobs.values()))

    dashboard.faults.append(listed)

    assert [each.submission_id for each in raybundle.jobs(address=dashboard.address)] == [job.id]


def test_the_library_and_the_command_line_build_the_same_bundle(project: Path) -> None:
    plan = raybundle.plan("job.py", ["data/a.csv"])
    words = ["--json", "plan", "--", "python", "job.py", "data/a.csv"]
    done = subprocess.run([sys.executable, "-m", "raybundle", *words], capture_output=True, check=True)

    assert [str(each.path) for each in plan.files] == ["project/data/a.csv", "project/job.py"]
    assert json.loads(done.stdout)["bundle"] == plan.digest
    assert raybundle.build(project / "job.py", ["data/a.csv"], name="train").name == "train@1"


def test_why_answers_as_the_command_does(project: Path) -> None:
    tree(project, {"job.py": "import helper\n", "helper.py": "", "other.py": ""})

    taken, absent = raybundle.why("job.py", "helper"), raybundle.why("job.py", "other")

    assert (taken.included, [each.imported for each in taken.chain]) == (True, ["helper"])
    assert (absent.included, absent.chain) == (False, ())
    assert absent.absence is not None
    done = subprocess.run(
        [sys.executable, "-m", "raybundle", "why", "job.py", "other"],
        capture_output=True,
        check=False,
        text=True,
    )
    assert absent.absence.reason in done.stdout
    assert repr(taken) == "Why('helper', included=True, chain=1)"


def test_trace_records_what_a_run_imports(project: Path) -> None:
    tree(project, {"job.py": "import sys\n__import__(sys.argv[1])\n", "chosen.py": "", "later.py": ""})

    first = raybundle.trace("job.py", ["chosen"], python=sys.executable)
    both = raybundle.trace("job.py", ["later"], python=sys.executable, keep=True)

    assert (first.target, first.exit_code, first.written) == ("job.py", 0, True)
    assert first.lock == project / "raybundle-trace.json"
    assert "chosen" in first.modules
    assert {"chosen", "later"} <= set(both.modules)


def test_a_stored_bundle_is_shown_and_exported(project: Path) -> None:
    stored = raybundle.build("job.py", store="file://" + str(project.parent / "store"))

    shown = raybundle.show(stored.digest[:20], store=project.parent / "store")
    export = raybundle.export(stored.digest, store=project.parent / "store", env={"SEED": "7"}, cwd="data")

    assert (shown.digest, shown.manifest) == (stored.digest, stored.manifest)
    assert export.runtime_env["env_vars"]["SEED"] == "7"
    assert export.runtime_env["env_vars"]["RAYBUNDLE_CWD"] == "data"
    assert export.runtime_env["working_dir"].endswith(".zip")
    assert export.entrypoint.endswith("job.py")
    assert len(repr(export).splitlines()) == 1
    with pytest.raises(StoreError):
        raybundle.show("no-such-name", store=project.parent / "store")


def test_settings_say_where_they_come_from(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "pyproject.toml").write_text('[tool.raybundle]\ninclude = ["data/*"]\n')
    monkeypatch.setenv("RAYBUNDLE_ADDRESS", "http://head:8265")

    found = raybundle.settings(store="s3://bucket/bundles")

    assert found["include"].value == ("data/*",)
    assert found["include"].source.endswith("pyproject.toml [tool.raybundle]")
    assert (found["address"].value, found["address"].source) == ("http://head:8265", "RAYBUNDLE_ADDRESS")
    assert found["store"].value == "s3://bucket/bundles"


def test_no_connection_stays_open_if_the_bundle_cannot_be_made(
    project: Path, dashboard: FakeDashboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree(project, {"job.py": "import nowhere_to_be_found\n"})
    closed: list[str] = []
    close = JobsClient.close

    def watched(client: JobsClient) -> None:
        closed.append(client.address)
        close(client)

    monkeypatch.setattr(JobsClient, "close", watched)

    with pytest.raises(BundleError):
        raybundle.submit(project / "job.py", address=dashboard.address)
    assert closed == [dashboard.address]


def test_each_command_has_a_function() -> None:
    of_a_job = {"status", "logs", "stop", "delete"}
    named = {"list": "jobs", "config": "settings"}

    for command in set(command_parsers()) - {"init", "completion"}:  # files for people and shells
        owner = raybundle.Job if command in of_a_job else raybundle
        assert hasattr(owner, named.get(command, command)), command


def test_a_representation_is_one_line(project: Path, dashboard: FakeDashboard) -> None:
    plan, stored = raybundle.plan("job.py"), raybundle.build("job.py")
    job = raybundle.submit(project / "job.py", address=dashboard.address, submission_id="a")

    assert repr(plan) == f"Plan(digest={plan.digest!r}, files=1, layers=0, bytes=9)"
    assert repr(stored) == f"Stored(digest={plan.digest!r}, uploaded_bytes={stored.uploaded_bytes})"
    assert repr(job) == f"Job(id='a', bundle={plan.digest!r}, address={dashboard.address!r})"


def test_help_shows_every_argument() -> None:
    shown = inspect.signature(raybundle.submit).parameters

    assert list(shown)[:2] == ["target", "arguments"]
    assert set(shown) == {"target", "arguments", *SubmitKeywords.__annotations__}
    assert list(inspect.signature(raybundle.Job.wait).parameters)[1:] == [
        "write",
        *WaitKeywords.__annotations__,
    ]


def test_what_there_is_is_listed() -> None:
    assert dir(raybundle) == sorted(raybundle.__all__)
    assert all(getattr(raybundle, name) is not None for name in dir(raybundle))
    assert raybundle.errors.UsageError is UsageError


@pytest.mark.parametrize("cache", rest_slow(["cold", "warm"], 1))
def test_a_submission_describes_the_interpreter_once(
    project: Path, dashboard: FakeDashboard, cache: str
) -> None:
    words = [sys.executable, str(COUNTS), "--address", dashboard.address, "submit", "--no-wait", "job.py"]
    if cache == "warm":
        raybundle.plan(project / "job.py", python=sys.executable)

    done = subprocess.run(words, capture_output=True, check=True, text=True)

    assert len(dashboard.submitted) == 1
    assert json.loads(done.stdout.splitlines()[-1]) == {"described": 1}


USER = '''\
"""What a user writes."""

import raybundle
from raybundle import Export, Job, JobInfo, Plan, Stored, Trace, Why


def all_of_it(target: str) -> JobInfo:
    plan: Plan = raybundle.plan(target, roots=["src"], python="3.12", trace=True)
    stored: Stored = raybundle.build(target, ["--n", "1"], name="train", store="s3://bucket/bundles")
    job: Job = raybundle.submit(target, ["--n", "1"], env={"A": "1"}, entrypoint_num_gpus=1, if_exists="new")
    again: Job = raybundle.run(stored.digest, address=job.address, secrets={"KEY": "env:OTHER"})
    print(plan.bytes, [each.status for each in raybundle.jobs()], again.logs(tail=3))
    shown: Stored = raybundle.show(stored.digest)
    exported: Export = raybundle.export(shown.digest, env={"A": "1"})
    reason: Why = raybundle.why(target, "pkg.mod", roots=["src"])
    traced: Trace = raybundle.trace(target, ["--n", "1"], keep=True)
    print(exported.runtime_env, reason.included, traced.files, raybundle.settings()["store"].source)
    raybundle.local.up(num_cpus=2)
    raybundle.local.down()
    try:
        return raybundle.attach(job.id).wait(print, timeout=60, retries=2)
    except raybundle.errors.JobFailedError as error:
        print(error.exit_code, error.hint, job.stop(wait=True))
        job.delete()
        raise
'''


@pytest.mark.slow
def test_a_type_checker_knows_every_argument(tmp_path: Path) -> None:
    (tmp_path / "right.py").write_text(USER)
    (tmp_path / "wrong.py").write_text(USER + "\n\nraybundle.submit('job.py', retires=3)\n")
    words = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--config-file=",
        "--cache-dir",
        str(tmp_path / "cache"),
    ]
    source = str(Path(raybundle.__file__).parents[1])

    def checked(name: str) -> subprocess.CompletedProcess[str]:
        environ = {"MYPYPATH": source, "PATH": ""}
        return subprocess.run(
            [*words, "--follow-imports=silent", name],
            cwd=tmp_path,
            env=environ,
            capture_output=True,
            text=True,
            check=False,
        )

    right, wrong = checked("right.py"), checked("wrong.py")

    assert right.returncode == 0, right.stdout
    assert 'Unexpected keyword argument "retires"' in wrong.stdout
