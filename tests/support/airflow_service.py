"""Airflow's scheduler, triggerer, DAG processor and API server, and what a person does in its pages."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import time
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from tests.support.airflow import Airflow

PATIENCE = 600.0
"""Seconds: on two busy cores, each process needs a minute to start."""
NOTHING: Mapping[str, str] = MappingProxyType({})
COMPONENTS = ("api-server", "scheduler", "dag-processor", "triggerer")


@dataclass(frozen=True, slots=True)
class Service:
    """A running Airflow."""

    airflow: Airflow
    environ: Mapping[str, str]
    logs: Path
    processes: dict[str, tuple[contextlib.ExitStack, subprocess.Popen[bytes]]]

    def start(self, component: str) -> None:
        """Starts one of the processes, also again."""
        stack = contextlib.ExitStack()
        log = self.logs / f"{component}-{len(list(self.logs.iterdir()))}.log"
        process = stack.enter_context(self.airflow.started(log, "airflow", component, env=self.environ))
        self.processes[component] = (stack, process)

    def kill(self, component: str) -> None:
        """Ends a process and its children at once, as the kernel does when memory runs out."""
        self.processes.pop(component)[0].close()

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Returns the answer of the public API."""
        token = self._ask("GET", "/auth/token")["access_token"]
        return self._ask(method, f"/api/v2{path}", body, {"Authorization": f"Bearer {token}"})

    def _ask(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] = NOTHING) -> Any:
        port = int(self.environ["AIRFLOW__API__PORT"])
        with contextlib.closing(
            http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        ) as connection:
            data = None if body is None else json.dumps(body)
            connection.request(method, path, data, {"Content-Type": "application/json", **headers})
            answer = connection.getresponse()
            found = json.loads(answer.read() or b"null")
        assert answer.status < 300, (method, path, answer.status, found)
        return found

    def trigger(self, dag: str, run: str) -> None:
        """Starts a run of a DAG, once Airflow knows the DAG."""
        wait_until(lambda: dag in {each["dag_id"] for each in self.call("GET", "/dags")["dags"]}, self.logs)
        self.call("PATCH", f"/dags/{dag}", {"is_paused": False})
        self.call("POST", f"/dags/{dag}/dagRuns", {"dag_run_id": run, "logical_date": None})

    def task(self, dag: str, run: str) -> dict[str, Any]:
        """Returns what Airflow says of the task `train`."""
        found: dict[str, Any] = self.call("GET", f"/dags/{dag}/dagRuns/{run}/taskInstances/train")
        return found

    def mark(self, dag: str, run: str, state: str) -> None:
        """Marks the task as failed or successful."""
        self.call("PATCH", f"/dags/{dag}/dagRuns/{run}/taskInstances/train", {"new_state": state})

    def clear(self, dag: str, run: str) -> None:
        """Clears the task."""
        only = {"dry_run": False, "dag_run_id": run, "task_ids": ["train"], "only_failed": False}
        self.call("POST", f"/dags/{dag}/clearTaskInstances", {**only, "reset_dag_runs": True})


@contextlib.contextmanager
def airflow_service(airflow: Airflow, logs: Path, env: Mapping[str, str]) -> Iterator[Service]:
    """Runs all processes of Airflow while the block runs."""
    logs.mkdir()
    service = Service(airflow, {**_settings(), **env}, logs, {})
    try:
        for component in COMPONENTS:
            service.start(component)
        wait_until(lambda: _answers(service), logs)
        yield service
    finally:
        for stack, _ in service.processes.values():
            stack.close()


def wait_until(reached: Callable[[], object], logs: Path) -> None:
    """Waits; shows the ends of the logs if that takes too long."""
    deadline = time.monotonic() + PATIENCE
    while not reached():
        ends = [each.read_text("utf-8", "replace")[-2000:] for each in logs.iterdir()]
        assert time.monotonic() < deadline, "\n\n".join(ends)
        time.sleep(0.5)


def _answers(service: Service) -> bool:
    try:
        return bool(service.call("GET", "/dags"))
    except (OSError, http.client.HTTPException):
        return False


def _settings() -> dict[str, str]:
    port, *logs = _free_ports(3)
    settings = {
        "CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "CORE__PARALLELISM": "2",
        "CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "API__HOST": "127.0.0.1",
        "API__PORT": str(port),
        "API__BASE_URL": f"http://127.0.0.1:{port}",
        "API__WORKERS": "1",
        "API_AUTH__JWT_SECRET": "of a test, and long enough for its algorithm, which takes 64 bytes",
        "LOGGING__WORKER_LOG_SERVER_PORT": str(logs[0]),
        "LOGGING__TRIGGER_LOG_SERVER_PORT": str(logs[1]),
        "SCHEDULER__TASK_INSTANCE_HEARTBEAT_SEC": "2",
        "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "300",  # a busy machine is no dead worker
        "TRIGGERER__JOB_HEARTBEAT_SEC": "2",
        "TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "10",
    }
    return {f"AIRFLOW__{name}": value for name, value in settings.items()}


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as open_sockets:
        sockets = [open_sockets.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
