"""A client for Ray's Jobs REST API that works without ray."""

from __future__ import annotations

import http.client
import json
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote, urlencode

from raybundle.cluster.connection import Connection
from raybundle.errors import UNREADABLE, ClusterError, JobLostError
from raybundle.outage import Outage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from raybundle.cluster.access import Access
    from raybundle.cluster.connection import Answer

Status = Literal["PENDING", "RUNNING", "STOPPED", "SUCCEEDED", "FAILED"]
TERMINAL: frozenset[str] = frozenset({"STOPPED", "SUCCEEDED", "FAILED"})
AGENT_TIMEOUT = 30.0
"""Seconds that a starting cluster gets until its head's agent accepts jobs; usually at most ten."""
AGENT_DELAY = 0.3
"""Seconds between two tries."""
UNKNOWN = "Job {} does not exist"
"""The answer (HTTP 404) for an unknown job; another 404 is not about jobs."""
NO_AGENT = "No available agent to submit job"
"""The answer (HTTP 500) until then; ray/dashboard/modules/job/job_head.py."""
MAXIMUM_UPLOAD = 100 << 20
"""Largest package in bytes; above it the dashboard answers 413, though Ray's own client allows more."""
TOO_LARGE = (
    "a proxy before the dashboard may accept less (nginx: client_max_body_size); "
    "or use a store that the nodes can read themselves (`--store s3://…`)"
)
LOG_TIMEOUT = 3600
"""Seconds for which a node's agent sends a log; Ray's default of 30 cuts a large one."""
PROBE = "raybundle-probe-"
"""Prefix of the ids of jobs that ask nodes; they are removed soon after they have ended, and not listed."""
FUNCTION = "raybundle.function"
"""Key of a job's metadata: the name of its function."""
TOKEN = "raybundle.token"  # noqa: S105 - the key of it
"""Key of a job's metadata: what each line about the result of its function begins with."""


@dataclass(frozen=True, slots=True)
class JobInfo:
    """The cluster's record of a job; times are milliseconds since the epoch."""

    submission_id: str
    status: Status
    entrypoint: str
    message: str
    driver_exit_code: int | None
    error_type: str | None
    start_time: int | None
    end_time: int | None
    metadata: Mapping[str, str]
    node: str | None
    """Address of the agent on the driver's node; None before the driver starts."""
    node_id: str | None = None
    """Ray's id of that node."""

    @property
    def ended(self) -> bool:
        """Whether the status is final."""
        return self.status in TERMINAL


class JobsClient:
    """One cluster's Jobs API, over one connection."""

    def __init__(self, access: Access, notify: Callable[[str], None] = lambda _text: None) -> None:
        """Makes the client; the first request connects.

        Args:
            access: address and credentials.
            notify: receives messages for the user while a request is tried again.
        """
        self.access = access
        self.connection = Connection(access, notify)

    @property
    def address(self) -> str:
        """URL of the dashboard."""
        return self.access.address

    def notify(self, text: str) -> None:
        """Passes on a message for the user."""
        self.connection.notify(text)

    def version(self) -> tuple[int, int]:
        """Returns the major and minor version of the cluster's Ray."""
        with self._as_ray_answers():
            text = str(self.get("/api/version").get("ray_version", ""))
        major, _, rest = text.partition(".")
        minor = rest.partition(".")[0]
        if not (major.isdigit() and minor.isdigit()):
            raise ClusterError(f"the cluster at {self.address} has Ray of the unknown version {text!r}")
        return int(major), int(minor)

    def session(self) -> str:
        """Returns the name of the cluster's session, which changes with each start of its head."""
        with self._as_ray_answers():
            return str(self.get("/api/version")["session_name"])

    def submit(self, submission_id: str, body: Mapping[str, Any]) -> None:
        """Submits a job under the given ID; `body` is that of `POST /api/jobs/`.

        The request is sent once: after an error, the caller looks for the ID before sending it again. Only
        a starting cluster without an agent for jobs is asked again, because it has accepted nothing.
        """
        outage = Outage(AGENT_DELAY, AGENT_DELAY, patience=AGENT_TIMEOUT, notify=self.notify)
        waiting = f"the cluster has no agent for jobs yet; trying for {AGENT_TIMEOUT:.0f} s"
        data = json.dumps({**body, "submission_id": submission_id}).encode()
        answer = self.connection.request("POST", "/api/jobs/", data, again=False)
        while not answer.good and NO_AGENT in answer.sentence and outage.wait(waiting):
            answer = self.connection.request("POST", "/api/jobs/", data, again=False)
        found = self._document(answer)
        if found.get("submission_id") != submission_id:
            raise ClusterError(f"{self.address} accepted another job than the one submitted: {found}")

    def info(self, submission_id: str, patience: float | None = None) -> JobInfo:
        """Returns the cluster's record of a job.

        Args:
            submission_id: of the job.
            patience: seconds for which a failed request is tried again, even after an error of the server.

        Raises:
            JobLostError: the cluster does not know the job.
        """
        path = _job_path(submission_id)
        if patience is None:
            answer = self.connection.request("GET", path, again=True)
        else:
            answer = self.connection.request("GET", path, again=True, patience=patience, busy=range(500, 600))
        with self._as_ray_answers():
            return _job_info(self._document(answer, submission_id))

    def runtime_env(self, submission_id: str) -> Mapping[str, Any]:
        """Returns the runtime_env of a job."""
        with self._as_ray_answers():
            return dict(self.get(_job_path(submission_id)).get("runtime_env") or {})

    def find(self, submission_id: str, patience: float | None = None) -> JobInfo | None:
        """Returns the cluster's record of a job, or None; arguments as for `info`."""
        try:
            return self.info(submission_id, patience)
        except JobLostError:
            return None

    def list(self, *, probes: bool = False) -> list[JobInfo]:
        """Returns all jobs with a submission ID, oldest first: those that ask nodes, or the others."""
        with self._as_ray_answers():
            jobs = [_job_info(job) for job in self.get("/api/jobs/") if job.get("submission_id")]
        jobs = [job for job in jobs if job.submission_id.startswith(PROBE) == probes]
        return sorted(jobs, key=lambda job: (job.start_time or 0, job.submission_id))

    def logs(self, submission_id: str) -> str:
        """Returns the driver's log so far as text, in which Ray replaces `CR` and `CR LF` by `LF`."""
        answer = self.connection.request("GET", _job_path(submission_id, "/logs"), again=True)
        with self._as_ray_answers():
            log = self._document(answer, submission_id)["logs"]
            if not isinstance(log, str):
                raise TypeError(type(log))
            return log

    def log_bytes(self, info: JobInfo) -> Iterator[bytes]:
        """Yields the driver's log so far, byte for byte, in blocks.

        Args:
            info: record of a job whose driver has a node.
        """
        return self.node_log(info.node_id, f"job-driver-{info.submission_id}.log")

    def node_log(self, node: str | None, name: str) -> Iterator[bytes]:
        """Yields a file of a node's log directory, which Ray's state API serves, in blocks.

        The endless form (`/logs/stream`) is not used: it stays open on the server after the client leaves,
        and a hundred of them block the logs of the state API for everybody (Ray 2.60).

        Args:
            node: Ray's id of it.
            name: of the file.

        Raises:
            ClusterError: there is no such file, or it cannot be read.
        """
        query = {"node_id": node, "filename": name, "lines": -1, "timeout": LOG_TIMEOUT}  # all lines
        return self.connection.stream(f"/api/v0/logs/file?{urlencode(query)}")

    def stop(self, submission_id: str) -> bool:
        """Asks the cluster to stop a job; returns whether the job was running."""
        answer = self.connection.request("POST", _job_path(submission_id, "/stop"), again=True)
        with self._as_ray_answers():
            return bool(self._document(answer, submission_id)["stopped"])

    def delete(self, submission_id: str) -> bool:
        """Removes the record of a job that has ended, at once; its log files stay.

        Raises:
            JobLostError: the cluster does not know the job.
            ClusterError: the job has not ended.
        """
        answer = self.connection.request("DELETE", _job_path(submission_id), again=False)
        with self._as_ray_answers():
            return bool(self._document(answer, submission_id)["deleted"])

    def has_package(self, name: str) -> bool:
        """Whether the cluster holds the package `gcs://name`."""
        return self.connection.request("GET", f"/api/packages/gcs/{quote(name)}", again=True).good

    def put_package(self, name: str, data: bytes) -> None:
        """Uploads the package `gcs://name`.

        Raises:
            ClusterError: the package is too large, or the cluster refuses it.
        """
        if len(data) >= MAXIMUM_UPLOAD:
            raise ClusterError(
                f"the bundle is {len(data) >> 20} MiB, and the Jobs API accepts less than "
                f"{MAXIMUM_UPLOAD >> 20} MiB in one upload",
                hint="use a store that the nodes can read themselves (`--store s3://…`), or exclude data",
            )
        answer = self.connection.request("PUT", f"/api/packages/gcs/{quote(name)}", data, again=True)
        if not answer.good:
            raise ClusterError(
                f"{self.address} refused the upload: HTTP {answer.status}: {answer.sentence}",
                status=answer.status,
                hint=TOO_LARGE if answer.status == http.HTTPStatus.REQUEST_ENTITY_TOO_LARGE else None,
            )

    def get(self, path: str) -> Any:
        """Returns the JSON in an answer of the dashboard."""
        return self._document(self.connection.request("GET", path, again=True))

    def _document(self, answer: Answer, submission_id: str | None = None) -> Any:
        unknown = submission_id is not None and answer.sentence == UNKNOWN.format(submission_id)[:500]
        if answer.status == http.HTTPStatus.NOT_FOUND and unknown:
            raise JobLostError(f"the cluster at {self.address} does not know the job: {answer.sentence}")
        if not answer.good:
            raise ClusterError(
                f"the cluster at {self.address} answers HTTP {answer.status}: {answer.sentence}",
                status=answer.status,
            )
        with self._as_ray_answers():
            return json.loads(answer.body)

    @contextmanager
    def _as_ray_answers(self) -> Iterator[None]:
        """Raises a ClusterError if the block cannot read an answer."""
        try:
            yield
        except UNREADABLE as error:
            raise ClusterError(
                f"{self.address} does not answer as Ray's Jobs API does",
                hint="give the address of the dashboard, such as http://127.0.0.1:8265",
            ) from error

    def close(self) -> None:
        """Closes the connection; the next request opens another."""
        self.connection.close()


def _job_path(submission_id: str, rest: str = "") -> str:
    return f"/api/jobs/{quote(submission_id, safe='')}{rest}"


def _job_info(document: Mapping[str, Any]) -> JobInfo:
    return JobInfo(
        submission_id=document.get("submission_id") or document["job_id"],
        status=document["status"],
        entrypoint=document.get("entrypoint") or "",
        message=document.get("message") or "",
        driver_exit_code=document.get("driver_exit_code"),
        error_type=document.get("error_type"),
        start_time=document.get("start_time"),
        end_time=document.get("end_time"),
        metadata=document.get("metadata") or {},
        node=document.get("driver_agent_http_address"),
        node_id=document.get("driver_node_id"),
    )
