"""Several real Ray nodes on one machine, each with its own address, host name, /tmp and view of the disk.

Everything is written to the state directory before it is made, so that `down` finds it whenever `up` dies.
"""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.bed import (
    Bed,
    BedError,
    Node,
    end_processes,
    ip,
    kept_directories,
    plan_bed,
    processes_in,
    remove_link,
)
from tests.support.lacking import lacking

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

REPOSITORY = Path(__file__).resolve().parents[2]
VIEW = Path(__file__).with_name("node_view.py")

NODE_ENV = "/tmp/env"
"""Where nodes see the environment: Ray 2.60 cannot run from a path with a space (LD_PRELOAD, `bash -c`)."""

GCS_PORT, DASHBOARD_PORT = 6379, 8265
"""Ray's defaults; free in every namespace."""

AGENT_PORT = 52365
"""Ray's default HTTP port of the dashboard agent: the only port that two raylets of one host both want."""

RAY_ARGUMENTS = (
    *("--num-cpus", "1"),
    *("--object-store-memory", "100000000"),
    *("--disable-usage-stats", "--block"),
)

LOG_TAIL = 2000
"""Characters of each node's log that an error shows."""

START_TIMEOUT = 90.0
"""Seconds until all nodes are alive; 12 to 15 on two idle cores."""

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def alive_nodes(address: str) -> int:
    """The number of living nodes according to the GCS, through the dashboard; 0 while it does not answer."""
    connection = http.client.HTTPConnection(address, DASHBOARD_PORT, timeout=5)
    try:
        connection.request("GET", "/nodes?view=summary")
        nodes = json.load(connection.getresponse())["data"]["summary"]
    except (OSError, http.client.HTTPException, ValueError, KeyError):
        return 0
    finally:
        connection.close()
    return sum(node["raylet"].get("state") == "ALIVE" for node in nodes)


def require_namespaces() -> None:
    """Skips the test if nodes cannot be made; fails in CI."""
    if os.geteuid() != 0 or not shutil.which("ip") or not shutil.which("nsenter"):
        lacking("three nodes need root, iproute2 and util-linux: nothing about paths on nodes is shown here")


def node_environment() -> Path:
    """Returns the nodes' environment (Ray, boto3, smart_open): RAYBUNDLE_TEST_NODES_ENV or the tests'."""
    return Path(os.environ.get("RAYBUNDLE_TEST_NODES_ENV", sys.prefix))


def compile_once(env: Path) -> None:
    """Compiles a new environment: nodes see it read-only, so each process would compile it again."""
    for ray in env.glob("lib/python3*/site-packages/ray"):
        if not (ray / "__pycache__").exists():
            command = [str(env / "bin" / "python"), "-m", "compileall", "-q", "-j", "0", str(ray.parent)]
            subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)


class Nodes:
    """A head (n0) and workers (n1, n2, …); a context manager that takes them down at its end.

    If something must listen on the bridge first, use two steps: `network()`, then `start_ray(env)`.
    """

    def __init__(
        self,
        count: int = 3,
        *,
        env: Path | None = None,
        hidden: Sequence[Path] = (),
        state: Path | None = None,
    ) -> None:
        """Makes nothing yet. Takes over the bed that `state` has, if there is one."""
        self._temporary = state is None
        self.state = Path(tempfile.mkdtemp(prefix="rb-nodes-")) if state is None else state
        self.state.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._count = count
        self._env = (env or node_environment()).absolute()  # `resolve` would follow a link to another place
        self._hidden = [path.resolve() for path in (Path("/tmp"), REPOSITORY, *hidden)]
        self._children: list[subprocess.Popen[str]] = []

    def __enter__(self) -> Nodes:  # noqa: PYI034 - typing.Self is younger than Python 3.10
        return self

    def __exit__(self, *_: object) -> None:
        self.down()

    # Facts

    @property
    def bed(self) -> Bed:
        try:
            return Bed.parse(self._record.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise BedError(f"no nodes are recorded in {self.state}") from None

    @property
    def names(self) -> list[str]:
        return [node.name for node in self.bed.nodes]

    @property
    def bridge_address(self) -> str:
        """The address on which a server for the nodes should listen."""
        return self.bed.bridge_address

    @property
    def address(self) -> str:
        """The URL of the cluster's Jobs API, reachable from outside the nodes."""
        return f"http://{self.bed.nodes[0].address}:{DASHBOARD_PORT}"

    @property
    def python(self) -> Path:
        """The nodes' interpreter."""
        return Path(NODE_ENV, "bin", "python")

    @property
    def alive(self) -> int:
        """The number of living raylets according to the cluster."""
        return alive_nodes(self.bed.nodes[0].address)

    def node(self, name: str) -> Node:
        for node in self.bed.nodes:
            if node.name == name:
                return node
        raise BedError(f"no node `{name}`; there are {', '.join(self.names)}")

    # Up

    def up(self, env: Mapping[str, str] | None = None) -> str:
        """Makes whatever does not exist yet and returns the address."""
        if not self._record.exists():
            self.network()
        if not any(node.raylets for node in self.bed.nodes):
            self.start_ray(env)
        return self.address

    def network(self) -> str:
        """Makes the nodes without Ray and returns the bridge's address."""
        with self._locked(), self._removed_on_failure():
            if self._record.exists():
                raise BedError(f"{self.state} already holds nodes; take them down first")
            bed = plan_bed(self._count, self._env, self._hidden)
            self._write(bed)
            compile_once(self._env)
            self._make_bridge(bed)
            for node in bed.nodes:
                self._make_node(bed, node)
            self._check_view(bed.nodes[0].name)
        return bed.bridge_address

    def start_ray(self, env: Mapping[str, str] | None = None) -> str:
        """Starts Ray on all nodes with `env` added to their clean environment, and returns the address."""
        with self._locked(), self._removed_on_failure():
            self._write(replace(self.bed, node_env=dict(env or {})))
            for index, name in enumerate(self.names):
                self._start_raylet(name, {name: 100}, head=index == 0)
            self._wait_until_alive(len(self.names))
        return self.address

    @contextlib.contextmanager
    def another_raylet(self, node: str, resources: Mapping[str, float]) -> Iterator[None]:
        """Has one more raylet on a node for a while; it shares host, /tmp and Ray's session directory."""
        with self._locked():
            before = self.alive
            child = self._start_raylet(node, resources, head=False)
            self._wait_until_alive(before + 1)
        try:
            yield
        finally:
            child.terminate()
            child.wait(START_TIMEOUT)
            with self._locked():
                self._children.remove(child)
                self._wait_until_alive(before, exactly=True)

    def start_again(
        self, node: str, resources: Mapping[str, float], env: Mapping[str, str] | None = None
    ) -> None:
        """Starts a raylet on a node whose raylet was killed, even if the cluster has not noticed it yet.

        `env` is added to the environment of this raylet alone.
        """
        with self._locked():
            self._children = [child for child in self._children if child.poll() is None]
            self._start_raylet(node, resources, head=False, env=env)
            self._wait_until_alive(len(self.names))

    # Use

    def command(self, node: str, argv: Sequence[str]) -> list[str]:
        """Returns the command that runs `argv` inside a node, in its /tmp. It needs `environment()`."""
        holder = self.node(node).holder
        if holder is None or holder not in processes_in(self.node(node).namespace):
            raise BedError(f"node {node} is not up")
        enter = ["nsenter", "--target", str(holder), "--mount", "--uts", "--net", "--"]
        return [*enter, "sh", "-c", 'cd /tmp && exec "$@"', "sh", *argv]

    @property
    def environment(self) -> dict[str, str]:
        """Returns the whole environment of a process on a node: no variable of the tests is in it."""
        clean = {
            "PATH": f"{NODE_ENV}/bin:{SYSTEM_PATH}",
            "HOME": "/tmp/home",
            "LANG": "C.UTF-8",
            "RAY_USAGE_STATS_ENABLED": "0",
        }
        return clean | self.bed.node_env

    def run(
        self,
        node: str,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        check: bool = True,
        **options: Any,
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command inside a node. Output is captured as text unless `options` change that."""
        environment = self.environment | dict(env or {})
        options = {"capture_output": True, "text": True} | options
        command = self.command(node, argv)
        done: subprocess.CompletedProcess[str] = subprocess.run(
            command, env=environment, check=False, **options
        )
        if check and done.returncode != 0:
            raise BedError(f"{' '.join(argv)} on {node} ended with {done.returncode}: {done.stderr}")
        return done

    # Down

    def down(self) -> bool:
        """Removes everything in the state, even after a crash; returns whether there was anything."""
        with self._locked():
            removed = self._remove()
        if self._temporary:
            shutil.rmtree(self.state, ignore_errors=True)
        return removed

    def _remove(self) -> bool:
        if not self._record.exists():
            return False
        bed = self.bed
        for node in bed.nodes:
            end_processes(node.namespace)
            remove_link(node.cable)
            if Path("/run/netns", node.namespace).exists():
                ip("netns", "delete", node.namespace)
        remove_link(bed.bridge)
        for child in self._children:
            child.wait()
        for log in self.state.glob("*.log"):
            log.unlink()
        self._record.unlink()
        return True

    # Internals

    @property
    def _record(self) -> Path:
        return self.state / "nodes.json"

    def _write(self, bed: Bed) -> None:
        young = self._record.with_suffix(".new")
        young.write_text(json.dumps(asdict(bed), indent=1), encoding="utf-8")
        young.chmod(0o600)
        young.replace(self._record)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Allows one change at a time. The kernel releases the lock when its process dies."""
        self.state.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(self.state, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    @contextlib.contextmanager
    def _removed_on_failure(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self._remove()
            raise

    @staticmethod
    def _make_bridge(bed: Bed) -> None:
        ip("link", "add", bed.bridge, "type", "bridge")
        ip("address", "add", f"{bed.bridge_address}/24", "dev", bed.bridge)
        ip("link", "set", bed.bridge, "up")

    def _make_node(self, bed: Bed, node: Node) -> None:
        ip("netns", "add", node.namespace)
        ip("link", "add", node.cable, "type", "veth", "peer", "name", "eth0", "netns", node.namespace)
        ip("link", "set", node.cable, "master", bed.bridge, "up")
        inside = ("-netns", node.namespace)
        ip(*inside, "address", "add", f"{node.address}/24", "dev", "eth0")
        ip(*inside, "link", "set", "eth0", "up")
        ip(*inside, "link", "set", "lo", "up")
        self._write(self.bed.with_node(replace(node, holder=self._hold(bed, node))))

    def _hold(self, bed: Bed, node: Node) -> int:
        """Starts the process that makes and keeps the node's view; returns its pid when the view is ready."""
        hosts = ["127.0.0.1 localhost", *(f"{other.address} {other.name}" for other in bed.nodes)]
        view = {
            "hostname": node.name,
            "hosts": "".join(f"{line}\n" for line in hosts),
            "hidden": bed.hidden,
            "kept": kept_directories(Path(bed.env)),
            "env": [bed.env, NODE_ENV],
        }
        python = [f"{bed.env}/bin/python", "-I", str(VIEW), json.dumps(view)]
        unshare = ["unshare", "--mount", "--uts", "--propagation", "private"]
        child = self._start(node, ["ip", "netns", "exec", node.namespace, *unshare, *python], subprocess.PIPE)
        with child.stdout or contextlib.nullcontext() as stdout:
            if stdout is None or stdout.readline() != "ready\n":
                raise BedError(f"the view of {node.name} cannot be made: {self._log_tail()}")
        return child.pid

    def _start(self, node: Node, command: list[str], stdout: int | None = None) -> subprocess.Popen[str]:
        with (self.state / f"{node.name}.log").open("a", encoding="utf-8") as log:
            child = subprocess.Popen(
                command,
                env=self.environment,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log if stdout is None else stdout,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        self._children.append(child)
        return child

    def _check_view(self, node: str) -> None:
        """Refuses an environment with raybundle: tests would pass for the wrong reason."""
        probe = "import importlib.util, sys; sys.exit(importlib.util.find_spec('raybundle') is not None)"
        if self.run(node, [str(self.python), "-I", "-c", probe], check=False).returncode != 0:
            raise BedError(f"with {self.bed.env} the nodes could import raybundle, or nothing at all")

    def _start_raylet(
        self, name: str, resources: Mapping[str, float], *, head: bool, env: Mapping[str, str] | None = None
    ) -> subprocess.Popen[str]:
        node = self.node(name)
        self._write(self.bed.with_node(replace(node, raylets=node.raylets + 1)))
        arguments = [*self._joining(node, head=head), *RAY_ARGUMENTS, "--resources", json.dumps(resources)]
        more = ["env", *(f"{key}={value}" for key, value in env.items())] if env else []
        ray = [*more, str(self.python), f"{NODE_ENV}/bin/ray"]
        return self._start(node, self.command(name, [*ray, "start", *arguments]))

    def _joining(self, node: Node, *, head: bool) -> list[str]:
        """Returns the arguments of `ray start` that differ between raylets."""
        here = ["--node-ip-address", node.address]
        if head:
            return ["--head", *here, "--port", str(GCS_PORT), "--dashboard-host", node.address]
        agent = ["--dashboard-agent-listen-port", str(AGENT_PORT + node.raylets)]
        return ["--address", f"{self.bed.nodes[0].address}:{GCS_PORT}", *here, *agent]

    def _wait_until_alive(self, count: int, *, exactly: bool = False) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        while (alive := self.alive) < count or (exactly and alive > count):
            for child in self._children:
                if child.poll() is not None:
                    raise BedError(f"Ray ended with {child.returncode}:\n{self._log_tail()}")
            if time.monotonic() > deadline:
                raise BedError(f"{alive} of {count} nodes after {START_TIMEOUT} s:\n{self._log_tail()}")
            time.sleep(0.2)

    def _log_tail(self) -> str:
        logs = sorted(self.state.glob("*.log"))
        return "\n".join(f"{log.stem}: {log.read_text(errors='replace')[-LOG_TAIL:]}" for log in logs)
