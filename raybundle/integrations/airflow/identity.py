"""The id of the job of a task: a retry and a resumed task have the same, another run has another."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from raybundle.cluster.jobs import JobInfo, JobsClient

LONGEST = 120
"""Characters of the id before its hash: a number may follow, and an id has at most 200."""


def base_id(context: Mapping[str, Any]) -> str:
    """Returns the id of the first job of a task of a DAG run.

    `max_tries` is part of it. Airflow keeps that number while it retries a task, and raises it each time
    someone clears the task. The start of the DAG run tells apart two installations of Airflow that run the
    same DAG on one cluster.

    Args:
        context: of the running task.
    """
    ti, run = context["ti"], context["dag_run"]
    mapped = [] if ti.map_index is None or ti.map_index < 0 else [str(ti.map_index)]
    words = [ti.dag_id, ti.run_id, ti.task_id, *mapped]
    exact = [*words, str(ti.max_tries), str(getattr(run, "start_date", None))]
    readable = re.sub(r"[^A-Za-z0-9._]+", "-", "-".join(words)).strip("-._")[:LONGEST]
    digest = hashlib.sha256("\0".join(exact).encode("utf-8", "surrogateescape")).hexdigest()
    return f"airflow-{readable}-{digest[:12]}"


def numbered(base: str, number: int) -> str:
    """Returns the id of the next job of a task whose job has failed or was stopped."""
    return base if number == 1 else f"{base}-{number}"


def find_job(client: JobsClient, base: str, number: int = 1) -> tuple[int, JobInfo | None]:
    """Returns the number of the job that a task follows or submits, and the job if the cluster has it.

    A job that runs, waits or has succeeded is followed: another try of the task submitted it. After one that
    failed or was stopped comes the next.

    Args:
        client: of the cluster.
        base: of the task.
        number: of the first job to consider.
    """
    while True:
        found = client.find(numbered(base, number))
        if found is None or not found.ended or found.status == "SUCCEEDED":
            return number, found
        number += 1
