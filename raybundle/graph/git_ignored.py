"""Asks git which files of a bundle it ignores: they travel, and are in no commit."""

# Why strings: a large bundle has 13,000 files; pathlib would cost ten times as much.
# ruff: noqa: PTH118, PTH120

from __future__ import annotations

import os
import subprocess
from collections import defaultdict
from os.path import dirname, join, realpath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

_TIMEOUT = 20
"""Seconds until git counts as not there."""


def git_ignored(files: Iterable[Path], environ: Mapping[str, str]) -> tuple[Path, ...] | None:
    """Return those of `files` that git ignores and does not track, in their order.

    None where that is not known: without git, outside of a repository, or if git refuses an answer.
    """
    tops: dict[str, str | None] = {}
    by_top: dict[str, dict[str, Path]] = defaultdict(dict)
    for file in files:
        directory = realpath(dirname(file))  # git looks behind no symbolic link
        top = _top(directory, tops)
        if top is not None:
            by_top[top][join(directory, file.name)] = file
    clean = {name: value for name, value in environ.items() if not name.startswith("GIT_")}
    answers = [_ask(top, known, clean) for top, known in by_top.items()]
    if not answers or None in answers:
        return None
    return tuple(file for answer in answers for file in answer or ())


def _top(directory: str, known: dict[str, str | None]) -> str | None:
    """Return the nearest directory that is a git working tree, itself or above."""
    if directory not in known:
        above = dirname(directory)
        if os.path.lexists(join(directory, ".git")):
            known[directory] = directory
        else:
            known[directory] = None if above == directory else _top(above, known)
    return known[directory]


def _ask(top: str, files: Mapping[str, Path], environ: Mapping[str, str]) -> list[Path] | None:
    asked = b"".join(os.fsencode(file) + b"\0" for file in files)
    # A repository may name a program as its file system monitor: reading a plan runs none.
    command = ["git", "-C", top, "-c", "core.fsmonitor=false", "check-ignore", "--stdin", "-z"]
    try:
        done = subprocess.run(
            command, input=asked, capture_output=True, check=False, env=environ, timeout=_TIMEOUT
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    if done.returncode not in {0, 1}:  # 1: it ignores none of them
        return None
    ignored = set(done.stdout.split(b"\0"))
    return [file for name, file in files.items() if os.fsencode(name) in ignored]
