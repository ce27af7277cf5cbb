"""Runs a job; times the driver's first line, which is there before anything is imported, and its imports."""

from __future__ import annotations

import json
import secrets
import shlex
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from raybundle.cluster.jobs import JobInfo, JobsClient

JOB_SECONDS = 600.0
"""After this long a job counts as hanging; a package index may be slow."""

EMPTY = """
import json, time

print(json.dumps({"first": time.time()}), flush=True)
"""
IMPORTING = f"""{EMPTY}

def importing():
    begin = time.perf_counter()
    import pandas
    import sklearn
    from sklearn.linear_model import LogisticRegression
    return {{"import": time.perf_counter() - begin, "from": pandas.__file__}}


print(json.dumps(importing()), flush=True)
"""


@dataclass(frozen=True, slots=True)
class Job:
    """What the Jobs API takes."""

    runtime_env: Mapping[str, Any]
    entrypoint: str


@dataclass(frozen=True, slots=True)
class Ran:
    """Seconds from the accepted submission to the driver's first line, and of its imports."""

    first: float
    imports: float = 0.0


def plain(source: str, **runtime_env: Any) -> Job:
    """Returns a job of plain Ray."""
    return Job(runtime_env, f"python -c {shlex.quote(source)}")


def run(client: JobsClient, job: Job) -> Ran:
    """Returns how long a job took that must succeed."""
    identifier = f"bench-{secrets.token_hex(6)}"
    client.submit(identifier, {"entrypoint": job.entrypoint, "runtime_env": dict(job.runtime_env)})
    return ran(client, identifier)


def ran(client: JobsClient, identifier: str) -> Ran:
    """Returns how long an accepted job took that must succeed; the cluster has the same clock as we."""
    info = wait(client, identifier)
    said: dict[str, Any] = {}
    for line in client.logs(identifier).splitlines():
        if line.startswith("{"):
            said.update(json.loads(line))
    return Ran(said["first"] - (info.start_time or 0) / 1000, said.get("import", 0.0))


def wait(client: JobsClient, identifier: str) -> JobInfo:
    deadline = time.monotonic() + JOB_SECONDS
    while not (info := client.info(identifier)).ended and time.monotonic() < deadline:
        time.sleep(0.2)
    if info.status != "SUCCEEDED":
        log = client.logs(identifier)
        raise SystemExit(f"job {identifier}: {info.status}: {info.message}\n{log}")
    return info
