"""The record of the embedded cluster, and the private directory that has it."""

from __future__ import annotations

import json
import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from raybundle.cluster.embedded.processes import Process
from raybundle.directories import make_own, open_lock, read_own, user_directory
from raybundle.errors import UNREADABLE, ClusterError

_ADDRESS = re.compile(r"http://127\.0\.0\.1:[0-9]{1,5}")
_FILES = ("lock", "cluster.json", "cluster.new", "auth_token", "ray.log")
"""Of the private directory. Pipes, devices and links in their place are removed."""
_LARGEST = 1 << 20
"""Bytes of the largest record that is read."""
_TEXTS = ("address", "python", "ray_version", "temp_dir")


@dataclass(frozen=True, slots=True)
class LocalCluster:
    """The embedded cluster, as recorded at its start."""

    address: str
    """`http://127.0.0.1:PORT`, its Jobs API."""
    python: str
    """The interpreter that runs it."""
    ray_version: str
    temp_dir: str
    processes: tuple[Process, ...]
    """The session leader first."""

    @property
    def pids(self) -> tuple[int, ...]:
        """The cluster's processes at its start, the session leader first."""
        return tuple(process.pid for process in self.processes)

    @property
    def ray_address(self) -> str | None:
        """`127.0.0.1:PORT`, for `ray.init`, as Ray itself has noted it; None if it has not."""
        try:
            return Path(self.temp_dir, "ray", "ray_current_cluster").read_text("utf-8").strip() or None
        except OSError:
            return None


def state_path(name: str = "") -> Path:
    """Returns the path of a file in the private directory of the cluster's record, token and logs."""
    base = user_directory(os.environ, "XDG_STATE_HOME", ".local/state")
    return Path(os.environ.get("RAYBUNDLE_LOCAL_STATE") or base / "raybundle" / "local").absolute() / name


def state_directory() -> Path:
    """Returns that directory; makes it if necessary.

    Raises:
        ClusterError: it cannot be made or written.
    """
    directory = state_path()
    try:
        make_own(directory)
        for path in map(directory.joinpath, _FILES):
            if path.is_symlink() or (path.exists() and not path.is_file()):
                path.unlink()
        open_lock(directory / "lock").close()
    except OSError as error:
        raise ClusterError(
            f"the embedded cluster cannot be recorded in {directory}: {error.strerror} ({error.filename})",
            hint="set XDG_STATE_HOME to a directory that can be written and is yours, "
            "or name a cluster with --address",
        ) from error
    return directory


def record_file() -> Path:
    """Returns the file of the record."""
    return state_path("cluster.json")


def read_record() -> LocalCluster | None:
    """Returns the recorded cluster; None if there is none, or the record is damaged: `up` then starts one."""
    try:
        return parse_record(read_own(record_file(), _LARGEST))
    except (OSError, *UNREADABLE):
        return None


def parse_record(data: bytes) -> LocalCluster:
    """Returns the cluster that a record names; keys that this version does not know are ignored.

    Raises:
        ValueError, or another error of `UNREADABLE`: it is damaged.
    """
    document: dict[str, Any] = json.loads(data)
    texts = address, python, version, temp_dir = [document[name] for name in _TEXTS]
    processes = tuple(Process(each["pid"], each["started"]) for each in document["processes"])
    every = [*texts, *(each.started for each in processes)]
    if not (processes and all(isinstance(text, str) and "\0" not in text for text in every)):
        raise ValueError(document)
    if not (_ADDRESS.fullmatch(address) and all(type(each.pid) is int for each in processes)):
        raise ValueError(document)
    return LocalCluster(address, python, version, temp_dir, processes)


def write_record(cluster: LocalCluster) -> None:
    """Replaces the record."""
    young = record_file().with_suffix(".new")
    young.write_text(json.dumps(asdict(cluster)), encoding="utf-8")
    young.replace(record_file())
