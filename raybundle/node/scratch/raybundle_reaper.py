"""Removes a job's scratch from this node once the job is over: a process of its own, one per job and node.

`python raybundle_reaper.py JOB` is started with the scratch; with `--ask` it asks Ray about the job.
It has no part in the job: Ray and the job may kill it. Then the next job's first process on this node starts
another. Standard library only, and no module of the boot: it runs without the path of a bundle.
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
"""Seconds between two looks at a job that has no process here, the first and the longest; they double. To
ask Ray takes half a second of a processor."""
PATIENCE = 600.0
"""Seconds without an answer after which a job that has no process here counts as over."""
ASKING = 60
"""Seconds after which a question that gets no answer is given up."""
TRIES = 5
"""How often what cannot be removed is tried again."""
CODES = {10: ALIVE, 11: OVER}
"""Exit codes of a question."""
ENDED = ("SUCCEEDED", "FAILED", "STOPPED")
"""States of a job of the Jobs API that is over (ray/dashboard/modules/job/common.py)."""


def main(job: str) -> None:
    """Waits until no process holds the scratch of `job` and the job is over, then removes it."""
    own = os.open(job, os.O_RDWR)
    try:
        fcntl.flock(own, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return  # it has a reaper
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
    """Returns once no process of the job is left, though another may come; claims that there was one."""
    with open(lock, "a") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            fcntl.flock(stream, fcntl.LOCK_EX)
            return True
    return False


def find_state(about: dict[str, str]) -> State:
    """Returns whether a job that has no process on this node may start another one here."""
    if "leader" in about:  # the driver was here: what leads its session is the job's entrypoint
        return _state_of(about["leader"], about)
    if "raylet" in about and _state_of(about["raylet"], about) == OVER:
        return OVER
    return _ask(about)


def _state_of(process: str, about: dict[str, str]) -> State:
    """Returns whether a process lives; a pid alone would not tell."""
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
    """Returns the start of this machine and the namespace of pids, as `raybundle_fill` records them."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as stream:
            return stream.read().strip(), os.readlink("/proc/self/ns/pid")
    except OSError:
        return "", ""


def _ask(about: dict[str, str]) -> State:
    """Asks Ray in a process of its own, which may need a lot of memory and may hang."""
    kind = "submission" if "submission" in about else "job"
    question = [about.get(name, "") for name in ("ray", "gcs")] + [kind, about.get(kind, "")]
    words = [sys.executable, "-I", "-S", __file__, "--ask", *question]
    try:
        asked = os.posix_spawn(sys.executable, words, os.environ)
    except OSError:
        return UNKNOWN
    return CODES.get(os.waitstatus_to_exitcode(os.waitpid(asked, 0)[1]), UNKNOWN)


def answer(ray: str, gcs: str, kind: str, name: str) -> State:
    """Returns what Ray says of a job.

    Args:
        ray: directory in which it is found.
        gcs: address of the cluster's head.
        kind: `submission`, or `job` for a driver outside the Jobs API.
        name: of the job, to the Jobs API or to Ray.
    """
    sys.path += [f"{ray}/ray/thirdparty_files", ray]
    from ray import _raylet

    client: Any = _raylet.GcsClient(address=gcs)  # type: ignore[attr-defined] # it is written in Cython
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
    """Removes all that there is of a job unless a process of it has come, which is None.

    Returns:
        Whether it is gone.
    """
    scratch = job.removesuffix(".job")
    with open(f"{scratch}.lock", "a") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return None
        if not _discard([scratch, f"{scratch}.partial"], f"{scratch}.removed"):
            return False
        os.unlink(job)  # before the lock: who waits for that makes the scratch anew, with a record of its own
        os.unlink(f"{scratch}.lock")
        return True


def _discard(paths: list[str], top: str) -> bool:
    """Removes directories by way of `top`, and claims that nothing of them is left.

    Each folder is moved to `top` before it is read. So none is too deep, and a mount, which cannot be moved,
    is never entered: what it leads to is not the job's. A link is removed and never followed.
    """
    os.makedirs(top, 0o700, exist_ok=True)
    device, folders = os.lstat(top).st_dev, [top]
    for path in paths:
        _take(path, top, device, folders)
    for folder in folders:  # grows
        for path in _list(folder):
            _take(path, top, device, folders)
    for folder in reversed(folders):
        _remove_empty(folder)
    return not any(map(os.path.lexists, [*paths, top]))


def _list(folder: str) -> list[str]:
    try:
        return [f"{folder}/{name}" for name in os.listdir(folder)]
    except OSError:  # a program that outlives the job has removed it
        return []


def _remove_empty(folder: str) -> None:
    try:
        os.rmdir(folder)
    except OSError:  # something resists
        pass


def _take(path: str, top: str, device: int, folders: list[str]) -> None:
    """Removes a file, or moves a folder to `top` and adds it to `folders`; what resists stays."""
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
    except PermissionError:  # to move it is to write to it
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
