"""The record of the embedded cluster, and the private directory that has it."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from raybundle.cluster.embedded.processes import Process
from raybundle.directories import make_private, user_directory


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


def state_path(name: str = "") -> Path:
    """Returns the path of a file in the private directory of the cluster's record, token and logs."""
    base = user_directory(os.environ, "XDG_STATE_HOME", ".local/state")
    return Path(os.environ.get("RAYBUNDLE_LOCAL_STATE") or base / "raybundle" / "local").absolute() / name


def state_directory() -> Path:
    """Returns that directory; makes it if necessary."""
    return make_private(state_path())


def record_file() -> Path:
    """Returns the file of the record."""
    return state_path("cluster.json")


def read_record() -> LocalCluster | None:
    """Returns the recorded cluster; None if there is none, or the record is damaged."""
    try:
        data = json.loads(record_file().read_text(encoding="utf-8"))
        processes = tuple(Process(**process) for process in data.pop("processes"))
        return LocalCluster(**data, processes=processes)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def write_record(cluster: LocalCluster) -> None:
    """Replaces the record."""
    young = record_file().with_suffix(".new")
    young.write_text(json.dumps(asdict(cluster)), encoding="utf-8")
    young.replace(record_file())
