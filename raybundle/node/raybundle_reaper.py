"""Removes a job's scratch from this node once the job is over: a process of its own, one per job and node.

`python raybundle_reaper.py JOB` is started with the scratch; with `--ask` it asks Ray about the job.
It has no part in the job: Ray and the job may kill it. Then the next job's first process on this node starts
another. Standard library only, and no module of the boot: it runs without the path of a bundle.
"""

from __future__ import annotations

import fcntl
import os
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
        _wait_until_free(f"{scratch}.lock")
        time.sleep(delay)
        delay = min(2 * delay, longest)
        state = find_state(about)
        if state != UNKNOWN:
            answered = time.monotonic()
        if state == OVER or time.monotonic() - answered > PATIENCE:
            if _remove(scratch):
                return
            tries += os.path.lexists(scratch)


def _wait_until_free(lock: str) -> None:
    """Returns once no process of the job is left, though another may come."""
    with open(lock, "a") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)


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


def _remove(scratch: str) -> bool:
    """Removes a scratch with what is beside it unless a process has come; claims that it is gone."""
    import shutil

    with open(f"{scratch}.lock", "a") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        for directory in (scratch, f"{scratch}.partial"):
            _open_up(directory)
            for folder, names, _ in os.walk(directory):
                for name in names:
                    _open_up(f"{folder}/{name}")
            shutil.rmtree(directory, ignore_errors=True)
        if os.path.lexists(scratch):
            return False
        os.unlink(f"{scratch}.job")  # before the lock: who makes a scratch of this name again writes its own
        os.unlink(f"{scratch}.lock")
        return True


def _open_up(folder: str) -> None:
    """Lets a folder be read and emptied, whatever the job has made of it; not one that a link leads to."""
    try:
        if not os.path.islink(folder):
            os.chmod(folder, 0o700)
    except OSError:
        pass


if __name__ == "__main__":
    if sys.argv[1] == "--ask":
        import signal

        signal.alarm(ASKING)
        state = answer(*sys.argv[2:])
        os._exit(next(code for code, meaning in CODES.items() if meaning == state))
    main(sys.argv[1])
