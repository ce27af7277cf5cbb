"""Turns the final status of a job that did not succeed into an error, and so into an exit code."""

from __future__ import annotations

import re
import signal
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from raybundle.cluster.runtime_env import NOT_BOOTED, READY_HOOK
from raybundle.errors import JobError, JobFailedError, JobStartError, JobStoppedError
from raybundle.resolve.interpreter.platforms import Platform

if TYPE_CHECKING:
    from raybundle.cluster.jobs import JobInfo

BOOT_FAILED = re.compile(r"raybundle: boot failed: .*")
"""The boot's one line about a failure: bundle, node, file, expected and found."""
_OTHER_PYTHON = re.compile(r"expected Python \S+ [0-9.]+, found \S+ ([0-9.]+)$")
"""The end of that line if the node has another Python."""
_OLDER_LIBC = re.compile(
    r"expected glibc .* found glibc (?P<major>\d+)\.(?P<minor>\d+)\S* on (?P<machine>\w+)$"
)
"""Likewise if it has an older libc than the bundle's native files need."""
_NO_BOOT = re.compile(rf"^\S*sh: .*RAYBUNDLE_PYTHON: {NOT_BOOTED}$", re.MULTILINE)
_NO_HOOK = re.compile(rf"Worker IP address: (\S+) [^\n]*setup hook method, {re.escape(READY_HOOK)} ")
"""A worker in the driver's log that did not find the hook; Ray repeats its task, then fails."""
_WORKER_DIED = re.compile(
    r"^ray\.exceptions\.(WorkerCrashedError|ActorDiedError|OwnerDiedError)", re.MULTILINE
)
START_ERRORS = frozenset(
    {
        "RUNTIME_ENV_SETUP_FAILURE",
        "JOB_SUPERVISOR_ACTOR_START_TIMEOUT",
        "JOB_SUPERVISOR_ACTOR_START_FAILURE",
        "JOB_SUPERVISOR_ACTOR_UNSCHEDULABLE",
    }
)
"""Values of `ray.dashboard.modules.job.common.JobErrorType` if no driver ran; since Ray 2.50.

JOB_ENTRYPOINT_COMMAND_START_ERROR is not here: in Ray 2.50 to 2.52 it can mean a log that is not UTF-8.
"""
_ENVIRONMENT_ERROR = "ray.exceptions.RuntimeEnvSetupError"
"""Exceptions of a driver if a worker's node cannot unpack the archive."""

_ENVIRONMENT_SET_UP = re.compile(r"RuntimeEnvSetupError|Runtime env setup for app", re.IGNORECASE)
"""Words of Ray Serve about an application whose runtime_env cannot be set up."""

_ESCAPES = re.compile(r"(?:\x1b|\\x1b)\[[0-9;]*m")
"""Colours of a terminal; Ray Serve keeps them in its messages."""
_RAISED_IN = re.compile(r"ray::\S+ \(pid=[^\n]*")
"""The line by which Ray begins a traceback of a task."""
_TRACEBACK = "Traceback (most recent call last):"
_RAISED = re.compile(r"^[A-Za-z_][\w.]*(?:: .*)?$", re.MULTILINE)
"""The line after a traceback's frames."""
_FRAME = re.compile(
    r'^ +File "(/\S*/raybundle-\d+/trees/[0-9a-f]{64}/(?:project/)?)?([^"]+)", line (\d+)', re.MULTILINE
)
"""The directory of the bundle, if the file is in it; the rest of the path; the line."""
_REMEDY = re.compile(r"\n(.*\[tool\.raybundle\].*)")
"""The node's line after a failed import; it says how to bundle the module."""
_OUT_OF_MEMORY = re.compile(r"^ray\.exceptions\.OutOfMemoryError", re.MULTILINE)
_NODE = re.compile(r"(?:\[Node |ip=|node_ip[^0-9]{1,4}|on node |Worker IP address: )([0-9.]{7,15})")
LINES, LONGEST = 12, 4000
"""Lines and characters of Ray's message that an error shows, from its end, which has the cause."""
_BY_SHELL = (signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV, signal.SIGABRT)
"""Signals that a shell reports as exit code 128 + N."""


def job_error(info: JobInfo, log_end: str = "") -> JobError | None:
    """Returns the error of a job that did not succeed; None if it did.

    Args:
        info: the cluster's record of the job.
        log_end: the end of the driver's log.
    """
    match info.status:
        case "SUCCEEDED":
            return None
        case "STOPPED":
            return JobStoppedError(f"job {info.submission_id} was stopped")
        case _:
            return _failure(info, log_end)


def exit_code(info: JobInfo, error: JobError | None, *, own: bool = False) -> int:
    """Returns the exit code of a job that ended; `own` gives the driver's instead of 20."""
    if error is None:
        return 0
    driver = info.driver_exit_code
    if own and driver and isinstance(error, JobFailedError):
        return driver if 0 < driver < 256 else 128 + abs(driver)  # noqa: PLR2004 - a signal is negative
    return error.exit_code


def _failure(info: JobInfo, log_end: str) -> JobError:
    line = boot_line(info, log_end)
    if line is not None:
        return _boot_error(line)
    if could_not_start(info):
        kind = f" ({info.error_type})" if info.error_type else ""
        node = named_node(info)
        place = f" on node {node}" if node else ""
        return JobStartError(
            f"job {info.submission_id} could not start{place}{kind}: {_lines_that_matter(info.message)}"
        )
    text = f"job {info.submission_id} failed: {_how(info)}{_why(log_end)}"
    return JobFailedError(text, hint=_remedy(log_end))


def deployment_error(name: str, text: str) -> JobError:
    """Returns the error of an application of Ray Serve that does not run, by what Serve says about it."""
    text = _plain(text)
    found = BOOT_FAILED.search(text)
    if found is not None:
        return _boot_error(re.split(r"\\n", found.group())[0].strip())
    if _ENVIRONMENT_SET_UP.search(text):
        return JobStartError(f"application {name} could not start: {_lines_that_matter(text)}")
    return JobFailedError(f"application {name} failed: {_cause(text)}", hint=_remedy(text))


def brief(text: str) -> str:
    """Returns on one line what Ray Serve says: of a traceback, the exception and its place."""
    plain = _plain(text)
    head = plain.partition(_TRACEBACK)[0].rstrip().removesuffix("Error:")
    return " ".join(f"{head} {_why(plain).removeprefix(': ')}".split())


def _plain(text: str) -> str:
    """Returns a text of Ray Serve without colours, and with Python's words before each traceback."""
    return _RAISED_IN.sub(_TRACEBACK, _ESCAPES.sub("", text))


def _cause(text: str) -> str:
    """Returns the last exception in a text with its place; without one, the end of the text."""
    return _why(text).removeprefix(": ") or _lines_that_matter(text)


def _boot_error(line: str) -> JobStartError:
    if libc := _OLDER_LIBC.search(line):
        node = Platform("linux", libc["machine"], "gnu", (int(libc["major"]), int(libc["minor"])))
        return JobStartError(line, hint=f"`--platform {node.setting}` builds for it")
    other = _OTHER_PYTHON.search(line)
    return JobStartError(line, hint=other and f"`--python {other.group(1)}` builds for it")


def _how(info: JobInfo) -> str:
    """Returns how the driver ended: its exit code or signal."""
    code = info.driver_exit_code
    if code is None:
        return _lines_that_matter(info.message)
    number = -code if code < 0 else code - 128
    if code >= 0 and number not in _BY_SHELL:
        return f"its driver ended with exit code {code}"
    name = signal.Signals(number).name if number in set(signal.Signals) else str(number)
    perhaps = ", perhaps because its node ran out of memory" if number == signal.SIGKILL else ""
    return f"its driver was ended by signal {name}{perhaps}"


def _why(log_end: str) -> str:
    """Returns the last exception in the log with its place, and whether memory ran out."""
    words = ""
    start = log_end.rfind(_TRACEBACK)
    raised = _RAISED.search(log_end, start) if start >= 0 else None
    if raised is not None:
        frames = _FRAME.findall(log_end, start, raised.start())
        own = [frame for frame in frames if frame[0]] or frames
        place = f" at {own[-1][1]}:{own[-1][2]}" if own else ""
        words = f": {raised.group()[:300]}{place}"
    if _OUT_OF_MEMORY.search(log_end):
        words += "; Ray killed a task because its node ran out of memory"
    return words


def _remedy(log_end: str) -> str | None:
    """Returns the node's line about the import that failed, if there is one."""
    start = log_end.rfind(_TRACEBACK)
    raised = _RAISED.search(log_end, start) if start >= 0 else None
    found = _REMEDY.match(log_end, raised.end()) if raised is not None else None
    return found and found[1].strip()


def boot_line(info: JobInfo, log_end: str = "") -> str | None:
    """Returns the one line of a failed boot; None if the boot did not fail."""
    found = BOOT_FAILED.search(info.message)
    if found is not None:
        return found.group().strip()
    node = _unbooted_node(info, log_end)
    return node and (
        f"raybundle: boot failed: bundle {info.metadata.get('raybundle')}: node {node}: "
        "file sitecustomize.py: expected the boot, found another or none (none has a task or an actor "
        "with a working_dir of its own)"
    )


def _unbooted_node(info: JobInfo, log_end: str) -> str | None:
    """Returns the address of a node where the supervisor or a worker did not run the boot."""
    if _NO_BOOT.search(info.message):
        return urlsplit(info.node or "").hostname or "unknown"
    worker = _NO_HOOK.search(log_end) if _WORKER_DIED.search(log_end) else None
    return worker.group(1) if worker else None


def could_not_start(info: JobInfo) -> bool:
    """Returns whether a failed job's driver never ran, or a worker's node could not set up the bundle."""
    never_ran = info.node is None or info.error_type in START_ERRORS
    return never_ran or _ENVIRONMENT_ERROR in info.message


def named_node(info: JobInfo) -> str | None:
    """Returns the address of the node in Ray's message, else that of the driver's node."""
    named = _NODE.search(info.message)
    return named.group(1) if named else urlsplit(info.node or "").hostname


def _lines_that_matter(message: str) -> str:
    """Returns the end of Ray's message, without the frames of its tracebacks."""
    kept, in_traceback = [], False
    for line in message.splitlines():
        if _TRACEBACK in line:
            in_traceback = True
        elif not (in_traceback and line.startswith(" ")):
            in_traceback = False
            kept.append(line.strip())
    return "\n  ".join([line for line in kept if line][-LINES:])[-LONGEST:] or "no reason given"
