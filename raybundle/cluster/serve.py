"""A client for Ray Serve's REST API that works without ray."""

from __future__ import annotations

import http.client
import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from raybundle.cluster.connection import BUSY
from raybundle.errors import UNREADABLE, ClusterError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from raybundle.cluster.jobs import JobsClient

APPLICATIONS = "/api/serve/applications/"
"""Takes the configuration (PUT), says what runs (GET), ends it (DELETE); ray/dashboard/modules/serve."""
SLOW = 120.0
"""Seconds for which a request is repeated that starts or ends Serve, which a busy cluster does slowly."""
NO_SERVE = "Serve dependencies are not installed"
"""The answer (HTTP 501) of a head whose Ray lacks them."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """A deployment of an application, as Serve describes it."""

    name: str
    status: str
    message: str
    running: int
    """Replicas that take requests."""
    wanted: int
    """Replicas that there shall be."""
    runtime_env: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Application:
    """An application of Ray Serve."""

    name: str
    status: str
    message: str
    route_prefix: str | None
    config: Mapping[str, Any]
    """What was deployed; empty for one that a job runs."""
    deployments: tuple[Deployment, ...]

    @property
    def bundle(self) -> str | None:
        """The digest of its bundle; None if it has none."""
        return bundle_of(self.config.get("runtime_env") or {})


def bundle_of(runtime_env: Mapping[str, Any]) -> str | None:
    """Returns the digest of the bundle that a runtime_env names; None if it names none."""
    variables = runtime_env.get("env_vars")
    return variables.get("RAYBUNDLE_DIGEST") if isinstance(variables, dict) else None


class ServeClient:
    """Ray Serve of one cluster."""

    def __init__(self, jobs: JobsClient) -> None:
        """Makes a client that shares the connection of another."""
        self._connection = jobs.connection
        self.address = jobs.address

    def applications(self, patience: float = 3.0) -> dict[str, Application]:
        """Returns all applications by name; none if Serve does not run.

        Args:
            patience: seconds for which a failed request is tried again.

        Raises:
            ClusterError: the cluster cannot be reached, or its Ray has no Serve.
        """
        found = self._ask("GET", patience=patience)
        try:
            rows = json.loads(found)["applications"]
            return {name: _application(name, row) for name, row in rows.items()}
        except UNREADABLE as error:
            raise ClusterError(
                f"{self.address} does not answer as Ray Serve does",
                hint="give the address of the dashboard, such as http://127.0.0.1:8265",
            ) from error

    def put(self, configuration: Mapping[str, Any]) -> None:
        """Makes Serve run the applications of a configuration, and no other that was deployed like this.

        Raises:
            UsageError: Serve refuses the configuration.
            ClusterError: the cluster cannot be reached, or its Ray has no Serve.
        """
        self._ask("PUT", json.dumps(configuration).encode(), SLOW)

    def shutdown(self) -> None:
        """Ends all applications, and Serve itself."""
        self._ask("DELETE", patience=SLOW)

    def _ask(self, method: str, data: bytes | None = None, patience: float = 3.0) -> bytes:
        answer = self._connection.request(
            method, APPLICATIONS, data, again=True, patience=patience, busy=BUSY
        )
        if answer.status == http.HTTPStatus.NOT_IMPLEMENTED and NO_SERVE in answer.sentence:
            raise ClusterError(
                f"the Ray of {self.address} has no Serve",
                status=answer.status,
                hint='install "ray[serve]" where the cluster\'s nodes have Ray, and start it again',
            )
        if answer.status == http.HTTPStatus.BAD_REQUEST and data is not None:
            text = answer.body.decode("utf-8", "replace")
            raise UsageError(f"Ray Serve refuses the configuration: {' '.join(text.split())[-1000:]}")
        if not answer.good:
            raise ClusterError(
                f"the cluster at {self.address} answers HTTP {answer.status}: {answer.sentence}",
                status=answer.status,
            )
        return answer.body


def _application(name: str, row: Mapping[str, Any]) -> Application:
    return Application(
        name=name,
        status=row["status"],
        message=row.get("message") or "",
        route_prefix=row.get("route_prefix"),
        config=row.get("deployed_app_config") or {},
        deployments=tuple(_deployment(each) for each in row["deployments"].values()),
    )


def _deployment(row: Mapping[str, Any]) -> Deployment:
    states = Counter(each["state"] for each in row["replicas"])
    options = row["deployment_config"].get("ray_actor_options") or {}
    return Deployment(
        row["name"],
        row["status"],
        row.get("message") or "",
        states["RUNNING"],
        row["target_num_replicas"],
        options.get("runtime_env") or {},
    )
