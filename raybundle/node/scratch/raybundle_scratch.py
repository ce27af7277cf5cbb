"""Moves a process to the scratch, the job's own working directory on this node.

All processes of the job on this node share the scratch, and each holds a shared lock on it while it lives.
This is the warm path: `raybundle_fill` makes a missing scratch, `raybundle_reaper` removes it after the job.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # `typing` costs 5 ms in every process
if TYPE_CHECKING:
    from collections.abc import Iterator

    from raybundle.node.raybundle_path import Path, Places
    from raybundle.node.stub import Stub

CONFIG = "RAY_JOB_CONFIG_JSON_ENV_VAR"
"""The variable with the configuration that the driver's `ray.init` passes to each worker of the job."""
JOB = "RAYBUNDLE_JOB"
"""The variable that names the job to its workers: the name of its scratch, a space, its submission id."""
LOGS = "RAYBUNDLE_LOGS"
"""The variable with Ray's log directory on this node: a raylet tells its workers, a supervisor its driver."""
_held: list[int] = []
"""Descriptors that stay open while this process lives: a shared lock on the scratch."""


def find(stub: Stub, role: str) -> str:
    """Returns the absolute path of the job's scratch; empty if the process has none, or none yet.

    A supervisor has no scratch: to Ray, it is a worker of another job. If that other job submitted this one
    with its own runtime_env, the variables name the other job. So a worker that may be a supervisor learns
    its job only when it is ready, and so does a worker of a driver outside the Jobs API.
    """
    jobs = f"{stub.PRIVATE}/jobs"
    if role == "driver":
        return f"{jobs}/{_name_job()}"
    if role == "worker":
        _check_archive(os.environ["RAYBUNDLE_ARCHIVE"])
        if session := _option("--session-name"):
            os.environ[LOGS] = f"{_option('--temp-dir')}/{session}/logs"
        name = "" if stub.MAY_SUPERVISE in os.environ else os.environ.get(JOB, "").partition(" ")[0]
        os.environ.pop("RAYBUNDLE_SCRATCH", None)  # `env_vars` may be a copy of a driver's environment
    else:
        name = os.environ.get("RAYBUNDLE_SCRATCH", "").removeprefix(f"{jobs}/")
    return f"{jobs}/{name}" if name.isalnum() else ""


def _check_archive(archive: str) -> None:
    """Refuses a `working_dir` of another bundle, because the variables would make this bundle's code run.

    Ray Serve causes this for a deployment with its own `env_vars`: the controller may be of an older job.
    """
    import json
    from hashlib import sha256

    file, expected = f"{archive}/.raybundle/manifest.json", os.environ["RAYBUNDLE_DIGEST"]
    try:
        with open(file, "rb") as stream:
            data = stream.read()
        found = f"sha256:{sha256(data).hexdigest()}"
        if found == expected:
            return
        json.loads(data)
    except (FileNotFoundError, ValueError):
        return  # another raylet of this host is unpacking it again
    raise RuntimeError(
        f"file {file}: expected {expected}, found {found}: the `working_dir` of this task or actor is from "
        "another job than its `env_vars`: give it the whole runtime_env of one job"
    )


def enter_late(stub: Stub, path: type[Path], places: Places) -> None:
    """Moves a ready worker to the scratch of its job: of a booted driver, or of the bundle in Ray's job."""
    name, job = os.environ.get(JOB, "").partition(" ")[0], os.environ.get("RAY_JOB_ID", "")
    bundle = os.environ["RAYBUNDLE_DIGEST"]  # applications of Ray Serve are all of one job
    name = name or _digest(bundle, job, _option("--session-name"), _option("--gcs-address"))
    scratch = f"{stub.PRIVATE}/jobs/{name}"
    path.places += (scratch, os.path.realpath(scratch))
    path.of_a_guest = stub.is_guest()
    enter(stub, "worker", scratch, places)


def _name_job() -> str:
    """Returns the name of the scratch of this driver's job, and sets it for future workers.

    All drivers of one entrypoint have the same name, because they are in the session of its shell. The
    submitted `runtime_env` cannot have it: that is the same for each run of a bundle.
    """
    import json

    config = json.loads(os.environ[CONFIG])
    submission = str((config.get("metadata") or {}).get("job_submission_id", ""))
    session = os.getsid(0)
    name = _digest(submission, os.environ.get("RAY_ADDRESS", ""), str(session), started(session))
    variables = (config.get("runtime_env") or {}).get("env_vars")
    os.environ[JOB] = f"{name} {submission}"
    if variables is not None:
        variables[JOB] = os.environ[JOB]
        os.environ[CONFIG] = json.dumps(config)
    return name


def _digest(*parts: str) -> str:
    import _imp  # a hash without the cost of `hashlib`

    return _imp.source_hash(2, "\n".join(parts).encode(errors="surrogateescape")).hex()


def started(process: int) -> str:
    """Returns when a process was started, in clock ticks (proc(5)); empty if unknown."""
    try:
        with open(f"/proc/{process}/stat", encoding="utf-8", errors="replace") as stream:
            return stream.read().rpartition(")")[2].split()[19]
    except OSError:
        return ""


def enter(stub: Stub, role: str, scratch: str, places: Places) -> None:
    """Makes a missing scratch, locks it while this process lives, and changes to the job's directory.

    Args:
        stub: the module `sitecustomize`.
        role: of this process.
        scratch: its absolute path.
        places: what the job runs from.
    """
    if not _hold(scratch) and role != "child":
        _held.append(
            stub.load("raybundle_fill").make(
                stub, scratch, places, list(_describe(stub, role, places.links[0]))
            )
        )
    if role != "child":
        os.environ["RAYBUNDLE_SCRATCH"] = scratch
        _go(scratch, places.archive)
    stub.load("raybundle_seen").tell(role, places, started(os.getpid()))


def _hold(scratch: str) -> bool:
    """Locks an existing scratch; returns whether there is one."""
    try:
        descriptor = lock(f"{scratch}.lock", os.O_RDWR)
    except FileNotFoundError:
        return False
    if os.path.isdir(scratch):
        _held.append(descriptor)
        return True
    os.close(descriptor)
    return False


def lock(file: str, flags: int) -> int:
    """Returns the descriptor of a shared lock on `file`; tries again if the file was replaced meanwhile."""
    import fcntl

    while True:
        descriptor = os.open(file, flags, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        try:
            if os.path.samestat(os.fstat(descriptor), os.stat(file)):
                return descriptor
        except FileNotFoundError:
            pass
        os.close(descriptor)


def _go(scratch: str, archive: str) -> None:
    """Changes to the directory of the submission, unless the entrypoint has changed to another one."""
    here = os.getcwd()
    below = os.environ.get("RAYBUNDLE_CWD", "")
    if ".." in below.split("/") or below.startswith("/"):
        raise RuntimeError(f"variable RAYBUNDLE_CWD: expected a path below the project, found {below}")
    if here.startswith(f"{archive}/"):
        below = here[len(archive) + 1 :]
    elif here != archive:
        return
    directory = f"{scratch}/{below}".rstrip("/")
    os.makedirs(directory, exist_ok=True)
    os.chdir(directory)
    os.environ["PWD"] = directory


def _describe(stub: Stub, role: str, links: str) -> Iterator[str]:
    """Yields lines that tell the reaper how to find out whether the job is over.

    The job of a guest says nothing about its bundle: that of Ray Serve lasts as long as the cluster.
    """
    if role == "driver":
        leader = os.getsid(0)
        yield f"leader {leader} {started(leader)}"
        return
    yield f"gcs {_option('--gcs-address')}"
    submission = os.environ.get(JOB, "").partition(" ")[2].replace("\n", " ")
    if not stub.is_guest():
        yield f"submission {submission}" if submission else f"job {os.environ.get('RAY_JOB_ID', '')}"
    yield f"ray {links}"
    for raylet in (os.environ.get("RAY_RAYLET_PID", ""), str(os.getppid())):
        if _is_raylet(raylet):
            yield f"raylet {raylet} {started(int(raylet))}"
            return


def _is_raylet(process: str) -> bool:
    try:
        with open(f"/proc/{int(process)}/comm", encoding="utf-8", errors="replace") as stream:
            return stream.read().startswith("raylet")
    except (OSError, ValueError):
        return False


def _option(name: str) -> str:
    """Returns the value of a command-line option that Ray gave this worker; empty if there is none."""
    return next((each[len(name) + 1 :] for each in sys.argv if each.startswith(f"{name}=")), "")
