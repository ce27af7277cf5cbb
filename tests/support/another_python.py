"""A Python of another minor version than the tests have."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


def find_python_312() -> str:
    """Returns a Python 3.12 that runs; skips the test if the nodes have it too, or there is none."""
    if sys.version_info[:2] == (3, 12):
        pytest.skip("the nodes have Python 3.12 themselves")
    found = [Path(each, "python3.12") for each in os.get_exec_path()]
    found += Path.home().glob(".pyenv/versions/3.12*/bin/python3.12")
    for python in filter(Path.exists, found):  # a shim of pyenv may lead nowhere
        if subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode == 0:
            return str(python)
    pytest.skip("there is no Python 3.12: a client of another minor is not shown on real nodes")
