"""Finds out who submits, with what, and from which commit; git is asked while other things are done."""

from __future__ import annotations

import contextlib
import getpass
import hashlib
import os
import socket
import subprocess
import sys
import sysconfig
import threading
from functools import cache
from typing import TYPE_CHECKING, Any

from raybundle.formats.credentials import masked, without_credentials
from raybundle.wheels.lock_file import find_lock

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

_GIT_SECONDS = 5
"""Longest wait for one answer of git: a submission does not depend on it."""
MOST_CHANGED = 1000
"""Files in a record that differ from the commit."""
_PROJECT = "project/"


@cache
def client_facts() -> dict[str, Any]:
    """Returns who submits, and with what."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # no name for this number
        user = ""
    client = {
        "python": sys.version.split()[0],
        "implementation": sys.implementation.name,
        "platform": sysconfig.get_platform(),
        "libc": _libc(),
    }
    if (ray := _version_of("ray")) is not None:
        client["ray"] = ray
    return {"user": user, "host": socket.gethostname(), "client": client}


def _libc() -> str:
    """Returns the C library, such as `glibc 2.36`: in the system's words if it has any, else in Python's."""
    with contextlib.suppress(AttributeError, ValueError, OSError):
        if found := os.confstr("CS_GNU_LIBC_VERSION"):
            return found
    import platform  # noqa: PLC0415 - start-up: musl and macOS need it

    return " ".join(filter(None, platform.libc_ver()))


def _version_of(name: str) -> str | None:
    """Returns the version of a distribution, which the name of its `.dist-info` has: 20 ms less than asking.

    `importlib.metadata` reads all of METADATA for it, as an email.
    """
    for entry in sys.path:
        with contextlib.suppress(OSError):
            for found in os.listdir(entry or "."):  # noqa: PTH208 - 5 times as fast for 500 names
                if found.startswith(f"{name}-") and found.endswith(".dist-info"):
                    return found[len(name) + 1 : -len(".dist-info")]
    return None


class Origin:
    """The state of a project's repository and lock, asked for in a thread of its own."""

    def __init__(self, project: Path, environ: Mapping[str, str]) -> None:
        """Begins to ask."""
        self._project = project
        self._environ = {name: value for name, value in environ.items() if not name.startswith("GIT_")}
        self._found: dict[str, Any] = {}
        self._tracked: frozenset[str] = frozenset()
        self._changed: frozenset[str] = frozenset()
        self._thread = threading.Thread(target=self._ask, name="origin", daemon=True)
        self._thread.start()

    def facts(self, paths: Iterable[str]) -> dict[str, Any]:
        """Returns `git` and `lock` of a record, as far as there are any.

        Args:
            paths: of the bundle's files; only these can make it differ from the commit.
        """
        self._thread.join()
        found = dict(self._found)
        if "git" in found:
            own = sorted(each.removeprefix(_PROJECT) for each in paths if each.startswith(_PROJECT))
            changed = [each for each in own if each in self._changed or each not in self._tracked]
            found["git"] = {**found["git"], "dirty": bool(changed), "changed": changed[:MOST_CHANGED]}
        return found

    def _ask(self) -> None:
        lock = find_lock(self._project)
        if lock is not None:
            try:
                digest = hashlib.sha256(lock.read_bytes()).hexdigest()
            except OSError:
                digest = ""
            if digest:
                self._found["lock"] = {"file": lock.name, "sha256": digest}
        commit = self._git("rev-parse", "--verify", "HEAD")
        if not commit:
            return
        git = {"commit": commit.strip()}
        if remote := self._git("config", "--get", "remote.origin.url").strip():
            git["remote"] = public_remote(remote)
        self._changed = frozenset(self._git("diff", "--name-only", "-z", "--relative", "HEAD").split("\0"))
        self._tracked = frozenset(self._git("ls-files", "-z").split("\0"))
        self._found["git"] = git

    def _git(self, *words: str) -> str:
        """Returns what git says; an empty text if it fails."""
        command = ["git", "-C", str(self._project), "-c", "core.fsmonitor=false", *words]
        try:
            done = subprocess.run(
                command, env=self._environ, capture_output=True, check=False, timeout=_GIT_SECONDS
            )
        except (OSError, subprocess.TimeoutExpired):
            return ""
        return done.stdout.decode("utf-8", "surrogateescape") if done.returncode == 0 else ""


def public_remote(remote: str) -> str:
    """Returns the URL of a remote without users, passwords, tokens and queries."""
    return masked(without_credentials(remote))
