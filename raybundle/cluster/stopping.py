"""Stops a job and waits for its end; withdraws a job that has not started."""

from __future__ import annotations

import contextlib
import json
import secrets
import shlex
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from raybundle.cluster.pending import SUPERVISOR
from raybundle.cluster.runtime_env import HOOK, SECRETS
from raybundle.errors import ClusterError, JobError, JobLostError
from raybundle.outage import Outage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from raybundle.cluster.access import Access
    from raybundle.cluster.jobs import JobInfo, JobsClient
    from raybundle.planning import Listener

ON_ITS_WAY = 3.5
"""Seconds that a submission may take if an interrupt comes while it is sent."""
STOP_TIMEOUT = 30.0
"""Seconds that a job gets to stop; Ray kills its driver after 3."""
STOP_DELAY = 0.2
"""Seconds between two looks at a job that is stopping."""
WITHDRAW_AFTER = 3.0
"""Seconds that a job may stay PENDING after the request to stop."""
SEEN_AFTER = 2.2
"""Seconds after the end of a job until Ray has noticed it."""
RECENT = 10.0
"""Seconds since the end of a job for which `delete_for_good` waits; clocks of machines differ."""
FORGOTTEN = 600.0
"""Seconds after the end of a job that asked nodes from which nobody reads its answer any more."""
NAMESPACE = "SUPERVISOR_ACTOR_RAY_NAMESPACE"
"""Ray namespace of the supervisors; ray/dashboard/modules/job/common.py."""
KILL = "import ray; ray.init(namespace={!r}, log_to_driver=False); ray.kill(ray.get_actor({!r}))"

_REMOVE = """\
import json, sys

sys.path.append(sys.argv[1])
from raybundle.cluster.access import Access
from raybundle.cluster.stopping import remove_probe

access, submission_id, leaves = json.load(sys.stdin)
remove_probe(Access(**access), submission_id, leaves)
"""
"""What the process runs that removes a job for another one that has ended."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds after which a job is stopped: without an end, and without a start of its driver."""

    end: float | None = None
    start: float | None = None


def ask_to_stop(client: JobsClient, submission_id: str) -> bool:
    """Asks the cluster to stop a job that may be on its way; returns whether it knows the job."""
    outage = Outage(0.5, 0.5, patience=ON_ITS_WAY)
    while True:
        with contextlib.suppress(JobLostError):
            client.stop(submission_id)
            return True
        if not outage.wait():
            return False


def stop_and_wait(client: JobsClient, submission_id: str) -> JobInfo:
    """Asks the cluster to stop a job; returns the job when it has ended, or after STOP_TIMEOUT."""
    client.stop(submission_id)
    return wait_until_stopped(client, submission_id)


def wait_until_stopped(client: JobsClient, submission_id: str) -> JobInfo:
    """Returns a stopping job when it has ended, or after STOP_TIMEOUT."""
    begin = time.monotonic()
    withdrawn = False
    while True:
        info = client.info(submission_id)
        passed = time.monotonic() - begin
        if info.ended or passed > STOP_TIMEOUT:
            return info
        if info.status == "PENDING" and passed > WITHDRAW_AFTER and not withdrawn:
            withdrawn = True
            _withdraw(client, submission_id)
        time.sleep(STOP_DELAY)


def stop_interrupted(
    client: JobsClient, submission_id: str, listener: Listener, leave: str
) -> JobInfo | None:
    """Stops a job whose user has left, and says how it ended; returns it as it is then, if that is known.

    The job is stopped before anything is written: a blocked terminal must not keep it running.

    Args:
        client: of the cluster.
        submission_id: of a job that may be on its way.
        listener: hears what is done.
        leave: what it hears first.
    """
    try:
        known = ask_to_stop(client, submission_id)
        listener.note(leave)
        if not known:
            listener.warn(
                f"the cluster does not know job {submission_id}; a submission on its way may still start"
            )
            return None
        listener.note(f"stopping job {submission_id}; a second interrupt leaves at once")
        info = wait_until_stopped(client, submission_id)
    except (ClusterError, JobLostError) as error:
        listener.warn(f"cannot stop job {submission_id}: {error}")
        return None
    if info.ended:
        listener.note(f"job {submission_id} is {info.status}")
    else:
        listener.warn(f"job {submission_id} was asked to stop and is {info.status}")
    return info


def _withdraw(client: JobsClient, submission_id: str) -> None:
    """Ends the supervisor of a job that waits for a node.

    The Jobs API stops a job by a message to its supervisor, which reads it only when it has a node. Until
    then the job would stay, and start later. So a second job, without resources, ends the supervisor.
    """
    name = f"{submission_id}-withdraw-{secrets.token_hex(4)}"
    code = KILL.format(NAMESPACE, SUPERVISOR.format(submission_id))
    entrypoint = f'exec "${{RAYBUNDLE_PYTHON:-python}}" -c {shlex.quote(code)}'
    body = {"entrypoint": entrypoint, "runtime_env": bundle_alone(client.runtime_env(submission_id))}
    try:
        client.submit(name, body)
        deadline = time.monotonic() + STOP_TIMEOUT
        while not client.info(name).ended and time.monotonic() < deadline:
            time.sleep(STOP_DELAY)
        if not client.info(name).ended:
            client.stop(name)
    finally:
        with contextlib.suppress(ClusterError, JobLostError):
            delete_for_good(client, name)


def delete_for_good(client: JobsClient, submission_id: str) -> None:
    """Removes the record of a job that has ended.

    Ray looks at each job once a second until it notices the end; a job that is deleted before comes back as
    FAILED (Ray 2.60).

    Raises:
        JobLostError: the cluster does not know the job.
        ClusterError: the job has not ended.
    """
    info = client.info(submission_id)
    if info.ended and abs(time.time() - (info.end_time or 0) / 1000) < RECENT:
        time.sleep(SEEN_AFTER)
    if not client.delete(submission_id):
        raise ClusterError(f"the cluster at {client.address} has not deleted job {submission_id}")


def remove(access: Access, submission_id: str, leaves: float = 0.0) -> None:
    """Removes a job, as far as the cluster can be reached.

    Args:
        access: to the cluster.
        submission_id: of the job.
        leaves: seconds that it may take to end by itself, before it is stopped.
    """
    with contextlib.suppress(ClusterError, JobError), _client(access) as client:
        begin = time.monotonic()
        while not client.info(submission_id).ended and time.monotonic() - begin < leaves:
            time.sleep(STOP_DELAY)
        if not client.info(submission_id).ended:
            stop_and_wait(client, submission_id)
        delete_for_good(client, submission_id)


def remove_probe(access: Access, submission_id: str, leaves: float) -> None:
    """Removes a job that asked nodes, and others that were left by machines which went down.

    Arguments are as for `remove`.
    """
    remove(access, submission_id, leaves)
    before = (time.time() - FORGOTTEN) * 1000
    with contextlib.suppress(ClusterError, JobError), _client(access) as client:
        for each in client.list(probes=True):
            if each.ended and (each.end_time or before) < before:
                client.delete(each.submission_id)


def _client(access: Access) -> contextlib.closing[JobsClient]:
    from raybundle.cluster.jobs import JobsClient  # noqa: PLC0415 - start-up

    return contextlib.closing(JobsClient(access))


def hand_over(access: Access, submission_id: str, leaves: float) -> None:
    """Lets another process do `remove_probe`, because this one ends: nobody waits, and no signal reaches it.

    If there can be no other process, it is done here.
    """
    import subprocess  # noqa: PLC0415 - start-up: few commands end before their jobs do

    # `-I` imports nothing from the current directory, where files of certificates may be.
    command = [sys.executable, "-I", "-c", _REMOVE, str(Path(__file__).parents[2])]
    question = json.dumps([asdict(access), submission_id, leaves])  # has the token: no command line may
    try:
        other = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        other.returncode = 0  # nobody waits for it
        with cast("IO[bytes]", other.stdin) as stdin:
            stdin.write(question.encode())
    except OSError:
        remove_probe(access, submission_id, leaves)


def bundle_alone(whole: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns the part of a job's runtime_env with which its bundle boots, on a node that has no part of it.

    It is empty for a job that has no bundle.
    """
    variables = whole.get("env_vars") or {}
    if "RAYBUNDLE_DIGEST" not in variables:
        return {}
    names = [name for name in variables if name.startswith("RAYBUNDLE_") and name not in {HOOK, SECRETS}]
    code = {name: whole[name] for name in ("working_dir", "py_modules") if name in whole}
    return {**code, "env_vars": {name: variables[name] for name in names}}
