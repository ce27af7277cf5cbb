"""A cluster that requires a token, and its users, who must never see a secret in the output."""

from __future__ import annotations

import json
import secrets
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.ray_head import ray_head
from tests.support.workplace import Workplace, make_workplace

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator, Sequence

COMMANDS = (
    ("submit", "job.py", "code", "0"),
    ("submit", "--no-wait", "--submission-id", "some-job", "job.py", "code", "0"),
    ("list",),
    ("status", "some-job"),
    ("logs", "some-job"),
    ("logs", "-f", "some-job"),
    ("attach", "some-job"),
    ("stop", "some-job"),
    ("delete", "some-job"),
)
"""One command line for each command that talks to a cluster. The cluster does not know the job."""


@dataclass(frozen=True, slots=True)
class User:
    """Runs the command line, and asserts that it never prints a secret."""

    work: Workplace
    secrets: tuple[str, ...]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        done = self.work.raybundle(*words)
        for secret in self.secrets:
            assert secret not in done.stdout + done.stderr, words
        return done

    @property
    def home(self) -> Path:
        return Path(self.work.environ["HOME"])

    def leaves(self, secret: str) -> list[Path]:
        """Returns the files in the home directory, store and caches included, that contain a secret."""
        files = [path for path in self.home.rglob("*") if path.is_file()]
        return [path for path in files if secret.encode() in path.read_bytes()]


@dataclass(frozen=True, slots=True)
class TokenCluster:
    """A cluster that requires a token."""

    address: str
    token: str

    @property
    def bearer(self) -> str:
        return f"Bearer {self.token}"

    def user(self, directory: Path, address: str | None = None, **environ: str) -> User:
        """Returns a user of the cluster, or of a proxy in front of it, without a token."""
        address = address or self.address
        work = make_workplace(directory / "work", "exits", RAYBUNDLE_ADDRESS=address, **environ)
        return User(work, (self.token,))

    def member(self, directory: Path, address: str | None = None, **environ: str) -> User:
        """Returns a user with the token."""
        return self.user(directory, address, RAY_AUTH_TOKEN=self.token, **environ)


@contextmanager
def token_cluster() -> Iterator[TokenCluster]:
    """Runs a cluster with token authentication."""
    token = secrets.token_urlsafe(32)
    with ray_head(env={"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token}) as head:
        yield TokenCluster(head.address, token)


def assert_refused(done: subprocess.CompletedProcess[str]) -> str:
    """Asserts exit code 5 and one error without a traceback, and returns it."""
    output = done.stdout + done.stderr
    assert done.returncode == 5, output
    assert "Traceback" not in output
    [error] = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    return error


def live_through_three_jobs(user: User, options: Sequence[str] = ()) -> None:
    """Runs every command that talks to a cluster, each with `options`."""
    one, two = (secrets.token_hex(8) for _ in range(2))
    quick = user.run("--json", "submit", *options, "job.py", "code", "0")
    assert json.loads(quick.stdout)["status"] == "SUCCEEDED", quick.stderr

    start(user, options, one, "sleep", "5")
    followed = user.run("logs", "-f", *options, one)
    assert followed.returncode == 0, followed.stderr
    assert followed.stdout.count("STARTED\n") == 1
    assert user.run("logs", *options, one).stdout == followed.stdout

    start(user, options, two, "sleep", "300")
    wait_until_started(user, options, two)
    assert user.run("status", *options, two).stdout == "RUNNING\n"
    assert {one, two} <= set(user.run("list", *options).stdout.split())
    assert json.loads(user.run("--json", "status", *options, two).stdout)["submission_id"] == two
    assert user.run("stop", *options, two).stdout == "STOPPED\n"
    assert user.run("attach", *options, two).returncode == 21

    # Do not delete the job that has just ended: Ray 2.60 checks each job once a second, and restores one that
    # was deleted in between (`_monitor_job_internal` in ray/dashboard/modules/job/job_manager.py).
    deleted = user.run("delete", *options, one)
    assert deleted.returncode == 0, deleted.stderr
    assert user.run("status", *options, one).returncode == 1
    assert one not in user.run("list", *options).stdout.split()


def start(user: User, options: Sequence[str], name: str, *words: str) -> None:
    accepted = user.run("submit", *options, "--no-wait", "--submission-id", name, "job.py", *words)
    assert accepted.returncode == 0, accepted.stderr


def wait_until_started(user: User, options: Sequence[str], name: str) -> None:
    deadline = time.monotonic() + 120
    while "STARTED" not in user.run("logs", *options, name).stdout:
        assert time.monotonic() < deadline
