"""Writes small projects, and describes the interpreter for them."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from raybundle.cache.documents import Cache
from raybundle.resolve.interpreter.describe import describe

if TYPE_CHECKING:
    from raybundle.model import Interpreter


def tree(directory: Path, files: dict[str, str]) -> Path:
    """Writes a project: text by path; `pyproject.toml` is added."""
    for name, text in {"pyproject.toml": "", **files}.items():
        file = directory / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return directory


def interpreter(work: Path, **environ: str) -> Interpreter:
    """Describes the interpreter of the tests, without PYTHON* variables except those in `environ`."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return describe(Path(sys.executable), {**clean, **environ}, work, _answers())


@cache
def _answers() -> Cache:
    """Returns a cache for the session: tests that ask the same are answered once."""
    directory = tempfile.mkdtemp(prefix="raybundle-tests-")
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return Cache(Path(directory))
