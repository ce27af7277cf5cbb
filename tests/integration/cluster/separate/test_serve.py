"""Ray Serve runs applications from bundles: deployed, edited under load, side by side, and refused.

One cluster with a token, a store in S3, and one course of events; the tests look at what was seen.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import zipfile
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from raybundle.cluster.access import make_access
from raybundle.cluster.embedded.cluster import choose_ports
from raybundle.cluster.jobs import JobsClient
from raybundle.cluster.outcome import deployment_error
from raybundle.cluster.serve import APPLICATIONS, ServeClient
from raybundle.errors import JobStartError
from raybundle.outage import Outage
from tests.integration.cluster.embedded.test_schemas import changed, validator
from tests.support.lacking import required_environment
from tests.support.nodes import node_environment
from tests.support.ray_head import ray_head
from tests.support.served import CONFIG, FILES, Load, ask, ask_when_known
from tests.support.small_project import tree
from tests.support.workplace import make_workplace

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from subprocess import CompletedProcess

    from raybundle.cluster.serve import Application
    from tests.support.s3_server import S3Server
    from tests.support.workplace import Workplace

pytestmark = pytest.mark.ray

TOKEN = "a-token-of-the-tests-0123456789"
AUTH = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN}
SECRET = "nobody-may-read-this"
S3_CLIENT = ("boto3", "botocore", "s3transfer", "jmespath")
"""What Ray reads S3 with, and the environment with `ray[serve]` does not have."""
REQUESTS = 60
"""Requests after which each of two replicas has surely answered one."""
PLAIN = """\
from ray import serve


@serve.deployment(ray_actor_options={"num_cpus": 0.1})
class Plain:
    def __call__(self, request):
        return {"greeting": "old"}


graph = Plain.bind()
"""


@dataclass(slots=True)
class Course:
    """What was seen, in the order in which it happened."""

    commands: dict[str, CompletedProcess[str]] = field(default_factory=dict)
    answers: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    replicas: dict[str, dict[str, set[str]]] = field(default_factory=dict)
    """Actors of each application."""
    plain: dict[str, Application] = field(default_factory=dict)
    load: Load | None = None
    interrupted: tuple[int, bytes, str] = (0, b"", "")

    def document(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.commands[name].stdout)
        return found


def user_environment() -> Path:
    """Returns the environment with `ray[serve]`; without one skips the test, or fails in CI."""
    return required_environment("RAYBUNDLE_TEST_USER_ENV", "Ray Serve")


def s3_client(directory: Path) -> dict[str, str]:
    """Returns the variables by which the cluster has what reads S3."""
    directory.mkdir()
    [site] = node_environment().glob("lib/python*/site-packages")
    for name in S3_CLIENT:
        (directory / name).symlink_to(site / name)
    return {"PYTHONPATH": str(directory)}


@pytest.fixture(scope="module")
def course(s3: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Course]:
    directory = tmp_path_factory.mktemp("serve")
    python = user_environment() / "bin" / "python"
    node = {**AUTH, **s3.environ, **s3_client(directory / "client")}
    with ray_head(python, node, num_cpus=4) as head:
        store = s3.prefix()
        work = make_workplace(
            directory / "work", RAYBUNDLE_ADDRESS=head.address, RAYBUNDLE_STORE=store, **AUTH, **s3.environ
        )
        (directory / "token").write_text(SECRET)
        [port] = choose_ports(1)
        tree(work.directory, {**FILES, "serve.yaml": CONFIG.format(host="127.0.0.1", port=port)})
        with closing(JobsClient(make_access(head.address, AUTH))) as client:
            course = _Run(work, client, f"http://127.0.0.1:{port}").all()
        yield course


class _Run:
    """Makes the course."""

    def __init__(self, work: Workplace, client: JobsClient, url: str) -> None:
        self.work, self.url, self.seen = work, url, Course()
        self.jobs, self.client = client, ServeClient(client)

    def all(self) -> Course:
        self.refusals()
        self.first_deploy()
        self.edit()
        self.plain_ray()
        self.failure()
        return self.seen

    def run(self, name: str, *words: str, env: Mapping[str, str] | None = None) -> None:
        self.seen.commands[name] = self.work.raybundle(*words, env=env)

    def refusals(self) -> None:
        self.run("wrong token", "serve", "status", env={"RAY_AUTH_TOKEN": "wrong"})
        self.run("dead cluster", "--address", "http://127.0.0.1:1", "serve", "deploy", "other:graph")
        self.run("nothing runs", "--json", "serve", "status")

    @property
    def deploy(self) -> tuple[str, ...]:
        return ("serve", "deploy", "--secret", f"TOKEN=file:{self.work.directory.parent / 'token'}")

    def first_deploy(self) -> None:
        with self.work.started(*self.deploy, "serve.yaml") as running:
            running.wait_for("application first: DEPLOYING", running.stderr)
            running.process.send_signal(signal.SIGINT)
            self.seen.interrupted = running.end()
        self.run("timeout", *self.deploy, "--timeout", "0.1s", "serve.yaml")
        self.run("deploy", "--json", *self.deploy, "serve.yaml")
        assert self.seen.commands["deploy"].returncode == 0, self.seen.commands["deploy"].stderr
        self.look("before")

    def edit(self) -> None:
        (self.work.directory / "words" / "greeting.py").write_text('GREETING = "new"\n')
        (self.work.directory / "note.txt").write_text("new\n")
        with Load(f"{self.url}/first?name=bob") as self.seen.load:
            self.run("deploy again", "--json", *self.deploy, "serve.yaml")
        self.look("after")
        self.run("status", "--json", "serve", "status")

    def look(self, when: str) -> None:
        for name in ("first", "second"):
            ask_when_known(f"{self.url}/{name}")
        self.seen.answers[f"first {when}"] = [ask(f"{self.url}/first?name=bob") for _ in range(REQUESTS)]
        self.seen.answers[f"second {when}"] = [ask(f"{self.url}/second")]
        self.seen.replicas[when] = self.actors()

    def actors(self) -> dict[str, set[str]]:
        found = self.jobs.get(APPLICATIONS)["applications"]
        return {
            name: {each["actor_id"] for one in row["deployments"].values() for each in one["replicas"]}
            for name, row in found.items()
        }

    def plain_ray(self) -> None:
        """The same edit without a bundle, and a bundle's archive without its variables."""
        archive = self.work.directory.parent / "plain.zip"
        self.pack(archive, PLAIN)
        bare = self.bundled("other:graph")
        bare["runtime_env"] = {"working_dir": bare["runtime_env"]["working_dir"]}
        plain = {
            "name": "plain",
            "route_prefix": "/plain",
            "import_path": "plain:graph",
            "runtime_env": {"working_dir": archive.as_uri()},
        }
        config = {"applications": [plain, {**bare, "name": "bare", "route_prefix": "/bare"}]}
        self.client.put(config)
        self.seen.plain = self.settled()
        self.seen.answers["plain before"] = [ask_when_known(f"{self.url}/plain")]
        self.pack(archive, PLAIN.replace('"old"', '"new"'))
        self.client.put({"applications": [plain]})
        self.settled()
        self.seen.answers["plain after"] = [ask(f"{self.url}/plain")]

    def bundled(self, path: str) -> dict[str, Any]:
        self.run("build", "--json", "serve", "build", path)
        [entry] = self.seen.document("build")["config"]["applications"]
        return dict(entry)

    @staticmethod
    def pack(archive: Path, source: str) -> None:
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr("plain.py", source)
            file.writestr("beside.txt", "")

    def settled(self) -> dict[str, Application]:
        """Returns the applications once none is deployed or removed any more."""
        outage = Outage(0.2, 0.5, patience=180)
        while outage.wait():
            found = self.client.applications()
            if not {"DEPLOYING", "DELETING", "NOT_STARTED"} & {each.status for each in found.values()}:
                return found
        raise AssertionError(self.client.applications())

    def failure(self) -> None:
        self.run("raising", "--json", "serve", "deploy", "raising:graph")
        self.run("shutdown", "--json", "serve", "shutdown")


def greetings(answers: list[dict[str, Any]]) -> set[tuple[str, str]]:
    return {(each["greeting"], each["data"]) for each in answers}


def parts(answers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [each[name] for each in answers for name in ("speaker", "ingress")]


def test_a_deploy_returns_when_every_application_runs(course: Course) -> None:
    assert course.commands["deploy"].returncode == 0, course.commands["deploy"].stderr
    found = course.document("deploy")["applications"]
    assert [(each["name"], each["status"], each["error"]) for each in found] == [
        ("first", "RUNNING", None),
        ("second", "RUNNING", None),
    ]


def test_every_deployment_runs_from_the_bundle_with_its_own_variables_and_arguments(course: Course) -> None:
    bundles = {each["name"]: each["bundle"] for each in course.document("deploy")["applications"]}
    answers = course.answers["first before"]
    tree_of = f"/tmp/raybundle-{os.getuid()}/trees/{bundles['first'].removeprefix('sha256:')}/project"

    assert {each["bundle"] for each in parts(answers)} == {bundles["first"]}
    assert {each["path"][0] for each in parts(answers)} == {tree_of}
    assert {each["file"] for each in parts(answers)} == {f"{tree_of}/told.py"}
    assert {(each["word"], each["own"], each["name"]) for each in (one["speaker"] for one in answers)} == {
        ("hello", "mine", "BOB")
    }


def test_every_replica_has_the_secret_and_the_configuration_does_not(course: Course) -> None:
    expected = hashlib.sha256(SECRET.encode()).hexdigest()

    assert {each["token"] for each in parts(course.answers["first before"])} == {expected}
    assert course.answers["second before"][0]["token"] == expected
    assert SECRET not in course.commands["deploy"].stdout + course.commands["deploy"].stderr


def test_a_module_of_one_application_cannot_be_imported_in_the_other(course: Course) -> None:
    [second] = course.answers["second before"]

    assert second["mark"] == "other"
    assert second["other"] is True
    assert {each["other"] for each in parts(course.answers["first before"])} == {False}


def test_an_edit_reaches_every_replica_with_its_data(course: Course) -> None:
    before, after = (course.answers[f"first {when}"] for when in ("before", "after"))

    assert course.commands["deploy again"].returncode == 0, course.commands["deploy again"].stderr
    assert greetings(parts(before)) == {("old", "old")}
    assert greetings(parts(after)) == {("new", "new")}
    assert len({each["speaker"]["pid"] for each in after}) == 2


def test_two_versions_run_side_by_side_and_the_unchanged_one_is_left_alone(course: Course) -> None:
    found = {each["name"]: each for each in course.document("deploy again")["applications"]}

    assert {name: each["changed"] for name, each in found.items()} == {"first": True, "second": False}
    assert course.replicas["after"]["second"] == course.replicas["before"]["second"]
    assert not course.replicas["after"]["first"] & course.replicas["before"]["first"]
    assert [each["mark"] for each in course.answers["second after"]] == ["other"]


def test_a_steady_load_loses_no_request_while_replicas_are_replaced(course: Course) -> None:
    load = course.load
    assert load is not None

    assert load.failures == []
    assert {each["ingress"]["greeting"] for each in load.answers} == {"old", "new"}


def test_plain_ray_keeps_the_old_code(course: Course) -> None:
    assert course.plain["plain"].status == "RUNNING", course.plain["plain"].message

    assert course.answers["plain before"] == course.answers["plain after"] == [{"greeting": "old"}]


def test_a_replica_with_the_archive_alone_refuses_to_run(course: Course) -> None:
    bare = course.plain["bare"]

    error = deployment_error("bare", f"{bare.message}\n{bare.deployments}")

    assert bare.status == "DEPLOY_FAILED"
    assert isinstance(error, JobStartError)
    assert "give the task, actor or deployment the whole runtime_env of the bundle" in str(error)


def test_an_application_that_raises_fails_with_its_exception_and_place(course: Course) -> None:
    found = course.document("raising")

    assert course.commands["raising"].returncode == found["exit_code"] == 20
    [raising] = found["applications"]
    assert raising["status"] == "DEPLOY_FAILED"
    assert raising["error"] == "application default failed: RuntimeError: raised at import at raising.py:3"


def test_an_interrupt_and_a_timeout_leave_the_applications_to_serve(course: Course) -> None:
    code, _, stderr = course.interrupted

    assert code == 130
    assert "interrupted; what Serve has taken goes on" in stderr
    assert course.commands["timeout"].returncode == 124
    assert "not all applications run after 0.1 s" in course.commands["timeout"].stderr


@pytest.mark.parametrize(
    ("name", "text"), [("wrong token", "refuses the credentials"), ("dead cluster", "cannot reach")]
)
def test_a_cluster_that_cannot_be_used_is_an_error(course: Course, name: str, text: str) -> None:
    assert course.commands[name].returncode == 5
    assert text in course.commands[name].stderr


@pytest.mark.parametrize("name", ["nothing runs", "deploy", "status", "raising", "shutdown"])
def test_what_serve_prints_fits_its_schema(course: Course, name: str) -> None:
    document = course.document(name)

    assert not list(validator("serve").iter_errors(document))
    assert [change for change, other in changed(document) if validator("serve").is_valid(other)] == []


def test_shutdown_ends_what_runs(course: Course) -> None:
    assert course.document("nothing runs")["applications"] == []
    assert course.document("shutdown")["ended"] == ["default"]
