"""Lists the modules of the project that do not travel, for errors on a node."""

# Why strings: paths here are the strings that `sys.path` holds; pathlib would cost ten times as much.
# ruff: noqa: PTH118

from __future__ import annotations

import os
from os.path import join
from typing import TYPE_CHECKING

from raybundle.resolve.find.directories import Directories

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from raybundle.model import Resolution

MOST = 2000
"""Names in a bundle. A folder with more of them is not part of a project."""

_NEVER = ("__pycache__", "node_modules")


def left_modules(resolution: Resolution) -> Mapping[str, str]:
    """Returns what is known of each top-level name that the job may miss, by name.

    A file or folder of the project has its place: `./helpers.py`. If it is in no root, a tab follows, and
    the folder that would have to be one: `./lib/helpers.py` and `lib`. An import that resolved nowhere has
    an empty string.
    """
    taken = {each.name.partition(".")[0] for each in resolution.modules}
    taken |= {each.file.stem for each in resolution.modules if each.kind == "script" and each.file}
    project, directories = str(resolution.project), Directories()
    roots = list(dict.fromkeys([project, *(str(root.directory) for root in resolution.roots)]))
    left: dict[str, str] = {}
    for root in roots:
        for name, file in _top_level(root, directories):
            left.setdefault(name, _relative(join(root, file), project))
    for folder in sorted(directories.list(project).directories):
        directory = join(project, folder)
        if _may_be_a_root(directory, roots, directories):
            for name, file in _top_level(directory, directories):
                left.setdefault(name, f"{_relative(join(directory, file), project)}\t{folder}")
    nowhere = [*(each.name for each in resolution.absent), *(each.name for each in resolution.not_found)]
    for name in nowhere:
        if not name.startswith("."):
            left.setdefault(name, "")
    kept = [name for name, value in left.items() if name not in taken and "\n" not in value]
    return {name: left[name] for name in kept[:MOST]}


def _top_level(directory: str, directories: Directories) -> Iterator[tuple[str, str]]:
    listing = directories.list(directory)
    for file in sorted(listing.files):
        if file.endswith(".py") and file[:-3].isidentifier():
            yield file[:-3], file
    for folder in sorted(each for each in listing.directories if each.isidentifier() and each not in _NEVER):
        if any(file.endswith(".py") for file in directories.list(join(directory, folder)).files):
            yield folder, folder


def _may_be_a_root(directory: str, roots: list[str], directories: Directories) -> bool:
    folder = os.path.basename(directory)  # noqa: PTH119 - as above
    files = directories.list(directory).files
    skipped = folder.startswith(".") or folder in _NEVER or directory in roots
    return not skipped and "pyvenv.cfg" not in files and "__init__.py" not in files


def _relative(path: str, project: str) -> str:
    relative = os.path.relpath(path, project).replace(os.sep, "/")
    return relative if relative.startswith("../") else f"./{relative}"
