"""A scripted dashboard, for faults that a real one shows once in a thousand runs."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from raybundle.cluster.jobs import MAXIMUM_UPLOAD

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    Fault = Callable[["Exchange"], bool]
    """Answers a request and returns True, or returns False to leave it to the next fault."""


class Exchange(BaseHTTPRequestHandler):
    """One request and its answer."""

    protocol_version = "HTTP/1.1"
    dashboard: FakeDashboard
    body: bytes

    def log_message(self, *_arguments: Any) -> None:
        pass

    def answer(self, status: int, body: Any, **headers: str) -> bool:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)
        return True

    def handle_request(self) -> None:
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.dashboard.requests.append((self.command, self.path, dict(self.headers)))
        if not any(fault(self) for fault in self.dashboard.faults):
            self.dashboard.serve(self)

    do_GET = do_POST = do_PUT = do_DELETE = handle_request  # noqa: N815 - http.server's names


class FakeDashboard:
    """Ray's Jobs API for jobs in memory; a context manager. A submitted job runs until a test changes it."""

    def __init__(self) -> None:
        handler = type("Handler", (Exchange,), {"dashboard": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]
        self._thread = threading.Thread(target=self._server.serve_forever, name="dashboard")
        self.jobs: dict[str, dict[str, Any]] = {}
        self.log = b""
        self.faults: list[Fault] = []
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.packages: dict[str, bytes] = {}
        self.submitted: list[dict[str, Any]] = []
        self.stops = True
        """Whether a job stops when it is asked to."""

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> FakeDashboard:  # noqa: PYI034 - typing.Self is younger than Python 3.10
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def add(self, name: str, status: str = "RUNNING", **more: Any) -> None:
        times = {"start_time": int(time.time() * 1000), "end_time": None}
        node = {"driver_agent_http_address": "http://127.0.0.1:1", "driver_node_id": "ab"}
        self.jobs[name] = {"submission_id": name, "status": status, "metadata": {}, **times, **node, **more}

    def asked(self, method: str, path: str) -> int:
        return sum((method, path) == request[:2] for request in self.requests)

    def serve(self, exchange: Exchange) -> bool:
        parts = exchange.path.partition("?")[0].split("/")[2:]
        match exchange.command, parts:
            case "GET", ["v0", "logs", "file"]:
                return exchange.answer(200, self.log)
            case "GET", ["version"]:
                return exchange.answer(200, {"ray_version": "2.60.0", "session_name": "session_1"})
            case "GET", ["packages", "gcs", name]:
                return exchange.answer(200 if name in self.packages else 404, b"")
            case "PUT", ["packages", "gcs", name] if len(exchange.body) < MAXIMUM_UPLOAD:
                self.packages[name] = exchange.body
                return exchange.answer(200, b"")
            case "PUT", ["packages", *_]:
                return exchange.answer(413, b"413: Request Entity Too Large")
            case "POST", ["jobs", ""]:
                job = json.loads(exchange.body)
                self.submitted.append(job)
                known = {"entrypoint": job["entrypoint"], "metadata": job.get("metadata") or {}}
                self.add(job["submission_id"], **known)
                return exchange.answer(200, {"submission_id": job["submission_id"]})
            case _, ["jobs", name, *rest] if name in self.jobs:
                return self._serve_job(exchange, name, rest)
            case _, ["jobs", name, *_]:
                return exchange.answer(404, f"Job {name} does not exist".encode())
        return exchange.answer(404, b"404: Not Found")

    def _serve_job(self, exchange: Exchange, name: str, rest: list[str]) -> bool:
        match exchange.command, rest:
            case "POST", ["stop"]:
                if self.stops:
                    self.jobs[name]["status"] = "STOPPED"
                return exchange.answer(200, {"stopped": True})
            case "GET", ["logs"]:
                return exchange.answer(200, {"logs": self.log.decode()})
            case "GET", []:
                return exchange.answer(200, self.jobs[name])
            case "DELETE", []:
                del self.jobs[name]
                return exchange.answer(200, {"deleted": True})
        return exchange.answer(404, b"404: Not Found")
