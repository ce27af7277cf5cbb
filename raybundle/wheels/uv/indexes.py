"""Finds out where uv looks for wheels: from its own configuration, else from pip's."""

from __future__ import annotations

import hashlib
import json
import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from raybundle.wheels.uv.configuration import local_directory, project_directories, uv_files
from raybundle.wheels.uv.pinned_indexes import PinnedIndexes, pinned_indexes
from raybundle.wheels.uv.pip_configuration import PipPlaces, pip_variables

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from raybundle.wheels.uv.configuration import UvFile

_INDEXES = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL", "UV_NO_INDEX")
_NAMING = ("UV_DEFAULT_INDEX", "UV_INDEX")
"""Variables that may name an index: `name=https://…`."""
_NAME = re.compile(r"(?:^|\s)([\w.-]+)=")
_LINKS = "UV_FIND_LINKS"
_DECIDING = ("UV_", "PIP_")
"""Prefixes of the variables that may change an answer of uv."""
_IRRELEVANT = frozenset({"UV_CACHE_DIR", "UV_NO_PROGRESS", "UV_OFFLINE", "UV_CONCURRENT_DOWNLOADS"})
_ASTRAY = frozenset({"UV_PROJECT", "UV_WORKING_DIR", "UV_WORKING_DIRECTORY"})
"""Variables that would make uv read the configuration of another project."""


@dataclass(frozen=True, slots=True)
class Indexes:
    """Where wheels come from."""

    environ: Mapping[str, str]
    """For uv."""
    links: tuple[Path, ...]
    """Directories of wheels."""
    pinned: PinnedIndexes
    """Distributions that have an index of their own."""
    stamp: str
    """Hex; it changes with the configuration and with the wheels in `links`."""


def indexes_of(project: Path, prefix: Path, environ: Mapping[str, str]) -> Indexes:
    """Returns where uv looks for wheels; pip's configuration applies if uv has none.

    Args:
        project: has the configuration of uv.
        prefix: of the environment that has the configuration of pip.
        environ: variables that configure uv and pip.

    Raises:
        BundleError: a configuration of pip applies but cannot be read.
    """
    files = uv_files(project, environ)
    own = {name: value for name, value in environ.items() if name not in _ASTRAY}
    used = {**own, **_of_pip(files, PipPlaces(environ, prefix, sys.platform))}
    links = tuple(_links(project, files, used))
    deciding = sorted(
        each for each in used.items() if each[0].startswith(_DECIDING) and each[0] not in _IRRELEVANT
    )
    named = [name for each in _NAMING for name in _NAME.findall(used.get(each, ""))]
    pinned = pinned_indexes(project_directories(project), named)
    of_project = (pinned.sources, pinned.indexes, pinned.unclear)
    told = [*((str(each.directory), each.table) for each in files), *of_project]
    said = [deciding, told, sorted(map(_wheels_in, links))]
    stamp = hashlib.sha256(json.dumps(said, default=str).encode()).hexdigest()
    return Indexes(used, links, pinned, stamp)


def _of_pip(files: list[UvFile], places: PipPlaces) -> dict[str, str]:
    """Returns what pip's configuration adds to uv's."""
    environ = places.environ
    has_index = any(map(environ.get, _INDEXES)) or any(each.names_index for each in files)
    has_links = bool(environ.get(_LINKS)) or any(each.names_links for each in files)
    if has_index:
        return {}
    found = pip_variables(places)
    return {name: value for name, value in found.items() if not (has_links and name == _LINKS)}


def _links(project: Path, files: list[UvFile], environ: Mapping[str, str]) -> Iterator[Path]:
    for item in environ.get(_LINKS, "").split(","):
        yield from local_directory(item.strip(), project)
    for file in files:
        yield from file.links()


def _wheels_in(directory: Path) -> list[tuple[str, int, int]]:
    """Returns name, size and mtime of each wheel: a rebuilt wheel may have the same name."""
    found = [(each.name, each.stat()) for each in directory.glob("*.whl") if each.is_file()]
    return sorted((name, status.st_size, status.st_mtime_ns) for name, status in found)
