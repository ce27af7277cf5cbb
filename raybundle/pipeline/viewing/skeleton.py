"""What `ray job submit --working-dir` would send, as empty files of the same names: no user code travels."""

# Why strings: a directory may have 100,000 files; pathlib would cost ten times as much.
# ruff: noqa: PTH113, PTH118, PTH120

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from raybundle.errors import UsageError
from raybundle.model import DirectoryTarget, ModuleTarget, ScriptTarget

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from raybundle.model import Resolution

ENDS = (".py", ".so", ".pyc", ".pth", ".zip", ".egg")
"""Ends of names from which imports may be answered; other files are left out."""
NEVER = frozenset([".git", ".venv", "venv", "__pycache__"])
"""Directories that Ray 2.60 leaves out by default; ray/_private/ray_constants.py."""
PATIENCE = 20
"""Seconds until git counts as not there."""


def sent_files(directory: str, excludes: Sequence[str], environ: Mapping[str, str]) -> list[str]:
    """Returns the files with code that Ray would send from a directory, relative to it.

    Ray reads `.gitignore` and `.rayignore` in each directory, whether or not it is a repository's. Git
    answers for it from an empty repository elsewhere; without git, nothing is ignored.

    Args:
        directory: that is sent.
        excludes: of the runtime_env.
        environ: of this process.
    """
    listed = _listed(directory, excludes, environ)
    names = _walked(directory, "") if listed is None else _with_inner(directory, listed)
    return sorted(each for each in names if each.endswith(ENDS) and not NEVER & set(each.split("/")[:-1]))


def _listed(directory: str, excludes: Sequence[str], environ: Mapping[str, str]) -> list[str] | None:
    clean = {name: value for name, value in environ.items() if not name.startswith("GIT_")}
    with tempfile.TemporaryDirectory(prefix="raybundle-git-") as place:
        words = ["ls-files", "-z", "--others", "--exclude-per-directory=.gitignore"]
        words += [f"--exclude={each}" for each in excludes]
        if os.path.isfile(ignored := os.path.join(directory, ".rayignore")):
            words.append(f"--exclude-from={ignored}")
        try:
            subprocess.run(["git", "init", "-q", "--bare", place], check=True, env=clean, timeout=PATIENCE)
            command = ["git", f"--git-dir={place}", f"--work-tree={directory}", "-c", "core.fsmonitor=false"]
            done = subprocess.run(
                [*command, *words],
                cwd=directory,
                check=True,
                stdout=subprocess.PIPE,
                env=clean,
                timeout=PATIENCE,
            )
        except (OSError, subprocess.SubprocessError):
            return None
    return [os.fsdecode(name) for name in done.stdout.split(b"\0") if name]


def _with_inner(directory: str, names: list[str]) -> Iterator[str]:
    """Yields names, and what is in repositories below, of which git names only the directory."""
    for name in names:
        if name.endswith("/"):
            yield from _walked(directory, name.rstrip("/"))
        else:
            yield name


def _walked(directory: str, inside: str) -> Iterator[str]:
    for place, folders, names in os.walk(os.path.join(directory, inside)):
        folders[:] = [each for each in folders if each not in NEVER]
        yield from (os.path.relpath(os.path.join(place, name), directory) for name in names)


def words_of(resolution: Resolution, directory: str) -> tuple[tuple[str, ...], str]:
    """Returns what is after `python` to run a target in a copy of a directory, and the file that it runs.

    Raises:
        UsageError: plain Ray cannot run it.
    """
    words: tuple[str, ...] = ()
    match resolution.target:
        case ScriptTarget(path=path):
            file = str(path)
        case DirectoryTarget(path=path):
            file = str(path / "__main__.py")
        case ModuleTarget(name=name):
            files = {each.name: each.file for each in resolution.modules}
            found = files.get(name) or next(each.file for each in resolution.modules if each.file)
            words, file = ("-m", str(name)), str(found)
        case _:
            raise UsageError("plain Ray runs neither notebooks nor console scripts: `--plain` takes a script")
    inside = os.path.relpath(file, directory)
    if Path(inside).parts[0] == os.pardir:
        raise UsageError(
            f"{file} is not below {directory}, which plain Ray would send",
            hint="run the command in the directory that has it, or give `--working-dir`",
        )
    if not words:
        given = inside if isinstance(resolution.target, ScriptTarget) else os.path.dirname(inside)
        words = (given,)
    return words, inside
