"""A Ray head on loopback, of any Ray release, for a test. It is ended through its recorded processes."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from raybundle.cluster.embedded.cluster import PORT_ARGUMENTS, choose_ports
from raybundle.cluster.embedded.interpreter import RAY_ENVIRONMENT
from raybundle.cluster.embedded.processes import Process, end_family, find_family, find_process
from tests.support.workplace import CLEARED

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

START_TIMEOUT = 120.0
"""Seconds until jobs can start; 10 to 20 on two busy cores."""

TRIES = 3
"""Attempts to start Ray: 2.49 gives up on its dashboard after 20 s, even on a busy machine."""

NO_DASHBOARD = "Failed to start the dashboard"
"""Ray's log message in that case. It goes on without a dashboard (ray/_private/services.py)."""

POLL_INTERVAL = 0.1
"""Seconds between two checks whether it is ready."""

LOG_TAIL = 3000
"""Characters of Ray's output that an error shows."""

HEADERS = {"User-Agent": "raybundle-tests"}
"""Ray 2.49 answers 500 to a request without this header (`is_browser_request` in ray/dashboard)."""

THIS_PYTHON = Path(sys.executable)
NOTHING: Mapping[str, str] = MappingProxyType({})


class RayHeadError(Exception):
    """Ray does not start."""


@dataclass(frozen=True, slots=True)
class RayHead:
    """A running head, its dashboard and its agent."""

    address: str
    """`http://127.0.0.1:PORT`, its Jobs API."""
    temp_dir: Path
    """Ray's temporary directory. Logs are in `session_latest/logs`."""
    version: str
    """Ray's version according to the server."""
    processes: tuple[Process, ...]
    """The processes at the time it was ready, the leader first."""
    client: str
    """`ray://127.0.0.1:PORT`, for Ray Client."""

    @property
    def pids(self) -> tuple[int, ...]:
        """The pids of the processes at the time it was ready, the leader first."""
        return tuple(process.pid for process in self.processes)

    def kill(self) -> None:
        """Kills everything at once, drivers and workers too, like a power failure."""
        _kill(set(self.processes))


@contextlib.contextmanager
def ray_head(
    python: Path = THIS_PYTHON, env: Mapping[str, str] = NOTHING, num_cpus: int = 2
) -> Iterator[RayHead]:
    """Runs a head until the block ends, and leaves nothing behind.

    Args:
        python: an interpreter with `ray[default]`; also a job's `python`.
        env: added to an environment without the tests' variables for Ray. A token in it is used for requests.
        num_cpus: of the head.
    """
    with contextlib.ExitStack() as running:
        yield _enter(running, python, env, num_cpus)


def _enter(running: contextlib.ExitStack, python: Path, env: Mapping[str, str], num_cpus: int) -> RayHead:
    for _ in range(TRIES - 1):
        with contextlib.suppress(RayHeadError):
            return running.enter_context(_one_head(python, env, num_cpus))
    return running.enter_context(_one_head(python, env, num_cpus))


@contextlib.contextmanager
def _one_head(python: Path, env: Mapping[str, str], num_cpus: int) -> Iterator[RayHead]:
    directory = Path(tempfile.mkdtemp(prefix="rb-", dir="/tmp"))  # a path of a socket has at most 107 bytes
    python = _without_spaces(python, directory)
    ports = choose_ports(len(PORT_ARGUMENTS))
    child = _start(
        _command(python, directory, ports, num_cpus), _environment(python, env, directory), directory
    )
    leader = find_process(child.pid)
    known = {leader} if leader else set()
    try:
        version = _wait_until_ready(child, ports[1], env.get("RAY_AUTH_TOKEN"), directory)
        others = sorted(find_family(known) - known, key=lambda process: process.pid)
        known.update(others)
        processes = (*filter(None, [leader]), *others)
        client = f"ray://127.0.0.1:{ports[PORT_ARGUMENTS.index('--ray-client-server-port')]}"
        yield RayHead(f"http://127.0.0.1:{ports[1]}", directory / "ray", version, processes, client)
    finally:
        _kill(known)
        child.wait()
        shutil.rmtree(directory, ignore_errors=True)


def _kill(family: set[Process]) -> None:
    """Kills a family of processes and its descendants. May be called again."""
    for number in (signal.SIGSTOP, signal.SIGKILL):  # stopped first, so that none reacts to another's end
        living = find_family(family)  # the pid of an ended process may belong to another process by now
        family = family | living
        for process in living:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, number)
    end_family(family)  # waits


def _without_spaces(python: Path, directory: Path) -> Path:
    """Returns a path of the interpreter without spaces: Ray starts its processes through a shell."""
    if " " not in str(python):
        return python
    (directory / "env").symlink_to(python.parent.parent, target_is_directory=True)
    return directory / "env" / "bin" / python.name


def _command(python: Path, directory: Path, ports: list[int], num_cpus: int) -> list[str]:
    ray = [str(python), "-m", "ray.scripts.scripts", "start", "--head", "--block", "--disable-usage-stats"]
    here = ["--node-ip-address=127.0.0.1", "--dashboard-host=127.0.0.1", f"--temp-dir={directory / 'ray'}"]
    offers = [f"--num-cpus={num_cpus}", "--object-store-memory=100000000"]
    return [
        *ray,
        *here,
        *offers,
        *(f"{name}={port}" for name, port in zip(PORT_ARGUMENTS, ports, strict=True)),
    ]


def _environment(python: Path, env: Mapping[str, str], directory: Path) -> dict[str, str]:
    """Returns the tests' environment without what affects Ray, such as a home with a token file."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(CLEARED)}
    path = os.pathsep.join([str(python.parent), kept.get("PATH", os.defpath)])
    home = directory / "home"
    home.mkdir()
    return {**kept, "HOME": str(home), "PATH": path, **RAY_ENVIRONMENT, **env}


def _start(command: list[str], environment: Mapping[str, str], directory: Path) -> subprocess.Popen[bytes]:
    with (directory / "log").open("wb") as log:
        return subprocess.Popen(
            command,
            env=environment,
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _wait_until_ready(child: subprocess.Popen[bytes], port: int, token: str | None, directory: Path) -> str:
    """Waits for the node, because the API answers seconds earlier, and returns Ray's version."""
    deadline = time.monotonic() + START_TIMEOUT
    while not _has_node(_get(port, "/nodes?view=summary", token)):
        if child.poll() is not None:
            raise RayHeadError(f"Ray ended with {child.returncode}:\n{_log_tail(directory)}")
        if NO_DASHBOARD in (directory / "log").read_text(encoding="utf-8", errors="replace"):
            raise RayHeadError(f"Ray gave up its dashboard:\n{_log_tail(directory)}")
        if time.monotonic() > deadline:
            raise RayHeadError(f"no node after {START_TIMEOUT:.0f} s:\n{_log_tail(directory)}")
        time.sleep(POLL_INTERVAL)
    return str(_get(port, "/api/version", token)["ray_version"])


def _has_node(answer: Any) -> bool:
    nodes = answer["data"]["summary"] if answer else []
    return any(node["raylet"].get("state") == "ALIVE" for node in nodes)


def _log_tail(directory: Path) -> str:
    return (directory / "log").read_text(encoding="utf-8", errors="replace")[-LOG_TAIL:]


def _get(port: int, path: str, token: str | None) -> Any:
    """Returns the dashboard's JSON answer; None while it does not answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request(
            "GET", path, headers=HEADERS | ({"Authorization": f"Bearer {token}"} if token else {})
        )
        response = connection.getresponse()
        return json.load(response) if response.status == 200 else None
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()
