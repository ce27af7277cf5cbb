"""Asks git which files of a bundle it ignores: they travel, and are in no commit."""

# Why strings: a large bundle has 13,000 files; pathlib would cost ten times as much.
# ruff: noqa: PTH118, PTH120

from __future__ import annotations

import os
from collections import defaultdict
from os.path import dirname, join, realpath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path
    from subprocess import CompletedProcess

_TIMEOUT = 20
"""Seconds until git counts as not there."""


def git_ignored(files: Iterable[Path], environ: Mapping[str, str]) -> tuple[Path, ...] | None:
    """Returns those of `files` that git ignores and does not track, in their order.

    None where that is not known: without git, outside of a repository, or if git refuses an answer.
    """
    tops: dict[str, str | None] = {}
    by_top: dict[str, list[str]] = defaultdict(list)
    real = {file: join(realpath(dirname(file)), file.name) for file in files}  # git looks behind no link
    for name in dict.fromkeys(real.values()):
        top = _top(dirname(name), tops)
        if top is not None:
            by_top[top].append(name)
    clean = {name: value for name, value in environ.items() if not name.startswith("GIT_")}
    answers = [_ask(top, names, clean) for top, names in by_top.items()]
    if not answers or None in answers:
        return None
    ignored = {name for answer in answers for name in answer or ()}
    return tuple(file for file, name in real.items() if os.fsencode(name) in ignored)


def listed_by_git(directory: str, environ: Mapping[str, str]) -> list[str] | None:
    """Returns the files below `directory`, relative to it, that git tracks or does not ignore, by name.

    None where that is not known: without git, outside of a repository, or if git refuses an answer.
    """
    if repository_of(directory) is None:
        return None
    clean = {name: value for name, value in environ.items() if not name.startswith("GIT_")}
    done = _run(directory, ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], b"", clean)
    if done is None or done.returncode != 0:
        return None
    return sorted({os.fsdecode(name) for name in done.stdout.split(b"\0") if name})


def repository_of(directory: str) -> str | None:
    """Returns the git working tree that holds `directory`, if there is one."""
    return _top(directory, {})


def _top(directory: str, known: dict[str, str | None]) -> str | None:
    """Returns the nearest directory that is a git working tree, itself or above."""
    if directory not in known:
        above = dirname(directory)
        if os.path.lexists(join(directory, ".git")):
            known[directory] = directory
        else:
            known[directory] = None if above == directory else _top(above, known)
    return known[directory]


def _ask(top: str, names: Iterable[str], environ: Mapping[str, str]) -> set[bytes] | None:
    """Returns those of `names` that the repository at `top` ignores."""
    asked = b"".join(os.fsencode(name) + b"\0" for name in names)
    done = _run(top, ["check-ignore", "--stdin", "-z"], asked, environ)
    # 0: it ignores some, 1: none
    return set(done.stdout.split(b"\0")) if done is not None and done.returncode in {0, 1} else None


def _run(
    directory: str, words: list[str], asked: bytes, environ: Mapping[str, str]
) -> CompletedProcess[bytes] | None:
    """Returns what a git command answers in `directory`, or None without git or an answer in time."""
    import subprocess  # noqa: PLC0415 - 8 ms that a project without a repository does not pay

    # A repository may name a program as its file system monitor: reading a plan runs none.
    command = ["git", "-C", directory, "-c", "core.fsmonitor=false", *words]
    try:
        return subprocess.run(
            command, input=asked, capture_output=True, check=False, env=environ, timeout=_TIMEOUT
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
