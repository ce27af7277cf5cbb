"""Looks up facts about the directory in which a command line is typed."""

from __future__ import annotations

import re
from pathlib import Path

from raybundle.cli.entrypoint.model import Surroundings
from raybundle.resolve.driver.console_script import declares_script
from raybundle.resolve.driver.project import find_project

_LARGEST = 65_536
"""Characters of a script to read; scripts written by hand are shorter."""
_DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)


def surroundings(working_dir: Path | None = None) -> Surroundings:
    """Returns facts about `working_dir`, which is the project if given, then the current directory."""
    base = working_dir or Path.cwd()
    project = working_dir or find_project(base)
    return Surroundings(
        exists=lambda word: _found(word, base) is not None,
        text=lambda word: _text(_found(word, base)),
        is_script=lambda name: "/" not in name and declares_script(name, project),
        include=lambda word: _pattern(word, base, project),
        is_apart=lambda folder: (
            working_dir is None and find_project((base / folder).resolve()) != project.resolve()
        ),
    )


def _found(word: str, base: Path) -> Path | None:
    """Returns the file or directory that a word names; None if there is none."""
    try:
        for directory in (base, Path.cwd()):
            if word and (directory / word).exists():
                return directory / word
    except (OSError, ValueError):
        return None
    return None


def _text(file: Path | None) -> str | None:
    if file is None or not file.is_file():
        return None
    try:
        with file.open(encoding="utf-8") as stream:
            return stream.read(_LARGEST)
    except (OSError, ValueError):
        return None


def _pattern(word: str, base: Path, project: Path) -> str | None:
    """Returns the `--include` for a word: a path, or a module of the project by its dotted name."""
    found = _found(word, base)
    if found is None and _DOTTED.fullmatch(word):
        path = word.replace(".", "/")
        found = _found(f"{path}.py", base) or _found(path, base)
    real = project.resolve()
    if found is None or real not in found.resolve().parents:
        return None
    relative = found.resolve().relative_to(real).as_posix()
    return f"{relative}/**" if found.is_dir() else relative
