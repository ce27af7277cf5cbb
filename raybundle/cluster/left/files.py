"""Tells whether the project has a file that a job did not find, and how to bundle it."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING

from raybundle.resolve.files.data_files import is_code
from raybundle.resolve.files.secret_names import secret_name_rule

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

_MISSED = re.compile(r"^(?:[\w.]*\.)?FileNotFoundError\b.*?: '([^'\n]+)'", re.MULTILINE)
_OURS = re.compile(r"/raybundle-\d+/(?:trees|jobs)/[^/]+/(?:project/)?")
"""The part of a path on a node before the path in the project."""


def hint_of_left_file(log_end: str, project: Path, start: str, travelled: Collection[str]) -> str | None:
    """Returns how to bundle the file that a job did not find; None if the project does not have it.

    Args:
        log_end: the end of the driver's log.
        project: where the bundle was built.
        start: the directory in which the job started, relative to the project.
        travelled: the project's files that are in the bundle, relative to the project.
    """
    missed = _MISSED.findall(log_end)
    for path in _in_project(missed[-1], start) if missed else ():
        place = project / path
        if path not in travelled and secret_name_rule(path) is None and place.exists():
            include = f'`include = ["{path}"]` in [tool.raybundle]'
            others = _others_left(place, project, travelled)
            more = f'; `data = "tracked"` does so for {others} files in its folder as well' if others else ""
            return f"`{path}` is in the project and not in the bundle: {include} bundles it{more}"
    return None


def _others_left(place: Path, project: Path, travelled: Collection[str]) -> int:
    """Returns how many other data files beside a missed one are not in the bundle."""
    beside = (each for each in place.parent.iterdir() if each != place and each.is_file())
    return sum(
        not is_code(each.name) and each.relative_to(project).as_posix() not in travelled for each in beside
    )


def _in_project(missed: str, start: str) -> Iterator[str]:
    ours = _OURS.search(missed)
    if ours is not None:
        yield from _below(missed[ours.end() :])
    elif not missed.startswith("/"):
        yield from _below(posixpath.join(start, missed))
        yield from _below(missed)


def _below(path: str) -> Iterator[str]:
    plain = posixpath.normpath(path)
    if plain != "." and not plain.startswith("../"):
        yield plain
