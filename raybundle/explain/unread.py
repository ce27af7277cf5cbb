"""Tells which data of the project stays here although code reads files by names that only the run knows."""

# Why strings: a large project has 100,000 files; pathlib would cost ten times as much.
# ruff: noqa: PTH118

from __future__ import annotations

import os
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from raybundle.formats.amounts import counted, size_text
from raybundle.model import TRACKED, Warning
from raybundle.resolve.files.data_files import is_code, path_expression
from raybundle.resolve.files.secret_names import secret_name_rule

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from raybundle.model import Opened, Resolution

MOST = 20_000
"""Files to look at; more files of a larger project are not counted."""
_SHOWN = 3
"""Folders in the text."""

_NO_DATA = re.compile(
    r"(?i)\.|(?:readme|licen[sc]e|copying|notice|changelog|changes|history|contributing|authors|security"
    r"|code_of_conduct|citation|makefile|dockerfile|docker-compose|jenkinsfile|procfile|pipfile|manifest\.in"
    r"|pyproject\.toml|setup\.cfg|tox\.ini|pytest\.ini|mypy\.ini|ruff\.toml|environment\.ya?ml"
    r"|mkdocs\.yml|justfile|codecov\.yml|requirements[\w-]*\.(?:txt|in)|constraints[\w-]*\.txt"
    r"|package(?:-lock)?\.json|tsconfig\.json|raybundle-trace\.json)(?:\b|\Z)"
    r"|.*\.(?:pyi?|pyc|ipynb|rst|sh|bat|ps1|lock|log|js|jsx|tsx?|css|scss|go|rs|c|cc|cpp|h|hpp|java|scala"
    r"|whl|prof|ini~|orig)\Z"
)
"""Names that are hidden, documentation, settings of developers' tools, or code."""
_NO_DATA_FOLDERS = frozenset(
    [
        *("__pycache__", "node_modules", "build", "dist", "htmlcov", "site-packages", "wandb", "mlruns"),
        *(
            "lightning_logs",
            "logs",
            "log",
            "outputs",
            "output",
            "out",
            "runs",
            "tests",
            "test",
            "docs",
            "doc",
        ),
    ]
)
"""Folders of tools, of what jobs write, and of what they do not read."""


@dataclass(frozen=True, slots=True)
class StayingData:
    """Data files of a project that a job may look for."""

    files: int
    bytes: int
    folders: tuple[tuple[str, int], ...]
    """Top-level folders and their files, the fullest first; `.` for the project's root."""
    opened: tuple[Opened, ...]
    """The places that may read them."""

    @property
    def warnings(self) -> tuple[Warning, ...]:
        """A warning for each place that makes the name up by itself."""
        hint = (
            "`include` those that it reads in [tool.raybundle]; if it reads none of them, "
            "`# raybundle: ignore`"
        )
        return tuple(
            Warning(f"cannot know which file `{each.text}` reads: {self._amount}", each.file, each.line, hint)
            for each in self.opened
            if not each.passed
        )

    @property
    def note(self) -> str:
        """One line, for a project in which only callers know the names."""
        first = self.opened[0]
        return f"{self._amount}; `{first.text}` at {first.file}:{first.line} may look for others than travel"

    @property
    def _amount(self) -> str:
        shown = [f"{name}: {files}" for name, files in self.folders[:_SHOWN]]
        more = ["…"] if len(self.folders) > _SHOWN else []
        amount = f"{counted(self.files, 'data file')} of the project, {size_text(self.bytes)}"
        return f"{amount}, {'stays' if self.files == 1 else 'stay'} here ({', '.join([*shown, *more])})"


@dataclass(slots=True)
class DataFiles:
    """The files of projects that may be data; each project is walked once."""

    _found: dict[str, tuple[tuple[str, os.DirEntry[str]], ...]] = field(default_factory=dict)

    def below(self, project: str) -> tuple[tuple[str, os.DirEntry[str]], ...]:
        """Returns the files of a project that may be data, with their relative paths."""
        if project not in self._found:
            self._found[project] = tuple(data_below(project))
        return self._found[project]


def staying_data(
    resolution: Resolution, exclude: Collection[str], files: DataFiles, *, settled: bool
) -> StayingData | None:
    """Returns the data that a job may look for and the bundle does not have.

    Args:
        resolution: of the job.
        exclude: patterns of what the job does not need.
        files: of the project.
        settled: a setting says which data travels.

    Returns:
        None if there is none, if code reads no unknown files, or if `include` names data already.
    """
    decided = settled or any(
        each.reason == TRACKED or each.reason.startswith("include ") for each in resolution.data
    )
    if decided or not resolution.opened:
        return None
    project = str(resolution.project)
    taken = {str(each.file) for each in resolution.data}
    expressions = [path_expression(each) for each in exclude]
    folders: Counter[str] = Counter()
    size = 0
    for name, entry in files.below(project):
        if entry.path in taken or any(each.match(name) for each in expressions) or secret_name_rule(name):
            continue
        top, slash, _ = name.partition("/")
        folders[top if slash else "."] += 1
        size += entry.stat(follow_symlinks=False).st_size
    if not folders:
        return None
    ordered = tuple(sorted(folders.items(), key=lambda each: (-each[1], each[0])))
    return StayingData(sum(folders.values()), size, ordered, resolution.opened)


def data_below(project: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Yields the files of a project that may be data, with their relative paths, up to `MOST` of them."""
    waiting, seen = [""], 0
    while waiting and seen < MOST:
        below = waiting.pop()
        try:
            entries = sorted(os.scandir(os.path.join(project, below)), key=lambda each: each.name)
        except OSError:
            continue
        if below and any(each.name == "pyvenv.cfg" for each in entries):
            continue
        seen += len(entries)
        for each in entries:
            name = f"{below}{each.name}"
            if each.is_dir(follow_symlinks=False):
                if (
                    each.name not in _NO_DATA_FOLDERS
                    and not each.name.startswith(".")
                    and not each.name.endswith(".egg-info")
                ):
                    waiting.append(f"{name}/")
            elif (
                each.is_file(follow_symlinks=False)
                and not _NO_DATA.match(each.name)
                and not is_code(each.name)
            ):
                yield name, each
