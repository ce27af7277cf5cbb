"""Puts targets, sizes and counts into words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raybundle.exhaustive import assert_never
from raybundle.model import (
    ConsoleScriptTarget,
    DirectoryTarget,
    FunctionTarget,
    ModuleTarget,
    NotebookTarget,
    ScriptTarget,
)

if TYPE_CHECKING:
    from raybundle.model import Resolution, Target
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from raybundle.model import Resolution


def target_text(target: Target) -> str:
    """Returns a target as a user would write it."""
    match target:
        case ScriptTarget(path=path) | DirectoryTarget(path=path) | NotebookTarget(path=path):
            words = [str(path)]
        case ModuleTarget(name=module):
            words = ["-m", module]
        case ConsoleScriptTarget(name=name):
            words = [name]
        case FunctionTarget(script=path):
            words = [path.name]
        case other:
            return assert_never(other)
    return " ".join([*target.options, *words])


def shown(file: Path, resolution: Resolution) -> str:
    """Returns a file, relative to the project if it is inside."""
    return str(file.relative_to(resolution.project) if file.is_relative_to(resolution.project) else file)
