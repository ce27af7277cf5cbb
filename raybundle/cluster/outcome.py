"""What a final status means: the error, and so the exit code, of a job that did not succeed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from raybundle.cluster.runtime_env import NOT_BOOTED, READY_HOOK
from raybundle.errors import JobError, JobFailedError, JobStartError, JobStoppedError

if TYPE_CHECKING:
    from raybundle.cluster.jobs import JobInfo

BOOT_FAILED = re.compile(r"raybundle: boot failed: .*")
"""The one line by which the boot names bundle, node, file, expected and found."""
_NO_BOOT = re.compile(rf"^\S*sh: .*RAYBUNDLE_PYTHON: {NOT_BOOTED}$", re.MULTILINE)
_NO_HOOK = re.compile(rf"Worker IP address: (\S+) [^\n]*setup hook method, {re.escape(READY_HOOK)} ")
"""How the driver's log names a worker that did not find the hook; Ray tries its task again, then fails."""
_WORKER_DIED = re.compile(
    r"^ray\.exceptions\.(WorkerCrashedError|ActorDiedError|OwnerDiedError)", re.MULTILINE
)
START_ERRORS = frozenset(
    {
        "RUNTIME_ENV_SETUP_FAILURE",
        "JOB_SUPERVISOR_ACTOR_START_TIMEOUT",
        "JOB_SUPERVISOR_ACTOR_START_FAILURE",
        "JOB_SUPERVISOR_ACTOR_UNSCHEDULABLE",
        "JOB_ENTRYPOINT_COMMAND_START_ERROR",
    }
)
"""Values of `ray.dashboard.modules.job.common.JobErrorType` by which a driver never ran."""
_ENVIRONMENT_ERROR = "ray.exceptions.RuntimeEnvSetupError"
"""What a driver raises when a worker's node cannot unpack the archive."""


def job_error(info: JobInfo, log_end: str = "") -> JobError | None:
    """Returns why a job that ended did not succeed; None if it did.

    Args:
        info: what the cluster says of it.
        log_end: the end of its driver's log.
    """
    match info.status:
        case "SUCCEEDED":
            return None
        case "STOPPED":
            return JobStoppedError(f"job {info.submission_id} was stopped")
        case _:
            return _failure(info, log_end)


def _failure(info: JobInfo, log_end: str) -> JobError:
    line = boot_line(info, log_end)
    if line is not None:
        return JobStartError(line)
    if could_not_start(info):
        return JobStartError(f"job {info.submission_id} could not start: {_summary(info.message)}")
    code = info.driver_exit_code
    how = f"its driver ended with exit code {code}" if code is not None else _summary(info.message)
    return JobFailedError(f"job {info.submission_id} failed: {how}")


def boot_line(info: JobInfo, log_end: str = "") -> str | None:
    """Returns the one line by which a failed boot says what is wrong; None if the boot did not fail."""
    found = BOOT_FAILED.search(info.message)
    if found is not None:
        return found.group().strip()
    node = _unbooted_node(info, log_end)
    return node and (
        f"raybundle: boot failed: bundle {info.metadata.get('raybundle')}: node {node}: "
        "file sitecustomize.py: expected the boot, found another or none"
    )


def _unbooted_node(info: JobInfo, log_end: str) -> str | None:
    """Returns the address of a node on which the supervisor or a worker has not been through the boot."""
    if _NO_BOOT.search(info.message):
        return urlsplit(info.node or "").hostname or "unknown"
    worker = _NO_HOOK.search(log_end) if _WORKER_DIED.search(log_end) else None
    return worker.group(1) if worker else None


def could_not_start(info: JobInfo) -> bool:
    """Whether a failed job never ran its driver, or a worker's node could not set up the bundle."""
    return info.error_type in START_ERRORS or _ENVIRONMENT_ERROR in info.message


def _summary(message: str) -> str:
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    return " ".join(lines[-3:])[:1000] if lines else "no reason given"
