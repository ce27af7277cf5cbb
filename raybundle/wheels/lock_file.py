"""Finds the lock of a project."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raybundle.errors import UsageError
from raybundle.formats.toml import read_toml, value_at

if TYPE_CHECKING:
    from pathlib import Path


def find_lock(project: Path) -> Path | None:
    """Returns the lock of a project: uv.lock (also of its workspace), pylock.toml or requirements.txt."""
    for directory in (project, *project.parents):
        if (directory / "uv.lock").is_file():
            if directory == project or _has_member(directory, project):
                return directory / "uv.lock"
            break
    named = sorted(project.glob("pylock.*.toml"))
    names = ["pylock.toml", *(each.name for each in named if len(named) == 1), "requirements.txt"]
    return next((project / name for name in names if (project / name).is_file()), None)


def workspace_of(project: Path) -> Path | None:
    """Returns the directory of the uv workspace that `project` is a member of."""
    return next((each for each in project.parents if _has_member(each, project)), None)


def _has_member(workspace: Path, project: Path) -> bool:
    """Returns whether `project` is a member of the uv workspace in a directory."""
    relative = project.relative_to(workspace)
    try:
        table = value_at(read_toml(workspace / "pyproject.toml"), "tool.uv.workspace")
        patterns = [str(each).rstrip("/") for each in table.get("members", ())]
        excluded = [str(each).rstrip("/") for each in table.get("exclude", ())]
        member = any(project in list(workspace.glob(each)) for each in patterns)
        return member and not any(relative.match(each) for each in excluded)
    except (UsageError, AttributeError, TypeError, ValueError, NotImplementedError):
        return False  # there is no workspace, or uv refuses it
