"""Gives a process the job's own working directory on this node: the scratch, which the job's processes share.

A scratch has a lock that each of these processes holds shared while it lives. This is the warm way;
`raybundle_fill` makes a scratch that is missing, and `raybundle_reaper` removes it after the job.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # `typing` costs 5 ms in every process
if TYPE_CHECKING:
    from collections.abc import Iterator

    from raybundle.node.raybundle_boot import Places
    from raybundle.node.stub import Stub

CONFIG = "RAY_JOB_CONFIG_JSON_ENV_VAR"
"""Holds what `ray.init` of the driver passes to each worker of the job."""
JOB = "RAYBUNDLE_JOB"
"""Names the job to its workers: the name of its scratch, a space, its submission id."""
MAY_SUPERVISE = "RAY_worker_niceness"
"""Ray sets it for a supervisor (ray/dashboard/modules/job/job_manager.py); where the entrypoint asks for
resources, it sets it for the job's workers as well."""
_held: list[int] = []
"""Descriptors that stay open while this process lives: a shared lock on the scratch."""


def find(private: str, role: str) -> str:
    """Returns the absolute path of the job's scratch; empty for a process that has none, or not yet.

    The supervisor has none: to Ray, it is a worker of another job. If that is where the job was submitted,
    with its own runtime_env, the supervisor has the other job's name. So a worker that may be one learns of
    its job when it is ready; and so does a worker of a driver outside the Jobs API.
    """
    jobs = f"{private}/jobs"
    if role == "driver":
        return f"{jobs}/{_name_job()}"
    if role == "worker":
        _check_archive(os.environ["RAYBUNDLE_ARCHIVE"])
        name = "" if MAY_SUPERVISE in os.environ else os.environ.get(JOB, "").partition(" ")[0]
        os.environ.pop("RAYBUNDLE_SCRATCH", None)  # it may be in a copy of another process' environment
    else:
        name = os.environ.get("RAYBUNDLE_SCRATCH", "").removeprefix(f"{jobs}/")
    return f"{jobs}/{name}" if name.isalnum() else ""


def _check_archive(archive: str) -> None:
    """Refuses a `working_dir` of another bundle: with this one's variables, this one's code would run.

    Ray Serve gives one to a deployment that has `env_vars` of its own; its controller may be of an older job.
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
        return  # another raylet of this host unpacks it again
    raise RuntimeError(
        f"file {file}: expected {expected}, found {found}: this task or actor has its `working_dir` from "
        "another job than its `env_vars`: give it the whole runtime_env of that job"
    )


def find_late() -> str:
    """Returns the name of the scratch of a worker that is ready; a driver of ours may have named it."""
    name, job = os.environ.get(JOB, "").partition(" ")[0], os.environ.get("RAY_JOB_ID", "")
    return name or _digest("", job, _option("--session-name"), _option("--gcs-address"))


def _name_job() -> str:
    """Returns the name of the scratch of this driver's job, and tells it to the workers to come.

    It is the same for all drivers of one entrypoint: they are in the session of its shell. It is not in the
    submitted `runtime_env`, which is the same for each run of a bundle.
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
    """Returns when a process was started, in ticks; empty where that is not known."""
    try:
        with open(f"/proc/{process}/stat", encoding="utf-8", errors="replace") as stream:
            return stream.read().rpartition(")")[2].split()[19]
    except OSError:
        return ""


def enter(stub: Stub, role: str, scratch: str, places: Places) -> None:
    """Makes the scratch if it is missing, keeps it while this process lives, and goes to the job's directory.

    Args:
        stub: the module `sitecustomize`.
        role: of this process.
        scratch: as `find` returned it.
        places: the verified tree, which fills the scratch; the archive, where Ray has started this process;
            and the links, where `ray` is found.
    """
    if not _hold(scratch) and role != "child":
        _held.append(
            stub.load("raybundle_fill").make(stub, scratch, places.tree, list(_describe(role, places.links)))
        )
    if role != "child":
        os.environ["RAYBUNDLE_SCRATCH"] = scratch
        _go(scratch, places.archive)


def _hold(scratch: str) -> bool:
    """Takes a shared lock on a scratch that is there."""
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
    """Returns the descriptor of a shared lock on `file`, and not on one that was removed meanwhile."""
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
    """Goes to the directory in which the job was submitted; an entrypoint may have gone elsewhere itself."""
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


def _describe(role: str, links: str) -> Iterator[str]:
    """Yields what the reaper is told of the job, in lines."""
    if role == "driver":
        leader = os.getsid(0)
        yield f"leader {leader} {started(leader)}"
        return
    yield f"gcs {_option('--gcs-address')}"
    submission = os.environ.get(JOB, "").partition(" ")[2].replace("\n", " ")
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
    """Returns what Ray has told this worker in an option."""
    return next((each[len(name) + 1 :] for each in sys.argv if each.startswith(f"{name}=")), "")
