"""Tells whether the project has a file that a job did not find, and how to bundle it."""

from __future__ import annotations

import os
import posixpath
import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from raybundle.cluster.left.log import error_in, plain
from raybundle.errors import BundleError
from raybundle.resolve.files.data_files import is_code
from raybundle.resolve.files.secret_names import secret_fault, secret_name_rule
from raybundle.resolve.files.tracked import tracked_data

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

_ABSENT = re.compile(
    r"(?i)no such|no (?:rule|valid|matching)|no (?:translation )?files? |not a directory|is a directory|"
    r"(?:not |n't |never |no |un|failed |fails )(?:\w+ly )?(?:to )?"
    r"(?:be )?(?:found|find|exists?|open|access|read|load|stat|able to (?:open|find|read|load))|"
    r"not.?found|missing|errno.?2\b|failed"
)
"""Words of an error about a file that is not there, as Python, libraries and programs write it."""
_QUOTED = re.compile(r"'([^'\n]+)'|\"([^\"\n]+)\"|[`\u2018]([^`'\u2019\n]+)[`'\u2019]")
_WORD = re.compile(r"[^\s'\"`\u2018\u2019<>()\[\]{},;=|]+")
_BARE = re.compile(r"[./]")
"""Is in each path that an error shows without quotes."""
_OURS = re.compile(r"/raybundle-\d+/(?:trees|jobs)/[^/]+/(?P<project>project/)?")
"""The part of a path on a node before the path in the project."""
_LONGEST, _LINES = 400, 200
"""Characters of a path, and lines of a log from its end, that are looked at."""
_MOST = 3
"""Files that may be meant by a name without its directory."""


def hint_of_left_file(log_end: str, project: Path, start: str, travelled: Collection[str]) -> str | None:
    """Returns how to bundle the file that a job did not find; None if the project does not have it.

    Args:
        log_end: the end of the driver's log.
        project: where the bundle was built.
        start: the directory in which the job started, relative to the project.
        travelled: the project's files that are in the bundle, relative to the project.
    """
    left = _Left(project, start, travelled)
    for sure in (True, False):
        for line in _lines(log_end):
            for word in _names_in(line):
                hint = left.at(word) if sure else left.below(word)
                if hint is not None:
                    return hint
    return None


def _lines(log_end: str) -> Iterator[str]:
    """Yields the lines of the last error, the last first, then others that tell of a missing file.

    What a child process writes stands before the traceback of its parent.
    """
    error = error_in(log_end)
    if _ABSENT.search(error):
        yield from reversed(error.splitlines())
    yield from (each for each in plain(log_end).splitlines()[:-_LINES:-1] if _ABSENT.search(each))


def _names_in(line: str) -> Iterator[str]:
    """Yields what may be a path in a line of an error: what has quotes, then other words with `.` or `/`."""
    quoted = [next(filter(None, found)) for found in _QUOTED.findall(line)]
    bare = (each.strip(":") for each in _WORD.findall(_QUOTED.sub(" ", line)) if _BARE.search(each))
    yield from (each for each in (*quoted, *bare) if 1 < len(each) <= _LONGEST)


@dataclass(frozen=True)
class _Left:
    """The files of a project that are not in a bundle."""

    project: Path
    start: str
    travelled: Collection[str]

    def at(self, name: str) -> str | None:
        """Returns the hint for a path from where the job starts, from the project's root or on a node."""
        for path in self._meant(name):
            if path in self.travelled or not os.path.lexists(self.project / path):
                continue
            if path.startswith("../"):
                return self._outside(path)
            if (self.project / path).is_dir():
                return self._directory(path)
            return self._hint([path])
        return None

    def below(self, name: str) -> str | None:
        """Returns the hint for files whose paths end with a name, as loaders of templates show it."""
        if name.startswith("/") or not self._is_specific(name):
            return None
        end = f"/{posixpath.normpath(name)}"
        found = [each for each in self._data if f"/{each}".endswith(end)]
        found = found or [each for each in self._data if f"/{posixpath.splitext(each)[0]}".endswith(end)]
        left = [each for each in found if each not in self.travelled and secret_name_rule(each) is None]
        return self._hint(left) if len(left) == len(found) and 0 < len(left) <= _MOST else None

    @staticmethod
    def _is_specific(name: str) -> bool:
        return "/" in name.strip("/") or re.search(r"\w\.[A-Za-z]\w*\Z", name) is not None

    def _meant(self, name: str) -> Iterator[str]:
        """Yields the paths, relative to the project, that a path in an error may mean."""
        name = name.removeprefix("file://")
        ours = _OURS.search(name)
        if ours is not None:
            rest = name[ours.end() :]
            yield from _normal(rest)
            if "/trees/" in ours[0] and ours["project"] is None:
                yield from _normal(f"../{rest}")
        elif not name.startswith("/"):
            yield from _normal(posixpath.join(self.start, name))
            yield from _normal(name)

    def _hint(self, paths: list[str]) -> str:
        shown = ", ".join(f"`{each}`" for each in paths)
        is_one = len(paths) == 1
        if fault := secret_fault(paths[0]):
            return f"{shown} is in the project and stays here: {fault[0]}; {fault[1].removesuffix('; then')}"
        include = ", ".join(f'"{each}"' for each in paths)
        others = self._others_beside(paths[0])
        more = f'; `data = "tracked"` does so for {others} files in its folder as well' if others else ""
        return (
            f"{shown} {'is' if is_one else 'are'} in the project and not in the bundle: "
            f"`include = [{include}]` in [tool.raybundle] bundles {'it' if is_one else 'them'}{more}"
        )

    def _directory(self, path: str) -> str | None:
        if any(each.startswith(f"{path}/") for each in self.travelled):
            return None
        if any(names for _, _, names in os.walk(self.project / path)):
            return self._hint([path])
        return (
            f"`{path}` is in the project and empty, and a bundle has no empty directories: "
            f'`os.makedirs("{path}", exist_ok=True)` in the job makes it'
        )

    def _outside(self, path: str) -> str:
        top = os.path.commonpath([os.path.normpath(self.project / path), self.project])
        return f"`{path}` is outside the project: `--working-dir {top}` makes that the project's root"

    def _others_beside(self, path: str) -> int:
        """Returns how many other data files beside a missed one are not in the bundle."""
        folder = posixpath.dirname(path)
        names = (each.name for each in os.scandir(self.project / folder) if each.is_file())
        beside = (posixpath.join(folder, each) for each in names if not is_code(each))
        return sum(each != path and each not in self.travelled for each in beside)

    @cached_property
    def _data(self) -> tuple[str, ...]:
        """The data files of the project that git does not ignore."""
        try:
            found = tracked_data(str(self.project), os.environ)
        except BundleError:
            return ()
        return tuple(os.path.relpath(each, self.project) for each in found)


def _normal(path: str) -> Iterator[str]:
    normal = posixpath.normpath(path)
    if normal != ".":
        yield normal
