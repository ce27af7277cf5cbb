"""Finds the project that a bundle is relative to, and the directory Python puts first on the path."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raybundle.graph.exhaustive import assert_never
from raybundle.model import ModuleTarget, ScriptTarget

if TYPE_CHECKING:
    from pathlib import Path

    from raybundle.model import Target


def find_project(target_path: Path) -> Path:
    """Return the nearest parent with pyproject.toml, else with .git, else the target's directory."""
    start = target_path if target_path.is_dir() else target_path.parent
    for marker in ("pyproject.toml", ".git"):
        for directory in (start, *start.parents):
            if (directory / marker).exists():
                return directory
    return start


def project_of(target: Target, cwd: Path) -> Path:
    """Return the project of `target`; `-m` names no file, so it is looked for from `cwd`."""
    match target:
        case ScriptTarget(path=path):
            return find_project(path)
        case ModuleTarget():
            return find_project(cwd)
        case other:
            return assert_never(other)


def first_directory(target: Target, cwd: Path) -> Path:
    """Return `sys.path[0]`: the script's real directory, or `cwd` for `-m`."""
    match target:
        case ScriptTarget(path=path):
            return path.resolve().parent
        case ModuleTarget():
            return cwd
        case other:
            return assert_never(other)
