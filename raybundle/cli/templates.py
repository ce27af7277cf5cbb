"""Finds the files of templates/, and writes them where a user wants them."""

from __future__ import annotations

import difflib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from raybundle.errors import UsageError

KINDS = ("airflow", "github", "gitlab", "iam", "jenkins", "kuberay", "notebook", "project", "serve")
State = Literal["new", "same", "differs"]


@dataclass(frozen=True, slots=True)
class Placed:
    """A file of a template, and what is at its place."""

    path: Path
    """Where it belongs."""
    text: str
    state: State

    def diff(self) -> str:
        """Returns how the file there differs, as a unified diff; empty if it does not."""
        there = self.path.read_text("utf-8", "replace") if self.path.is_file() else ""
        name = str(self.path)
        before, after = there.splitlines(keepends=True), self.text.splitlines(keepends=True)
        return "".join(difflib.unified_diff(before, after, name, f"{name} (template)"))


def templates() -> Path:
    """Returns the directory of templates: in the package as it is installed, or beside it in a clone."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "templates"
    return inside if inside.is_dir() else package.parent / "templates"


def look(kind: str, directory: Path) -> tuple[Placed, ...]:
    """Returns the files of a template, sorted by path, with what is at their places in a directory.

    Raises:
        UsageError: a directory is where a file belongs, or the other way round.
    """
    source, found = templates() / kind, []
    for file in sorted(source.rglob("*")):
        if not file.is_file() or "__pycache__" in file.parts:
            continue
        path, data = directory / file.relative_to(source), file.read_bytes()
        state: State = "new"
        if os.path.lexists(path):  # a link that leads nowhere would lead the text elsewhere
            state = "same" if path.is_file() and path.read_bytes() == data else "differs"
        found.append(Placed(path, data.decode(), state))
    _refuse_obstacles(kind, [each.path for each in found])
    return tuple(found)


def _refuse_obstacles(kind: str, files: list[Path]) -> None:
    directories = dict.fromkeys(parent for file in files for parent in file.parents)
    inside = [f"{each} is a directory" for each in files if each.is_dir() and not each.is_symlink()]
    inside += [
        f"{each} is not a directory" for each in directories if os.path.lexists(each) and not each.is_dir()
    ]
    if inside:
        raise UsageError(
            f"{', '.join(inside)}: the template `{kind}` has no place there",
            hint=f"move it away, or name another directory: `raybundle init {kind} DIRECTORY`",
        )


def place(files: tuple[Placed, ...], *, force: bool) -> None:
    """Writes the files that are not there; those that differ as well, with `force`.

    Raises:
        UsageError: files differ, and nothing was written.
    """
    differ = [str(each.path) for each in files if each.state == "differs"]
    if differ and not force:
        raise UsageError(
            f"{', '.join(differ)} is there already, with other content",
            hint="`--diff` shows what would change, and `--force` overwrites it",
        )
    for each in files:
        if each.state != "same":
            each.path.parent.mkdir(parents=True, exist_ok=True)
            if each.path.is_symlink():
                each.path.unlink()
            each.path.write_text(each.text, "utf-8")
