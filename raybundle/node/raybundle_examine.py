"""What else a node tells of itself when somebody examines it: disk, cache, clock, GPUs, what shapes its path.

Standard library only. Runs in a task of a job that has no bundle, on the interpreter that runs Ray.
"""

from __future__ import annotations

import glob
import importlib.metadata
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from typing import Any

PRIVATE = f"/tmp/raybundle-{os.getuid()}"
"""The cache of this user on this node."""
GPU_SECONDS = 5
"""Time for nvidia-smi to answer."""


def facts(names: list[str]) -> dict[str, Any]:
    """Returns what can be examined of this node.

    Args:
        names: distributions whose versions are wanted.
    """
    return {
        "time": time.time(),
        "executable": sys.executable,
        "versions": {name: version_of(name) for name in names},
        "tmp_runs": runs_programs("/tmp"),
        "cache": cache_facts(),
        "spill": spill_facts(),
        "gpus": gpus(),
        "variables": variables(),
        "pth": sorted(found for entry in sys.path for found in glob.glob(os.path.join(entry, "*.pth"))),
        "site": site_files(),
    }


def version_of(name: str) -> str | None:
    """Returns the version of a distribution; None if it is not installed."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def runs_programs(directory: str) -> bool:
    """Whether programs and native modules in a directory can be run: it is not mounted `noexec`."""
    with tempfile.NamedTemporaryFile("w", dir=directory, prefix="raybundle-", delete=False) as file:
        file.write("#!/bin/sh\nexit 0\n")
    try:
        os.chmod(file.name, 0o700)
        return subprocess.run([file.name], check=False, capture_output=True).returncode == 0
    except OSError:
        return False
    finally:
        os.unlink(file.name)


def cache_facts() -> dict[str, Any]:
    """Returns whether the private cache can be used, and what it holds."""
    try:
        found = os.lstat(PRIVATE)
    except FileNotFoundError:
        return {"path": PRIVATE, "fault": None, "trees": 0, "layers": 0}
    fault = None
    if not stat.S_ISDIR(found.st_mode):
        fault = "it is not a directory"
    elif found.st_uid != os.getuid():
        fault = f"it belongs to user {found.st_uid}"
    elif found.st_mode & 0o077:
        fault = f"its mode is {stat.S_IMODE(found.st_mode):o}, and must be 700"
    counts = {kind: entries_in(os.path.join(PRIVATE, kind)) for kind in ("trees", "layers")}
    return {"path": PRIVATE, "fault": fault, **counts}


def entries_in(directory: str) -> int:
    """Returns how many finished entries a folder of the cache has."""
    try:
        return sum(not name.startswith(".") and "." not in name for name in os.listdir(directory))
    except OSError:
        return 0


def spill_facts() -> dict[str, Any]:
    """Returns how full the disk is to which Ray spills objects; above 95 % it refuses to."""
    import ray

    try:
        directory = ray._private.worker._global_node.get_session_dir_path()
    except AttributeError:
        directory = tempfile.gettempdir()
    usage = shutil.disk_usage(directory)
    return {"path": directory, "used": usage.used, "total": usage.total}


def gpus() -> dict[str, Any] | None:
    """Returns the GPUs and their driver; None if the node has no nvidia-smi."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    words = [program, "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=GPU_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        return {"names": [], "driver": "", "fault": f"{type(error).__name__}: nvidia-smi does not answer"}
    if done.returncode != 0:
        said = (done.stdout + done.stderr).strip().splitlines()
        return {"names": [], "driver": "", "fault": (said or ["nvidia-smi failed"])[-1]}
    rows = [line.rpartition(", ") for line in done.stdout.splitlines() if line.strip()]
    return {"names": [row[0] for row in rows], "driver": rows[0][2] if rows else "", "fault": None}


def variables() -> dict[str, str]:
    """Returns the variables of the raylet that change Python; what Ray adds for this job is left out."""
    found = {name: value for name, value in sorted(os.environ.items()) if name.startswith("PYTHON")}
    if "PYTHONPATH" in found:
        own = [each for each in found["PYTHONPATH"].split(os.pathsep) if "/runtime_resources/" not in each]
        found["PYTHONPATH"] = os.pathsep.join(own)
    return {name: value for name, value in found.items() if value}


def site_files() -> list[str]:
    """Returns the node's own `sitecustomize` and `usercustomize`."""
    found = []
    for name in ("sitecustomize", "usercustomize"):
        for entry in sys.path:
            found += glob.glob(os.path.join(entry, f"{name}.py"))
    return [each for each in found if not each.startswith(os.path.dirname(os.path.abspath(__file__)))]
