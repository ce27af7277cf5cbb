"""What a submission costs beside its bundle and its job: modules that it loads, questions that it asks."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import closing
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from raybundle.cluster.access import make_access
from raybundle.cluster.follow import follow
from raybundle.cluster.jobs import JobsClient
from tests.support.fake_dashboard import Exchange, FakeDashboard
from tests.support.small_project import tree

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOADED = """
import json, sys
from raybundle.cli.main import main

code = main(sys.argv[1:])
print(json.dumps([code, sorted(sys.modules)]))
"""
UNNEEDED = {
    "a script is no command line": "raybundle.cli.entrypoint",
    "no runtime_env is read": "yaml",
    "nobody waits": "raybundle.cluster.follow raybundle.submission.wait",
    "no distribution travels": "raybundle.bundle.layers raybundle.publish.layers raybundle.wheels.retarget "
    "raybundle.wheels.locks raybundle.resolve.distributions.installed csv",
    "the answer is kept": "raybundle.resolve.resolve raybundle.resolve.walk raybundle.resolve.scan",
    "no signature is required": "raybundle.publish.trust.keys cryptography",
    "few objects need no threads": "concurrent.futures logging asyncio",
    "the archive is there": "raybundle.publish.repack",
    "nothing is explained": "raybundle.explain.reasons raybundle.cli.output.documents",
    "the client needs no Ray, and no S3": "ray boto3 fsspec websocket",
}


@pytest.fixture
def dashboard() -> Iterator[FakeDashboard]:
    with FakeDashboard() as running:
        yield running


def loaded_by(words: list[str], project: Path) -> list[str]:
    environ = {
        f"XDG_{kind}_HOME": str(project.parent / "home") for kind in ("DATA", "CACHE", "STATE", "CONFIG")
    }
    command = [sys.executable, "-c", LOADED, *words]
    done = subprocess.run(command, cwd=project, env=environ, capture_output=True, text=True, check=True)
    code, modules = json.loads(done.stdout.splitlines()[-1])
    assert code == 0, done.stderr
    return list(modules)


def test_a_plain_submission_loads_nothing_that_it_does_not_use(
    tmp_path: Path, dashboard: FakeDashboard
) -> None:
    project = tree(tmp_path / "project", {"job.py": "import helper\n", "helper.py": ""})
    words = ["--address", dashboard.address, "submit", "--no-wait", "job.py"]
    loaded_by(words, project)  # keeps the answer, stores the archive, sends the package

    loaded = loaded_by(words, project)

    assert len(dashboard.submitted) == 2
    rooms = {name for each in UNNEEDED.values() for name in each.split()}
    assert [name for name in loaded if any(f"{name}.".startswith(f"{room}.") for room in rooms)] == []


def test_the_log_is_looked_at_once_between_two_questions_for_the_status(dashboard: FakeDashboard) -> None:
    dashboard.add("job")
    asked: list[str] = []

    def note(exchange: Exchange) -> bool:
        asked.append("log" if "/logs/" in exchange.path else "status")
        if asked.count("status") > 4:
            dashboard.jobs["job"]["status"] = "SUCCEEDED"
        return False

    dashboard.faults.append(note)
    dashboard.log = b"one\n"
    written: list[bytes] = []

    with closing(JobsClient(make_access(dashboard.address, {}))) as client:
        follow(client, "job", written.append)

    assert b"".join(written) == b"one\n"
    assert asked[-2:] == ["status", "log"]
    assert asked.count("status") == 5
    assert ("log", "log") not in set(pairwise(asked))
