"""Tasks of Airflow that run on Ray, with `dag.test()` in Airflow's own environment, which has no Ray."""

from __future__ import annotations

import json
import logging
import os
import signal
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from raybundle.cli.templates import look, place
from tests.support.airflow import reports_of
from tests.support.workplace import TIMEOUT, reports

if TYPE_CHECKING:
    from pathlib import Path

    from raybundle.cluster.jobs import JobInfo, JobsClient
    from tests.support.airflow import Airflow

pytestmark = pytest.mark.ray

FUNCTIONS = ("function_in_worker", "function_in_triggerer")
DAGS = (
    *("in_worker", "in_triggerer", "failing", "stopped", "late", "not_found"),
    *(*FUNCTIONS, "function_failing", "function_of_a_set", "function_of_the_task"),
)


@dataclass(frozen=True, slots=True)
class Ran:
    """What `dag.test()` made of the DAGs."""

    output: str
    runs: dict[str, dict[str, Any]]
    facts: dict[str, Any]
    events: list[dict[str, Any]]
    """Of OpenLineage."""


@pytest.fixture(scope="module")
def ran(airflow: Airflow) -> Ran:
    """One process runs all DAGs: Airflow takes ten seconds to start."""
    place(look("airflow", airflow.directory), force=False)
    tests = [f"test:{name}" for name in DAGS]
    lineage = airflow.directory / "lineage.jsonl"
    transport = {"type": "file", "log_file_path": str(lineage), "append": True}
    told = {"AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(transport)}
    output = airflow.command("python", "run.py", *tests, "facts", env=told, timeout=len(tests) * TIMEOUT)
    found = reports_of(output)
    runs = {each["dag"]: each for each in found if each["kind"] == "run"}
    events = [json.loads(line) for line in lineage.read_text("utf-8").splitlines()]
    return Ran(output, runs, next(each for each in found if each["kind"] == "facts"), events)


def jobs_of(client: JobsClient, dag: str) -> list[JobInfo]:
    return [each for each in client.list() if each.metadata.get("airflow.dag_id") == dag]


@pytest.mark.parametrize("dag", ["in_worker", "in_triggerer"])
def test_a_task_hands_on_what_became_of_its_job(ran: Ran, client: JobsClient, dag: str) -> None:
    (job,) = jobs_of(client, dag)
    run = ran.runs[dag]
    page = f"{client.address}/#/jobs/{job.submission_id}"
    result = {
        "submission_id": job.submission_id,
        "status": "SUCCEEDED",
        "exit_code": 0,
        "bundle": job.metadata["raybundle"],
        "address": client.address,
        "url": page,
    }

    assert run["state"] == "success"
    assert run["xcom"]["train.return_value"] == result
    assert run["xcom"]["train._link_RayJobLink"] == page
    assert run["xcom"]["seen.return_value"] == result
    assert run["xcom"]["describe.return_value"] == f"{job.submission_id} ended with 0"


@pytest.mark.parametrize("dag", ["in_worker", "in_triggerer"])
def test_open_lineage_hears_which_job_of_which_cluster_a_task_had(
    ran: Ran, client: JobsClient, dag: str
) -> None:
    (job,) = jobs_of(client, dag)
    ends = [
        each["run"]["facets"]
        for each in ran.events
        if (each["eventType"], each["job"]["name"]) == ("COMPLETE", f"{dag}.train")
    ]

    assert [each["externalQuery"]["externalQueryId"] for each in ends] == [job.submission_id]
    assert [each["externalQuery"]["source"] for each in ends] == [client.address]


def test_arguments_and_variables_are_templates_and_the_module_beside_the_script_travels(
    ran: Ran, client: JobsClient
) -> None:
    logs = [client.logs(each.submission_id) for dag in DAGS[:2] for each in jobs_of(client, dag)]
    expected = [{"argv": [dag], "who": "train", "layers": 3} for dag in DAGS[:2]]

    assert [each for log in logs for each in reports(log)] == expected
    assert all(log.splitlines()[-1] in ran.output for log in logs)


def test_a_failing_job_fails_its_task_with_exit_code_and_end_of_the_log(ran: Ran, client: JobsClient) -> None:
    (job,) = jobs_of(client, "failing")
    expected = f"AirflowException: job {job.submission_id} failed: its driver ended with exit code 7\n\n"

    assert ran.runs["failing"]["tasks"] == {"train": ["failed", 1]}
    assert expected + "The end of the log:\nepoch 10\nepoch 11\n" in ran.output


def test_a_stopped_job_is_not_tried_again(ran: Ran, client: JobsClient) -> None:
    (job,) = jobs_of(client, "stopped")

    assert ran.runs["stopped"]["tasks"] == {"train": ["failed", 1]}
    assert f"AirflowFailException: job {job.submission_id} was stopped" in ran.output


def test_the_trigger_stops_a_job_at_its_deadline(ran: Ran, client: JobsClient) -> None:
    (job,) = jobs_of(client, "late")

    assert job.status == "STOPPED"
    assert ran.runs["late"]["tasks"] == {"train": ["failed", 1]}
    assert f"AirflowFailException: job {job.submission_id} has not ended within" in ran.output


def test_a_bundle_that_is_not_there_is_said_and_a_retry_looks_again(ran: Ran, client: JobsClient) -> None:
    assert ran.runs["not_found"]["tasks"] == {"train": ["failed", 3]}
    assert "absent" in ran.output
    assert not jobs_of(client, "not_found")


@pytest.mark.parametrize("dag", FUNCTIONS)
def test_a_function_runs_on_ray_and_its_result_is_handed_on(ran: Ran, client: JobsClient, dag: str) -> None:
    (job,) = jobs_of(client, dag)
    run = ran.runs[dag]
    name = run["xcom"]["train.return_value"]["run"]
    result = {"lengths": [2, 1], "layers": 4, "run": name, "who": "train"}

    assert run["state"] == "success"
    assert job.metadata["raybundle.function"] == "count"
    assert job.metadata["airflow.run_id"] == name
    assert run["xcom"]["train.return_value"] == result
    assert run["xcom"]["total.return_value"] == 7
    assert run["xcom"]["train.submission_id"] == job.submission_id
    assert f"counted {name}" in ran.output
    assert "raybundle: result" not in ran.output


def test_an_exception_of_a_function_fails_its_task_with_the_traceback_of_the_job(
    ran: Ran, client: JobsClient
) -> None:
    (job,) = jobs_of(client, "function_failing")
    said = f"AirflowException: job {job.submission_id}: the function raised Odd: no epochs\n\nTraceback"
    _, found, rest = ran.output.partition(said)

    assert ran.runs["function_failing"]["tasks"] == {"train": ["failed", 1]}
    assert found
    assert 'pipelines.py", line ' in rest[:1000]
    assert ', in fall\n    raise Odd("no epochs")\n' in rest[:1000]


def test_a_result_that_is_no_json_is_said_and_not_tried_again(ran: Ran, client: JobsClient) -> None:
    (job,) = jobs_of(client, "function_of_a_set")

    assert ran.runs["function_of_a_set"]["tasks"] == {"train": ["failed", 1]}
    assert f"job {job.submission_id}: the result['names'][0] is a set, and XCom takes JSON" in ran.output
    assert "hint: return numbers, strings, lists and dicts; store anything else" in ran.output


def test_an_object_of_airflow_does_not_travel(ran: Ran, client: JobsClient) -> None:
    assert ran.runs["function_of_the_task"]["tasks"] == {"train": ["failed", 1]}
    assert "argument `ti` is a RuntimeTaskInstance of Airflow" in ran.output
    assert not jobs_of(client, "function_of_the_task")


def test_airflow_lists_the_provider_and_its_connection_type(ran: Ran) -> None:
    fields = ["store", "verify", "client_cert", "client_key", "headers", "profile"]

    assert ran.facts["listed"]
    assert ran.facts["hook"] == "Ray (raybundle)"
    assert ran.facts["fields"] == [f"extra__raybundle__{name}" for name in fields]


def test_a_dag_file_loads_neither_ray_nor_the_library(ran: Ran) -> None:
    assert ran.facts["has_ray"] is False
    assert ran.facts["loaded"] == []


def test_the_template_is_a_dag(ran: Ran) -> None:
    assert ran.facts["tasks"] == ["report", "train"]


@pytest.mark.parametrize("dag", ["waiting", "waiting_in_triggerer", "function_waiting"])
def test_a_retry_follows_the_job_of_a_killed_process_and_a_clear_runs_again(
    airflow: Airflow, client: JobsClient, tmp_path: Path, dag: str
) -> None:
    log, gate = tmp_path / "log", tmp_path / "gate"
    env = {"GATE": str(gate)}
    with airflow.started(log, "python", "run.py", f"test:{dag}", env=env) as process:
        wait_until(lambda: [each.status for each in jobs_of(client, dag)] == ["RUNNING"], log)
        os.kill(process.pid, signal.SIGKILL)
    with airflow.started(log, "python", "run.py", f"retry:{dag}", f"clear:{dag}", env=env) as process:
        wait_until(lambda: "is RUNNING: following it" in log.read_text("utf-8"), log)
        gate.touch()
        assert process.wait(TIMEOUT) == 0, log.read_text("utf-8")
    retried, cleared = reports_of(log.read_text("utf-8"))
    first, second = jobs_of(client, dag)

    assert retried["tasks"] == {"train": ["success", 2]}
    assert retried["xcom"]["train.submission_id"] == first.submission_id
    assert cleared["tasks"] == {"train": ["success", 3]}
    assert cleared["xcom"]["train.submission_id"] == second.submission_id


def test_the_cancel_of_a_marked_task_sends_the_stop_and_waits_for_no_look(
    airflow: Airflow, client: JobsClient, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Once the cancel is over, nothing of the trigger runs that could send it later."""
    job = f"marked-{time.time_ns()}"
    client.submit(job, {"entrypoint": "sleep 600"})
    log = tmp_path / "log"
    log.touch()
    wait_until(lambda: client.info(job).status == "RUNNING", log)

    (marked,) = reports_of(airflow.command("python", "run.py", f"mark:{job}"))
    wait_until(lambda: client.info(job).ended, log)

    found = client.info(job)
    assert found.status == "STOPPED"
    assert marked["was cancelled"]
    assert found.end_time is not None
    ended = found.end_time / 1000 - marked["cancelled"]
    with caplog.at_level(logging.INFO):
        took = marked["over"] - marked["cancelled"]
        logging.getLogger(__name__).info("cancel %.2f s, end of the job after %.2f s", took, ended)


def wait_until(reached: Any, log: Path) -> None:
    deadline = time.monotonic() + TIMEOUT
    while not reached():
        assert time.monotonic() < deadline, log.read_text("utf-8")
        time.sleep(0.2)
