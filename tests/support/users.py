"""The environment of the tests' users, with distributions that no node has."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.support.lacking import lacking

VERSIONS = (
    "import importlib.metadata as m, json, sys; print(json.dumps({n: m.version(n) for n in sys.argv[1:]}))"
)


def user_environment() -> Path:
    """Returns the environment with the groups `jobs` and `layers`: RAYBUNDLE_TEST_USER_ENV or the tests'."""
    return Path(os.environ.get("RAYBUNDLE_TEST_USER_ENV", sys.prefix))


def user_python() -> Path:
    """Returns the interpreter of the users who submit jobs."""
    return user_environment() / "bin" / "python"


def installed_versions(python: Path, *names: str) -> dict[str, str]:
    """Asks an interpreter for the versions of distributions."""
    done = subprocess.run([python, "-c", VERSIONS, *names], check=True, capture_output=True, text=True)
    versions: dict[str, str] = json.loads(done.stdout)
    return versions


def require_distributions() -> None:
    """Skips the test without the distributions that jobs import; fails in CI."""
    if not any(user_environment().glob("lib/python3*/site-packages/azure/storage/blob")):
        lacking("no environment has the dependency groups `jobs` and `layers`; scripts/test makes one")
