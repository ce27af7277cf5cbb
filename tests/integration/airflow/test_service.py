"""A whole Airflow: what kills, marks, clears and restarts do to the job of a task."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from tests.support.airflow_service import airflow_service, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from raybundle.cluster.jobs import JobsClient
    from tests.support.airflow import Airflow
    from tests.support.airflow_service import Service

pytestmark = [pytest.mark.ray, pytest.mark.wide]

WORKER, TRIGGERER = "waiting", "waiting_in_triggerer"


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file for which the jobs wait."""
    return tmp_path_factory.mktemp("gate") / "gate"


@pytest.fixture(scope="module")
def service(airflow: Airflow, gate: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """All processes of Airflow."""
    logs = tmp_path_factory.mktemp("service") / "logs"
    with airflow_service(airflow, logs, {"GATE": str(gate)}) as running:
        yield running


def statuses(client: JobsClient, run: str) -> list[str]:
    """Returns the status of each job of a run, the oldest first."""
    return [each.status for each in client.list() if each.metadata.get("airflow.run_id") == run]


def until(service: Service, client: JobsClient, run: str, expected: list[str]) -> None:
    wait_until(lambda: statuses(client, run) == expected, service.logs)


def until_task(service: Service, dag: str, run: str, state: str, tries: int = 1) -> None:
    wait_until(
        lambda: [service.task(dag, run)[name] for name in ("state", "try_number")] == [state, tries],
        service.logs,
    )


def test_a_deferred_task_that_is_marked_as_failed_stops_its_job(service: Service, client: JobsClient) -> None:
    service.trigger(TRIGGERER, "marked")
    until_task(service, TRIGGERER, "marked", "deferred")
    until(service, client, "marked", ["RUNNING"])

    service.mark(TRIGGERER, "marked", "failed")

    until(service, client, "marked", ["STOPPED"])
    assert service.task(TRIGGERER, "marked")["state"] == "failed"


def test_a_running_task_that_is_cleared_stops_its_job_and_has_another(
    service: Service, client: JobsClient
) -> None:
    service.trigger(WORKER, "cleared")
    until(service, client, "cleared", ["RUNNING"])

    service.clear(WORKER, "cleared")

    until(service, client, "cleared", ["STOPPED", "RUNNING"])
    service.mark(WORKER, "cleared", "success")
    until(service, client, "cleared", ["STOPPED", "STOPPED"])
    assert service.task(WORKER, "cleared")["state"] == "success"


def test_the_retry_of_a_killed_task_follows_its_job(service: Service, client: JobsClient, gate: Path) -> None:
    service.trigger(WORKER, "killed")
    until(service, client, "killed", ["RUNNING"])

    os.kill(int(service.task(WORKER, "killed")["pid"]), signal.SIGKILL)

    until_task(service, WORKER, "killed", "running", tries=2)
    assert statuses(client, "killed") == ["RUNNING"]
    gate.touch()
    until_task(service, WORKER, "killed", "success", tries=2)
    gate.unlink()
    assert statuses(client, "killed") == ["SUCCEEDED"]


def test_a_job_outlives_the_triggerer(service: Service, client: JobsClient, gate: Path) -> None:
    service.trigger(TRIGGERER, "restarted")
    until_task(service, TRIGGERER, "restarted", "deferred")
    until(service, client, "restarted", ["RUNNING"])

    process = service.processes["triggerer"][1]
    process.terminate()
    process.wait()
    service.kill("triggerer")
    assert statuses(client, "restarted") == ["RUNNING"]
    service.start("triggerer")
    gate.touch()

    until_task(service, TRIGGERER, "restarted", "success")
    gate.unlink()
    assert statuses(client, "restarted") == ["SUCCEEDED"]


def test_a_function_of_a_dag_file_runs_on_ray(service: Service, client: JobsClient) -> None:
    dag = "function_in_worker"
    service.trigger(dag, "function")

    until_task(service, dag, "function", "success")

    assert statuses(client, "function") == ["SUCCEEDED"]
    path = f"/dags/{dag}/dagRuns/function/taskInstances/train/xcomEntries/return_value"
    value = service.call("GET", f"{path}?deserialize=true")["value"]
    assert value == {"lengths": [2, 1], "layers": 4, "run": "function", "who": "train"}
