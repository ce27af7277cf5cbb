"""Finds an interpreter that can start Ray, and the environment in which it does."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from raybundle.errors import ClusterError
from raybundle.resolve.interpreter.describe import MINOR, find_version

if TYPE_CHECKING:
    from collections.abc import Mapping

RAY_ENVIRONMENT = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
"""The second keeps Ray on loopback on Linux: without it, Ray replaces `--node-ip-address 127.0.0.1` by the
machine's address and listens to the network (`get_node_ip_address` in ray/_private/services.py)."""

PROBE = """
import sys
sys.path[:] = [entry for entry in sys.path if entry]
import json
import aiohttp, ray._version
print(json.dumps([sys.executable, sys.prefix, ray._version.version, "%d.%d" % sys.version_info[:2]]))
"""


@dataclass(frozen=True, slots=True)
class RayInterpreter:
    """An interpreter that can start Ray."""

    executable: Path
    prefix: Path
    ray_version: str
    minor: str
    """Of Python, such as `3.12`."""


def find_ray(python: str) -> RayInterpreter:
    """Returns the interpreter if it has Ray, else raybundle's own, which has Ray by `raybundle[ray]`."""
    if MINOR.fullmatch(python):
        return _find_version(python)
    try:
        return _ask(python)
    except ClusterError:
        with contextlib.suppress(ClusterError):
            return _ask(sys.executable)
        raise


def _find_version(version: str) -> RayInterpreter:
    """Returns the first with Ray: of the active environment, of `.venv`, raybundle's own, on PATH."""
    active, own = os.environ.get("VIRTUAL_ENV"), str(Path.cwd() / ".venv/bin/python")
    candidates = (active and f"{active}/bin/python", own, sys.executable, find_version(version, os.environ))
    for candidate in filter(None, candidates):
        with contextlib.suppress(ClusterError):
            found = _ask(candidate)
            if found.minor == version:
                return found
    raise ClusterError(
        f"no Python {version} with Ray was found for the embedded cluster",
        hint=f"install 'raybundle[ray]' for a `python{version}` on PATH, or name a cluster with --address",
    )


def _ask(python: str) -> RayInterpreter:
    """Asks the interpreter for itself and its Ray, in 0.1 s: `import ray` takes a second."""
    try:
        done = subprocess.run(
            [_absolute(python), "-c", PROBE],
            env=ray_environment(Path(python)),
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError as error:
        raise ClusterError(f"cannot run the interpreter `{python}`: {error.strerror}") from error
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise ClusterError(
            f"`{python}` cannot start the embedded cluster: {reason}",
            hint="pip install 'raybundle[ray]' for this interpreter, or name a cluster with --address",
        )
    executable, prefix, version, minor = json.loads(done.stdout)
    return RayInterpreter(Path(executable), Path(prefix), version, minor)


def _absolute(python: str) -> str:
    return os.path.abspath(python) if os.sep in python else python  # noqa: PTH100 - keeps a bare name


def ray_environment(python: Path) -> dict[str, str]:
    """Returns this process's environment without variables that misdirect Ray or its jobs' Python."""
    foreign = ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS", "PYTHONPATH", "PYTHONHOME")
    kept: Mapping[str, str] = {
        name: value
        for name, value in os.environ.items()
        if name not in foreign and not name.startswith(("RAYBUNDLE_", "RAY_JOB_", "RAY_AUTH_"))
    }
    path = os.pathsep.join([str(python.parent), kept.get("PATH", os.defpath)])
    return {**kept, "PATH": path, **RAY_ENVIRONMENT}
