"""Functions as jobs on a real cluster: what they return, raise and reach, and an interrupt."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.workplace import reports

if TYPE_CHECKING:
    from pathlib import Path

    from raybundle.cluster.jobs import JobsClient
    from tests.integration.cluster.conftest import Embedded

pytestmark = pytest.mark.ray

ENDLESS = """
import time, raybundle
def endless():
    print("it " + "runs", flush=True)
    time.sleep(600)
if __name__ == "__main__":
    say = lambda text: print(text, flush=True)
    raybundle.job(endless, submission_id={name!r}, write=say, notify=say, **{more!r}).run()
"""


@pytest.fixture(scope="module")
def said(embedded: Embedded, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What tests/projects/functions reports."""
    work = embedded.workplace(tmp_path_factory.mktemp("functions") / "work", "functions")
    done = work.command([sys.executable, "calls.py", f"good-{os.getpid()}"])
    assert done.returncode == 0, done.stderr
    return {name: value for each in reports(done.stdout) for name, value in each.items()}


def test_a_function_reaches_its_modules_files_and_classes_and_its_result_comes_back(
    said: dict[str, Any],
) -> None:
    is_point, x, word, text, name, file = said["good"]

    assert (is_point, x, word, text, name) == (True, 8, "late", "from a file", "late.py")
    assert file.startswith("/tmp/raybundle-")
    assert file.endswith("/project/calls.py")
    assert said["again"] == 8
    assert said["rerun"] == 8
    assert said["waits"] == "awaited"
    assert said["pools"] == [2, 4]
    assert said["here"] == 6


def test_what_a_function_raises_is_raised_with_the_traceback_of_the_job(said: dict[str, Any]) -> None:
    name, text, cause, traceback = said["bad"]

    assert (name, text, cause) == ("LookupError", "nowhere late", "FunctionError")
    assert 'raise LookupError(f"{place} {late.WORD}")' in traceback
    assert "_raybundle" not in traceback


def test_an_exception_that_cannot_be_unpickled_is_told_by_its_traceback(said: dict[str, Any]) -> None:
    name, text, _, traceback = said["odd"]

    assert name == "FunctionError"
    assert "the function raised NoSuchPlace: here: its pickle cannot be read" in text
    assert traceback in text


def test_a_result_comes_through_the_log_if_the_nodes_have_no_store(said: dict[str, Any]) -> None:
    assert said["typed"] == ["late", False]
    assert said["in its log"] is True


@pytest.mark.parametrize(("more", "seen"), [({}, b"it runs"), ({"entrypoint_num_cpus": 999}, b"is PENDING")])
def test_an_interrupt_stops_the_job_of_a_function(
    embedded: Embedded, client: JobsClient, tmp_path: Path, more: dict[str, Any], seen: bytes
) -> None:
    work, name = embedded.workplace(tmp_path / "work"), f"endless-{tmp_path.name}"
    (work.directory / "endless.py").write_text(ENDLESS.format(name=name, more=more))
    with subprocess.Popen(
        [sys.executable, "endless.py"], cwd=work.directory, env=work.environ, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        next(line for line in process.stdout if seen in line)
        process.send_signal(signal.SIGINT)
        shown = process.stdout.read().decode()

    assert f"stopping job {name}; a second interrupt leaves at once" in shown
    assert client.info(name).ended
    assert f"job {name} is {client.info(name).status}\n" in shown


@pytest.mark.slow
def test_workers_of_a_driver_outside_the_jobs_api_have_the_verified_path(
    embedded: Embedded, tmp_path: Path
) -> None:
    work = embedded.workplace(tmp_path / "work", "functions")

    done = work.command([sys.executable, "outside.py"])
    assert done.returncode == 0, done.stderr
    (said,) = reports(done.stdout)

    assert said["where"][0] == "late"
    assert said["where"][1].startswith("/tmp/raybundle-")
    assert said["said"][0].startswith("this driver has `sibling` from /elsewhere/sibling.py, and its workers")


def test_a_shell_with_the_variables_of_the_embedded_cluster_still_submits_to_it(
    embedded: Embedded, tmp_path: Path
) -> None:
    work = embedded.workplace(tmp_path / "work")
    printed = work.raybundle("local", "env").stdout
    variables = dict(line.removeprefix("export ").split("=", 1) for line in printed.splitlines())

    listed = work.raybundle("--json", "list", env=variables)

    assert variables["RAY_ADDRESS"].startswith("127.0.0.1:")
    assert variables["RAY_AUTH_TOKEN_PATH"] == embedded.token["RAY_AUTH_TOKEN_PATH"]
    assert listed.returncode == 0, listed.stderr
