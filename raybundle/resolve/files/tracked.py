"""Lists the data of a project that git does not ignore: `data = "tracked"` bundles all of it."""

# Why strings: a large project has 100,000 files; pathlib would cost ten times as much.
# ruff: noqa: PTH113, PTH118

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from raybundle.errors import BundleError
from raybundle.resolve.files.data_files import is_code
from raybundle.resolve.files.git_ignored import listed_by_git, repository_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_NEVER = frozenset({"__pycache__", "node_modules"})


def tracked_data(project: str, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Returns the absolute paths of the data files of a project that git tracks or does not ignore.

    Without git, every file counts but those in hidden folders and virtual environments. Python files are
    code, which travels because something imports it; git's own files are no data.

    Raises:
        BundleError: git fails in a repository, so what it ignores is not known.
    """
    names = listed_by_git(project, environ)
    if names is None and repository_of(project) is not None:
        raise BundleError(
            f"git cannot list the files of {project}, and all data that it does not ignore is asked for",
            hint=f'`git -C {project} ls-files` says why; or set `data = "needed"` in [tool.raybundle]',
        )
    if names is None:
        names = sorted(os.path.relpath(each, project) for each in _files_below(project))
    found = (os.path.join(project, each) for each in names if not each.startswith(".git"))
    return tuple(each for each in found if not is_code(each) and os.path.isfile(each))


def _files_below(directory: str) -> Iterator[str]:
    for place, folders, names in os.walk(directory):
        yield from (os.path.join(place, name) for name in names)
        folders[:] = [each for each in folders if _is_of_the_project(os.path.join(place, each), each)]


def _is_of_the_project(directory: str, name: str) -> bool:
    hidden = name.startswith(".") or name in _NEVER
    return not hidden and not os.path.lexists(os.path.join(directory, "pyvenv.cfg"))
