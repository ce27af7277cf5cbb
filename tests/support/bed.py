"""The parts of a bed of nodes, and the calls to the kernel: names, addresses, namespaces, processes.

Standard library only: `scripts/cluster` runs it on a machine without other packages.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import random
import secrets
import subprocess
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from signal import SIGKILL
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

END_TIMEOUT = 15.0
"""Seconds until the kernel has ended the killed processes of one node."""


class BedError(Exception):
    """The nodes cannot be made or have died."""


@dataclass(frozen=True, slots=True)
class Node:
    """One node: a network namespace, the bridge's end of its cable, and the process that holds its mounts."""

    name: str
    address: str
    namespace: str
    cable: str
    holder: int | None = None
    raylets: int = 0


@dataclass(frozen=True, slots=True)
class Bed:
    """Everything that `down` has to remove; the state directory has it as JSON."""

    bridge: str
    bridge_address: str
    env: str
    hidden: tuple[str, ...]
    nodes: tuple[Node, ...]
    node_env: dict[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> Bed:
        data = json.loads(text)
        nodes = tuple(Node(**node) for node in data.pop("nodes"))
        return cls(nodes=nodes, hidden=tuple(data.pop("hidden")), **data)

    def with_node(self, changed: Node) -> Bed:
        nodes = tuple(changed if node.name == changed.name else node for node in self.nodes)
        return replace(self, nodes=nodes)


def plan_bed(count: int, env: Path, hidden: Sequence[Path]) -> Bed:
    """Returns names and addresses that nothing on this machine uses. Makes nothing."""
    name = f"rb{secrets.token_hex(4)}"
    bridge_address, *addresses = (str(address) for address in list(free_subnet().hosts())[: count + 1])
    nodes = tuple(
        Node(f"n{index}", address, f"{name}-n{index}", f"{name}v{index}")
        for index, address in enumerate(addresses)
    )
    return Bed(name, bridge_address, str(env), tuple(str(path) for path in hidden), nodes)


def free_subnet() -> ipaddress.IPv4Network:
    """Returns a /24 in 10.0.0.0/8 that overlaps with no route of this machine."""
    routes = json.loads(ip("-json", "-4", "route", "show", "table", "all"))
    used = [ipaddress.ip_network(route["dst"], strict=False) for route in routes if route["dst"] != "default"]
    while True:
        subnet = ipaddress.IPv4Network((0x0A000000 | random.randrange(1 << 16) << 8, 24))  # noqa: S311
        if not any(subnet.overlaps(network) for network in used if network.version == 4):
            return subnet


def ip(*arguments: str) -> str:
    """Runs iproute2's `ip` and returns its output."""
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BedError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


def remove_link(name: str) -> None:
    """Removes a link if it exists. The kernel removes the links of a dead namespace at some later time."""
    link = Path("/sys/class/net", name)
    try:
        if link.exists():
            ip("link", "delete", name)
    except BedError:
        if link.exists():
            raise


def kept_directories(env: Path) -> list[str]:
    """Returns the environment and each directory on the way from `bin/python` to its base interpreter."""
    kept = {env, env.resolve()}
    link = env / "bin" / "python"
    while link.is_symlink():
        link = Path(os.path.normpath(link.parent / link.readlink()))
        kept.add(link.parent.parent)
    kept.add(link.resolve().parent.parent)
    return sorted(str(path) for path in kept)


def processes_in(namespace: str) -> list[int]:
    """Returns the processes of a network namespace. `ip netns pids` fails if any process ends meanwhile."""
    try:
        wanted = Path("/run/netns", namespace).stat().st_ino
    except FileNotFoundError:
        return []
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and (entry / "ns" / "net").stat().st_ino == wanted:
                found.append(int(entry.name))
    return found


def end_processes(namespace: str) -> None:
    deadline = time.monotonic() + END_TIMEOUT
    while pids := processes_in(namespace):
        if time.monotonic() > deadline:
            raise BedError(f"processes {pids} of {namespace} do not end")
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, SIGKILL)
        time.sleep(0.02)
