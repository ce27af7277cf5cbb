"""Finds how Ray's own agent runs on this node: what it can read, the node can read."""

from __future__ import annotations

import os
import shlex
import sys


def find_agent() -> tuple[str, dict[str, str], int]:
    """Returns interpreter and environment of Ray's agent on this node, and the pid of its raylet.

    The agent is a child of the raylet, as is this process. Without `/proc` (macOS), they are this process's.
    """
    pid = os.getpid()
    try:
        while pid > 1 and _read(f"/proc/{pid}/comm") != "raylet\n":
            pid = int(_read(f"/proc/{pid}/stat").rpartition(")")[2].split()[1])
        if pid > 1:
            variables = _read(f"/proc/{pid}/environ").split("\0")
            environ = dict(each.split("=", 1) for each in variables if "=" in each)
            for word in _read(f"/proc/{pid}/cmdline").split("\0"):
                if word.startswith("--runtime_env_agent_command="):
                    return shlex.split(word.partition("=")[2])[0], environ, pid
    except (OSError, ValueError, IndexError):
        pass
    own = {name: value for name, value in os.environ.items() if not name.startswith(("RAYBUNDLE_", "PYTHON"))}
    return sys.executable, own, 0


def _read(file: str) -> str:
    with open(file, errors="surrogateescape") as stream:
        return stream.read()
