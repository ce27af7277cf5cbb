"""Starts Ray on this machine, records it, and ends exactly the processes that it started."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import random
import socket
import subprocess
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from raybundle.cluster.access import make_access
from raybundle.cluster.embedded.interpreter import find_ray, ray_environment
from raybundle.cluster.embedded.processes import end_family, find_family, find_process
from raybundle.cluster.embedded.record import (
    LocalCluster,
    read_record,
    record_file,
    state_directory,
    write_record,
)
from raybundle.cluster.embedded.temporary import make_temp_dir, remove_temp_dir
from raybundle.cluster.embedded.token import make_token, remove_token, token_for
from raybundle.directories import open_lock
from raybundle.errors import UNREADABLE, ClusterError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from raybundle.cluster.embedded.interpreter import RayInterpreter

START_TIMEOUT = 180.0
"""Seconds until jobs can start: 13 to 16 on two busy cores, over 60 at a load of 30."""

POLL_INTERVAL = 0.05
"""Seconds between two looks."""

HEALTH_TIMEOUT = 5.0
"""Seconds that a cluster with living processes gets to answer."""

GAVE_UP = "The current node timed out during startup"
"""Ray says this if its raylet is not up after 30 s, on a busy machine (ray/_private/node.py; no setting)."""

LOG_TAIL = 15
"""Lines of Ray's output that an error shows."""

PORTS = range(20_000, 32_000)
"""Below the ports that Linux gives to outgoing connections, which could take one before its use."""

PORT_ARGUMENTS = ("--port", "--dashboard-port", "--dashboard-agent-listen-port", "--ray-client-server-port")
"""The ports with a fixed default in Ray, on which two clusters would clash."""


@dataclass(frozen=True, slots=True)
class LocalOptions:
    """Resources of the cluster; None leaves them to Ray."""

    num_cpus: int | None = None
    object_store_memory: int | None = None
    """Bytes."""


def up(python: str, options: LocalOptions | None = None) -> LocalCluster:
    """Returns the running cluster, or starts one; of parallel callers, only one starts it.

    A running cluster is kept, whatever its interpreter and options: jobs may run on it.

    Args:
        python: path of an interpreter, or a version such as `3.12`.
        options: resources of a new cluster.

    Raises:
        ClusterError: Ray is not installed or does not start.
    """
    if running := status():
        return running
    with _locked():
        if running := status():
            return running
        _remove()
        try:
            return _start_patiently(find_ray(python), options or LocalOptions())
        except BaseException:
            _remove()
            raise


def interpreter(python: str) -> str:
    """Returns the interpreter of the embedded cluster: the running one's, else the choice of `up`.

    Raises:
        ClusterError: neither `python` nor raybundle's own interpreter has Ray.
    """
    cluster = read_record()
    if cluster is not None and find_process(cluster.processes[0].pid) == cluster.processes[0]:
        return cluster.python
    return str(find_ray(python).executable)


def down() -> bool:
    """Ends the processes that `up` started and removes their files; false if none ran."""
    with _locked():
        return _remove()


def status() -> LocalCluster | None:
    """Returns the recorded cluster if its session leader lives and its API answers."""
    cluster = read_record()
    if cluster is None or find_process(cluster.processes[0].pid) != cluster.processes[0]:
        return None
    return cluster if _answers(cluster.address) else None


def require_running() -> LocalCluster:
    """Returns the embedded cluster.

    Raises:
        ClusterError: it is not running.
    """
    if (running := status()) is None:
        raise ClusterError("the embedded cluster is not running", hint="`raybundle local up` starts it")
    return running


@contextlib.contextmanager
def _locked() -> Iterator[None]:
    """Allows one change at a time; the kernel releases the lock when the holder dies."""
    with open_lock(state_directory() / "lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _log() -> Path:
    return state_directory() / "ray.log"


def _remove() -> bool:
    """Ends whatever is left of the recorded cluster, and removes the record."""
    cluster = read_record()
    if cluster is None:
        return False
    ended = end_family(cluster.processes)
    remove_temp_dir(Path(cluster.temp_dir))
    remove_token()
    record_file().unlink()
    return ended > 0


# Start


class _GaveUpError(ClusterError):
    """Ray started, waited for itself, and ended."""


def _start_patiently(interpreter: RayInterpreter, options: LocalOptions) -> LocalCluster:
    """Starts Ray, and starts it again if it gave up although `START_TIMEOUT` has not passed."""
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        with contextlib.suppress(_GaveUpError):
            return _start(interpreter, options)
        _remove()
    return _start(interpreter, options)


def _start(interpreter: RayInterpreter, options: LocalOptions) -> LocalCluster:
    temp_dir = make_temp_dir()
    ports = choose_ports(len(PORT_ARGUMENTS))
    executable = _without_spaces(interpreter, temp_dir)
    command = [str(executable), "-m", "ray.scripts.scripts", "start", *_arguments(temp_dir, ports, options)]
    environ = {**ray_environment(executable), **make_token(interpreter.ray_version)}
    with _held_back(command, environ, temp_dir) as child:
        leader = find_process(child.pid)
        if leader is None:
            raise ClusterError("the embedded cluster ended before it started")
        address = f"http://127.0.0.1:{ports[1]}"
        python = str(interpreter.executable)
        cluster = LocalCluster(address, python, interpreter.ray_version, str(temp_dir), (leader,))
        write_record(cluster)
    _wait_until_ready(cluster, child)
    others = sorted(find_family([leader]) - {leader}, key=lambda process: process.pid)
    cluster = replace(cluster, processes=(leader, *others))
    write_record(cluster)
    return cluster


def _without_spaces(interpreter: RayInterpreter, temp_dir: Path) -> Path:
    """Returns a path of the interpreter without spaces: Ray 2.60 splits it there (LD_PRELOAD, `bash -c`)."""
    executable, prefix = interpreter.executable, interpreter.prefix
    if not any(character.isspace() for character in str(prefix)) or prefix not in executable.parents:
        return executable
    link = temp_dir / "env"
    link.symlink_to(prefix, target_is_directory=True)
    return link / executable.relative_to(prefix)


def choose_ports(count: int) -> list[int]:
    """Returns ports on which nothing listens; holds each until all are found."""
    with contextlib.ExitStack() as held:
        ports: list[int] = []
        for port in random.sample(PORTS, len(PORTS)):
            listener = held.enter_context(socket.socket())
            try:
                listener.bind(("127.0.0.1", port))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                continue
            ports.append(port)
            if len(ports) == count:
                return ports
    raise ClusterError(f"no {count} free ports in {PORTS.start}-{PORTS.stop - 1}")


def _arguments(temp_dir: Path, ports: list[int], options: LocalOptions) -> list[str]:
    arguments = [
        "--head",
        "--block",
        "--disable-usage-stats",
        "--no-monitor",
        f"--temp-dir={temp_dir / 'ray'}",
    ]
    arguments += ["--node-ip-address=127.0.0.1", "--dashboard-host=127.0.0.1"]
    arguments += [f"{name}={port}" for name, port in zip(PORT_ARGUMENTS, ports, strict=True)]
    if options.num_cpus is not None:
        arguments.append(f"--num-cpus={options.num_cpus}")
    if options.object_store_memory is not None:
        arguments.append(f"--object-store-memory={options.object_store_memory}")
    return arguments


@contextlib.contextmanager
def _held_back(command: list[str], environ: dict[str, str], cwd: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Starts a command in its own session, which waits for the end of the block and never runs without it."""
    gate = ["sh", "-c", 'read go && exec "$@" </dev/null', "sh"]
    with _log().open("wb") as log:
        child = subprocess.Popen(
            [*gate, *command],
            env=environ,
            cwd=cwd,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    with child.stdin or contextlib.nullcontext() as gate_pipe:
        yield child
        if gate_pipe:
            gate_pipe.write(b"go\n")


def _wait_until_ready(cluster: LocalCluster, child: subprocess.Popen[bytes]) -> None:
    """Waits for the node: the API answers seconds earlier, and even if the node never starts."""
    deadline = time.monotonic() + START_TIMEOUT
    while not _has_node(cluster.address):
        if child.poll() is not None:
            tail = _log_tail()
            kind = _GaveUpError if GAVE_UP in tail else ClusterError
            raise kind(f"the embedded cluster ended while it started{tail}")
        if time.monotonic() > deadline:
            raise ClusterError(f"the embedded cluster is silent after {START_TIMEOUT:.0f} s{_log_tail()}")
        time.sleep(POLL_INTERVAL)
    child.returncode = 0  # it outlives this process: there is no wait for it, and Popen must not complain


def _log_tail() -> str:
    """Returns a colon and the last lines of Ray's log; empty if it has none."""
    lines = _log().read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return "\n".join([":", *lines[-LOG_TAIL:]]) if lines else ""


def _answers(address: str) -> bool:
    """Returns whether a dashboard is there. It is not sent the token: one that asks for it is there."""
    return _request(address, "/api/version", {})[0] in (200, 401)


def _has_node(address: str) -> bool:
    headers = make_access(address, {**os.environ, **token_for(address)}).headers
    status, body = _request(address, "/nodes?view=summary", headers)
    try:
        nodes = json.loads(body)["data"]["summary"] if status == 200 else ()  # noqa: PLR2004
    except UNREADABLE:
        return False
    return any(node["raylet"].get("state") == "ALIVE" for node in nodes)


def _request(address: str, path: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
    """Returns the status and the body of the dashboard's answer; 0 if there is none."""
    from http.client import HTTPConnection, HTTPException  # noqa: PLC0415 - 10 ms that only this needs

    connection = HTTPConnection(address.removeprefix("http://"), timeout=HEALTH_TIMEOUT)
    try:
        # Ray before 2.52 answers a request without a User-Agent with HTTP 500.
        connection.request("GET", path, headers={"User-Agent": "raybundle", **headers})
        response = connection.getresponse()
        return response.status, response.read()
    except (OSError, HTTPException):
        return 0, b""
    finally:
        connection.close()
