"""Writes what processes a job has, and what they import from outside the bundle, for the client to read.

The lines go to a file in Ray's log directory of this node, which Ray's state API serves. Each process adds
one, and the first one that of the node. An entry of the path that is not the bundle's gets a finder that adds
a line for each module found there. No other import costs anything. What cannot be written is not an error.
"""

from __future__ import annotations

import os
import sys
import time

TYPE_CHECKING = False  # `typing` costs 5 ms in every process
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from raybundle.node.raybundle_path import Places

LOGS, JOB = "RAYBUNDLE_LOGS", "RAYBUNDLE_JOB"
"""Variables that `raybundle_scratch` sets."""
LARGEST = 256 << 10
"""Bytes after which a file gets no more lines."""
MOST = 100
"""Modules from outside the bundle that one process reports."""
IMPORTING = "_find_and_load_unlocked"
"""The function of `importlib` that imports; `find_spec` alone only asks."""
INFO = ".dist-info"
DEPTH = 5
"""Frames between a finder of files and that function, at most."""
_role: list[str] = []
_told: set[str] = set()


def tell(role: str, places: Places, started: str) -> None:
    """Adds the line of this process; before it those of the node, if this is the job's first process here.

    Args:
        role: of this process.
        places: what the job runs from.
        started: when this process was started, in clock ticks since the machine was; empty if unknown.
    """
    _role[:] = [role]
    times = [f"{time.time():.3f}", f"{_age(started):.2f}"] if started else []
    _write(_describe_node(places), os.O_CREAT | os.O_EXCL)
    version = ".".join(map(str, sys.version_info[:3]))
    _write(["process", role, str(os.getpid()), f"{sys.implementation.name} {version}", *times])


def _age(started: str) -> float:
    """Returns the seconds since this process was started."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) - int(started) / os.sysconf("SC_CLK_TCK")


def tell_ready() -> None:
    """Adds the line of a worker that is about to run its first task."""
    _write(["ready", str(os.getpid()), f"{time.time():.3f}"])


def _describe_node(places: Places) -> Iterator[str]:
    """Yields the words of the node's line: its name, platform, libc, and what the cluster provides."""
    uname = os.uname()
    yield from ("node", uname.nodename, f"{sys.platform}-{uname.machine}")
    yield (os.confstr("CS_GNU_LIBC_VERSION") or "") if "CS_GNU_LIBC_VERSION" in os.confstr_names else ""
    yield from sorted(name[: -len(INFO)] for name in os.listdir(places.links[0]) if name.endswith(INFO))


def watching(file_finder: Callable[[str], Any], places: list[Places]) -> Callable[[str], Any]:
    """Returns a path hook that reports what is imported from directories outside the bundle.

    Args:
        file_finder: Python's path hook for directories.
        places: of this process; empty until they are known.
    """

    def hook(entry: str) -> Any:
        finder = file_finder(entry)
        if places and not _is_inside(entry, places[0]):
            finder.find_spec = _reporting(finder.find_spec)
        return finder

    return hook


def _is_inside(entry: str, places: Places) -> bool:
    """Returns whether a directory is one of the bundle, of Ray or of the standard library."""
    library = os.path.dirname(os.__file__)
    inside = (places.tree, places.archive, places.environment, *places.links, library)
    path = os.path.abspath(entry)
    found = next((each for each in inside if each and (path == each or path.startswith(f"{each}/"))), "")
    return bool(found) and not (found == library and "-packages" in path[len(library) :])


def _reporting(find: Callable[..., Any]) -> Callable[..., Any]:
    def find_spec(name: str, target: Any = None) -> Any:
        spec = find(name, target)
        if spec is not None and spec.origin and name not in _told and len(_told) < MOST and _is_import():
            _told.add(name)
            _write(["outside", *(_role or ["child"]), str(os.getpid()), name, os.path.abspath(spec.origin)])
        return spec

    # Python hides its own import system in tracebacks. This hides the function too.
    find_spec.__code__ = find_spec.__code__.replace(co_filename="<frozen importlib._bootstrap>")
    return find_spec


def _is_import() -> bool:
    frame: Any = sys._getframe(2)
    for _ in range(DEPTH):
        if frame is None or frame.f_code.co_name == IMPORTING:
            break
        frame = frame.f_back
    return frame is not None and frame.f_code.co_name == IMPORTING


def _file() -> str:
    """Returns the absolute path of the job's file; empty if the job or the directory is unknown."""
    job, logs = os.environ.get(JOB, "").partition(" ")[2], os.environ.get(LOGS, "")
    return f"{logs}/raybundle-seen-{job}.txt" if logs and job and "/" not in job else ""


def _write(words: Iterable[str], mode: int = 0) -> bool:
    """Adds a line of words with tabs between them; returns whether it is written.

    Args:
        words: of the line; they are asked for once the file is open.
        mode: `O_CREAT` and `O_EXCL` if this process is to make the file.
    """
    flags = os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK  # a FIFO there must not stop the boot
    try:
        descriptor = os.open(_file(), flags | mode, 0o600)
    except OSError:
        return False
    try:
        if os.fstat(descriptor).st_size > LARGEST:
            return False
        line = "\t".join(word.replace("\t", " ").replace("\n", " ") for word in words)
        os.write(descriptor, f"{line}\n".encode(errors="surrogateescape"))
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True
