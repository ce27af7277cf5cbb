"""A client for Ray's Jobs REST API that needs no ray."""

from __future__ import annotations

import http.client
import json
import ssl
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote, urlsplit

from raybundle.errors import ClusterError, JobLostError, UsageError
from raybundle.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Status = Literal["PENDING", "RUNNING", "STOPPED", "SUCCEEDED", "FAILED"]
TERMINAL: frozenset[str] = frozenset({"STOPPED", "SUCCEEDED", "FAILED"})
TIMEOUT = 30.0
"""Seconds without an answer from the API before the cluster counts as unreachable."""
AGENT_TIMEOUT = 30.0
"""Seconds that a starting cluster gets until its head's agent takes jobs; it takes up to ten."""
AGENT_DELAY = 0.3
"""Seconds between two tries."""
NO_AGENT = "No available agent to submit job"
"""What the dashboard answers (HTTP 500) until then; ray/dashboard/modules/job/job_head.py."""
MAXIMUM_UPLOAD = 100 << 20
"""Bytes of one package upload; the dashboard answers 413 above it, whatever Ray's own client believes."""


@dataclass(frozen=True, slots=True)
class JobInfo:
    """What the cluster says about a job; times are milliseconds since the epoch."""

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
    """Address of the agent on the driver's node."""

    @property
    def ended(self) -> bool:
        """Whether the status is final."""
        return self.status in TERMINAL


class JobsClient:
    """One cluster's Jobs API, over one connection that is kept."""

    def __init__(self, address: str, *, timeout: float = TIMEOUT) -> None:
        """Makes the client; the first request connects."""
        self.address = parse_address(address)
        self._timeout = timeout
        self._connection: http.client.HTTPConnection | None = None

    def version(self) -> str:
        """Returns the cluster's Ray version."""
        return str(self._json("GET", "/api/version")["ray_version"])

    def submit(self, submission_id: str, body: Mapping[str, Any]) -> None:
        """Submits a job under an id of ours; `body` as `POST /api/jobs/` takes it.

        A cluster that has just started may have no agent for jobs yet; it has not accepted the job then.
        """
        deadline = time.monotonic() + AGENT_TIMEOUT
        while True:
            try:
                answer = self._json("POST", "/api/jobs/", {**body, "submission_id": submission_id})
                break
            except ClusterError as error:
                if NO_AGENT not in str(error) or time.monotonic() > deadline:
                    raise
            time.sleep(AGENT_DELAY)
        if answer.get("submission_id") != submission_id:
            raise ClusterError(f"{self.address} accepted another job than the one submitted: {answer}")

    def info(self, submission_id: str) -> JobInfo:
        """Returns what the cluster knows of a job.

        Raises:
            JobLostError: it knows no such job.
        """
        return _job_info(self._json("GET", f"/api/jobs/{quote(submission_id, safe='')}"))

    def list(self) -> list[JobInfo]:
        """Returns all jobs with a submission id, the oldest first."""
        jobs = [_job_info(job) for job in self._json("GET", "/api/jobs/") if job.get("submission_id")]
        return sorted(jobs, key=lambda job: (job.start_time or 0, job.submission_id))

    def logs(self, submission_id: str) -> str:
        """Returns the whole log of the driver so far."""
        return str(self._json("GET", f"/api/jobs/{quote(submission_id, safe='')}/logs")["logs"])

    def stop(self, submission_id: str) -> bool:
        """Asks the cluster to stop a job; returns whether it was running."""
        return bool(self._json("POST", f"/api/jobs/{quote(submission_id, safe='')}/stop")["stopped"])

    def has_package(self, name: str) -> bool:
        """Whether the cluster holds the package `gcs://name`."""
        status, _ = self._request("GET", f"/api/packages/gcs/{quote(name)}")
        return status == http.HTTPStatus.OK

    def put_package(self, name: str, data: bytes) -> None:
        """Uploads the package `gcs://name`.

        Raises:
            ClusterError: it is larger than the API takes, or refused.
        """
        if len(data) >= MAXIMUM_UPLOAD:
            raise ClusterError(
                f"the bundle is {len(data) >> 20} MiB, and the Jobs API takes less than "
                f"{MAXIMUM_UPLOAD >> 20} MiB in one upload",
                hint="use a store that the nodes can read themselves (`--store s3://…`), or exclude data",
            )
        status, answer = self._request("PUT", f"/api/packages/gcs/{quote(name)}", data)
        if status != http.HTTPStatus.OK:
            raise ClusterError(f"{self.address} refused the upload: HTTP {status}: {_sentence(answer)}")

    def tail(self, submission_id: str, write: Callable[[str], None]) -> None:
        """Writes the log of a job as it grows, until the server closes the stream; errors end it silently.

        The stream is a convenience: the status decides how a job ended, and `logs` what it wrote.
        """
        import websocket  # noqa: PLC0415 - 30 ms that only a follower pays

        scheme = "wss" if self.address.startswith("https") else "ws"
        rest = self.address.partition(":")[2]
        url = f"{scheme}:{rest}/api/jobs/{quote(submission_id, safe='')}/logs/tail"
        try:
            stream = websocket.create_connection(url, timeout=None, suppress_origin=True)
            try:
                while True:
                    text = stream.recv()
                    if not text:
                        return
                    write(text if isinstance(text, str) else text.decode("utf-8", "replace"))
            finally:
                stream.close(timeout=0)
        except (OSError, websocket.WebSocketException):
            return

    def _json(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        status, answer = self._request(method, path, data)
        if status == http.HTTPStatus.NOT_FOUND and path.startswith("/api/jobs/"):
            raise JobLostError(f"the cluster at {self.address} does not know the job: {_sentence(answer)}")
        if status in (http.HTTPStatus.UNAUTHORIZED, http.HTTPStatus.FORBIDDEN):
            raise ClusterError(f"the cluster at {self.address} refuses us: HTTP {status}")
        if status != http.HTTPStatus.OK:
            raise ClusterError(f"the cluster at {self.address} answers HTTP {status}: {_sentence(answer)}")
        try:
            return json.loads(answer)
        except ValueError as error:
            raise ClusterError(
                f"{self.address} does not answer as Ray's Jobs API does",
                hint="the address is that of the dashboard, such as http://127.0.0.1:8265",
            ) from error

    def _request(self, method: str, path: str, data: bytes | None = None) -> tuple[int, bytes]:
        headers = {"User-Agent": f"raybundle/{__version__}", "Content-Type": "application/json"}
        if path.startswith("/api/packages/"):
            headers["Content-Type"] = "application/octet-stream"
        reused = self._connection is not None
        try:
            return self._send(method, path, data, headers)
        except (http.client.HTTPException, OSError) as error:
            self.close()
            # A kept connection may have been closed while it was idle; GET may be sent twice without harm.
            if reused and method == "GET":
                return self._request(method, path, data)
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise ClusterError(
                f"cannot reach the cluster at {self.address}: {reason}",
                hint="is the address that of the dashboard, and is the cluster up?",
            ) from error

    def _send(
        self, method: str, path: str, data: bytes | None, headers: Mapping[str, str]
    ) -> tuple[int, bytes]:
        if self._connection is None:
            self._connection = _connect(self.address, self._timeout)
        prefix = urlsplit(self.address).path.rstrip("/")
        self._connection.request(method, prefix + path, data, dict(headers))
        response = self._connection.getresponse()
        return response.status, response.read()

    def close(self) -> None:
        """Closes the connection; the next request opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def parse_address(address: str) -> str:
    """Returns `address` as the URL of a dashboard, without a slash at its end.

    Raises:
        UsageError: it is no http(s) URL and no `host:port`.
    """
    url = address if "://" in address else f"http://{address}"
    parts = urlsplit(url)
    try:
        valid = parts.scheme in ("http", "https") and parts.hostname and (parts.port or True)
    except ValueError:
        valid = False
    if not valid:
        raise UsageError(
            f"the address {address!r} is not that of a Ray dashboard",
            hint="use its URL, such as http://127.0.0.1:8265; `ray://` and `auto` do not name one",
        )
    return url.rstrip("/")


def _connect(address: str, timeout: float) -> http.client.HTTPConnection:
    parts = urlsplit(address)
    host = parts.hostname or ""
    if parts.scheme == "https":
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(host, parts.port, timeout=timeout, context=context)
    return http.client.HTTPConnection(host, parts.port, timeout=timeout)


def _job_info(document: Mapping[str, Any]) -> JobInfo:
    return JobInfo(
        submission_id=document["submission_id"],
        status=document["status"],
        entrypoint=document.get("entrypoint") or "",
        message=document.get("message") or "",
        driver_exit_code=document.get("driver_exit_code"),
        error_type=document.get("error_type"),
        start_time=document.get("start_time"),
        end_time=document.get("end_time"),
        metadata=document.get("metadata") or {},
        node=document.get("driver_agent_http_address"),
    )


def _sentence(answer: bytes) -> str:
    """Returns the last line of an error answer: Ray answers with a Python traceback."""
    lines = [line.strip() for line in answer.decode("utf-8", "replace").splitlines() if line.strip()]
    return lines[-1][:500] if lines else "no reason given"
