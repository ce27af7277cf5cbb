"""Writes small projects, and describes the interpreter for them."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from raybundle.cache.documents import Cache
from raybundle.resolve.interpreter.describe import describe
from tests.support.known import session

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
    return describe(Path(sys.executable), {**clean, **environ}, work, Cache(session()))
