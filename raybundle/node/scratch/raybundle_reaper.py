"""Removes a job's scratch from this node once the job is over. A separate process, one per job and node.

`python raybundle_reaper.py JOB` starts together with the scratch; with `--ask` it asks Ray about the job. Ray
or the job may kill it; then the first process of the next job on this node starts it again. Standard library
only, and no other module of the boot: it runs without the path of a bundle.
"""

from __future__ import annotations

import fcntl
import os
import stat
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    State = str

ALIVE, OVER, UNKNOWN = "alive", "over", "unknown"
DELAYS = {"leader": (0.05, 5.0), "raylet": (2.0, 60.0)}
"""Seconds between two checks of a job without a process here: the first and the longest delay; it doubles.
A question to Ray takes half a second of CPU time."""
PATIENCE = 600.0
"""Seconds without an answer after which a job without a process here counts as over."""
ASKING = 60
"""Seconds after which a question to Ray is given up."""
TRIES = 5
"""Attempts to remove a scratch."""
CODES = {10: ALIVE, 11: OVER}
"""Meaning of the exit codes of `--ask`."""
ENDED = ("SUCCEEDED", "FAILED", "STOPPED")
"""Final statuses of the Jobs API (ray/dashboard/modules/job/common.py)."""


def main(job: str) -> None:
    """Waits until the job is over and no process holds its scratch, then removes the scratch."""
    own = os.open(job, os.O_RDWR)
    try:
        fcntl.flock(own, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return  # the job has a reaper already
    with open(job, encoding="utf-8", errors="surrogateescape") as stream:
        about = dict(line.rstrip("\n").partition(" ")[::2] for line in stream)
    delay, longest = DELAYS["leader" if "leader" in about else "raylet"]
    scratch, answered, tries = job.removesuffix(".job"), time.monotonic(), 0
    while tries < TRIES:
        if _wait_until_free(f"{scratch}.lock"):
            answered = time.monotonic()
        time.sleep(delay)
        delay = min(2 * delay, longest)
        state = find_state(about)
        if state != UNKNOWN:
            answered = time.monotonic()
        if state == OVER or time.monotonic() - answered > PATIENCE:
            removed = _remove(job)
            if removed:
                return
            tries += removed is False


def _wait_until_free(lock: str) -> bool:
    """Waits until no process of the job is left; returns whether there was one. Another may still start."""
    with open(lock, "a") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            fcntl.flock(stream, fcntl.LOCK_EX)
            return True
    return False


def find_state(about: dict[str, str]) -> State:
    """Returns whether a job without a process on this node may still start one here."""
    if "leader" in about:  # the driver ran here; the leader of its session is the job's entrypoint
        return _state_of(about["leader"], about)
    if "raylet" in about and _state_of(about["raylet"], about) == OVER:
        return OVER
    if "job" not in about and "submission" not in about:  # an application of Ray Serve may be replaced
        return UNKNOWN
    return _ask(about)


def _state_of(process: str, about: dict[str, str]) -> State:
    """Returns whether a process lives. Its start time tells it from a later process with the same pid."""
    machine, pids = _machine()
    if about.get("machine", "") != machine:
        return OVER
    if about.get("pids", "") != pids:
        return UNKNOWN
    pid, _, started = process.partition(" ")
    try:
        with open(f"/proc/{int(pid)}/stat", encoding="utf-8", errors="replace") as stream:
            words = stream.read().rpartition(")")[2].split()
    except FileNotFoundError:
        return _state_without_proc(int(pid)) if not started else OVER
    return OVER if words[0] in "ZX" or words[19] != started else ALIVE


def _state_without_proc(pid: int) -> State:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return OVER
    except PermissionError:
        pass
    return ALIVE


def _machine() -> tuple[str, str]:
    """Returns the boot id of this machine and the namespace of pids, as `raybundle_fill` records them."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as stream:
            return stream.read().strip(), os.readlink("/proc/self/ns/pid")
    except OSError:
        return "", ""


def _ask(about: dict[str, str]) -> State:
    """Asks Ray in a separate process, because that may need a lot of memory and may hang."""
    kind = "submission" if "submission" in about else "job"
    question = [about.get(name, "") for name in ("ray", "gcs")] + [kind, about.get(kind, "")]
    words = [sys.executable, "-I", "-S", __file__, "--ask", *question]
    try:
        asked = os.posix_spawn(sys.executable, words, os.environ)
    except OSError:
        return UNKNOWN
    return CODES.get(os.waitstatus_to_exitcode(os.waitpid(asked, 0)[1]), UNKNOWN)


def answer(ray: str, gcs: str, kind: str, name: str) -> State:
    """Returns the state of a job, as Ray knows it.

    Args:
        ray: directory that contains the package `ray`.
        gcs: address of the cluster's GCS.
        kind: `submission`, or `job` for a driver outside the Jobs API.
        name: the submission id, or Ray's job id.
    """
    sys.path += [f"{ray}/ray/thirdparty_files", ray]
    from ray import _raylet

    client: Any = _raylet.GcsClient(address=gcs)  # type: ignore[attr-defined] # an extension in Cython
    if kind == "submission":
        key = f"_ray_internal_job_info_{name}".encode(errors="surrogateescape")
        found = client.internal_kv_get(key, b"job", timeout=ASKING)
        if found is None:
            return OVER
        import json

        return OVER if json.loads(found)["status"] in ENDED else ALIVE
    jobs = client.get_all_job_info(
        job_or_submission_id=name, skip_submission_job_info_field=True, skip_is_running_tasks_field=True
    )
    return ALIVE if any(not job.is_dead for job in jobs.values()) else OVER


def _remove(job: str) -> bool | None:
    """Removes the scratch and the files of a job.

    Returns:
        Whether everything is removed; None if a process of the job has started and holds the scratch.
    """
    scratch = job.removesuffix(".job")
    with open(f"{scratch}.lock", "a") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return None
        if not _discard([scratch, f"{scratch}.partial"], f"{scratch}.removed"):
            return False
        os.unlink(job)  # before the lock: a process that waits for the lock writes a new job file
        os.unlink(f"{scratch}.lock")
        return True


def _discard(paths: list[str], top: str) -> bool:
    """Removes directories through `top`, and returns whether they are gone.

    Each folder is moved to `top` before it is listed. So no path gets too long, and a mount is never entered,
    because it cannot be moved; its content is not the job's. A link is removed and never followed.
    """
    os.makedirs(top, 0o700, exist_ok=True)
    device, folders = os.lstat(top).st_dev, [top]
    for path in paths:
        _take(path, top, device, folders)
    for folder in folders:  # `_take` appends to it
        for path in _list(folder):
            _take(path, top, device, folders)
    for folder in reversed(folders):
        _remove_empty(folder)
    return not any(map(os.path.lexists, [*paths, top]))


def _list(folder: str) -> list[str]:
    try:
        return [f"{folder}/{name}" for name in os.listdir(folder)]
    except OSError:  # a program that the job left behind has removed it
        return []


def _remove_empty(folder: str) -> None:
    try:
        os.rmdir(folder)
    except OSError:  # it is not empty: something could not be removed
        pass


def _take(path: str, top: str, device: int, folders: list[str]) -> None:
    """Removes a file, or moves a folder to `top` and adds it to `folders`. What cannot be removed stays."""
    try:
        status = os.lstat(path)
        if not stat.S_ISDIR(status.st_mode):
            os.unlink(path)
        elif status.st_dev == device:
            folders.append(_move(path, f"{top}/{os.getpid()}-{len(folders)}"))
    except OSError:
        pass


def _move(folder: str, target: str) -> str:
    try:
        os.rename(folder, target)
    except PermissionError:  # moving a folder needs the right to write to it
        os.chmod(folder, 0o700)
        os.rename(folder, target)
    os.chmod(target, 0o700)
    return target


if __name__ == "__main__":
    if sys.argv[1] == "--ask":
        import signal

        signal.alarm(ASKING)
        state = answer(*sys.argv[2:])
        os._exit(next(code for code, meaning in CODES.items() if meaning == state))
    main(sys.argv[1])
