"""Reads from uv's configuration where wheels are; uv itself reads all of it when it runs."""

from __future__ import annotations

import urllib.parse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raybundle.errors import UsageError
from raybundle.formats.toml import read_toml, value_at
from raybundle.wheels.lock_file import workspace_of
from raybundle.wheels.uv.run import is_true

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_INDEXES = ("index", "index-url", "extra-index-url", "no-index")


@dataclass(frozen=True, slots=True)
class UvFile:
    """A file that uv reads."""

    directory: Path
    """Its relative paths start here."""
    table: Mapping[str, Any]

    @property
    def names_index(self) -> bool:
        """Returns whether it configures indexes."""
        return any(key in table for table in self._tables() for key in _INDEXES)

    @property
    def names_links(self) -> bool:
        """Returns whether it configures directories of wheels."""
        return any("find-links" in table for table in self._tables())

    def links(self) -> Iterator[Path]:
        """Yields the directories of wheels that it configures."""
        for table in self._tables():
            indexes = [each for each in _listed(table, "index") if isinstance(each, dict)]
            flat = [each.get("url") for each in indexes if each.get("format") == "flat"]
            for item in (*_listed(table, "find-links"), *flat):
                yield from local_directory(str(item), self.directory)

    def _tables(self) -> Iterator[Mapping[str, Any]]:
        yield from (each for each in (self.table, self.table.get("pip")) if isinstance(each, dict))


def _listed(table: Mapping[str, Any], key: str) -> list[Any]:
    found = table.get(key)
    return found if isinstance(found, list) else []  # uv reports anything else


def uv_files(project: Path, environ: Mapping[str, str]) -> list[UvFile]:
    """Returns the files that uv reads in `project`, in order of precedence (see its documentation)."""
    if environ.get("UV_CONFIG_FILE"):
        return list(_read(project / environ["UV_CONFIG_FILE"]))
    if is_true(environ.get("UV_NO_CONFIG", "")):
        return []
    home = Path(environ.get("HOME") or "/nonexistent")
    of_user = Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "uv/uv.toml"
    return [*_of_project(project), *_read(of_user), *_of_all(environ)]


def _of_project(project: Path) -> Iterator[UvFile]:
    """Yields the nearest file, from the project or its workspace upwards."""
    start = ([project, *project_directories(project)])[-1]
    for directory in (start, *start.parents):
        found = [*_read(directory / "uv.toml"), *_read_pyproject(directory / "pyproject.toml")]
        if found:
            yield found[0]
            return


def project_directories(project: Path) -> list[Path]:
    """Returns the directories of the project's pyproject.toml and of its workspace."""
    upwards = (project, *project.parents)
    own = [each for each in upwards if (each / "pyproject.toml").is_file()][:1]
    return [*own, *(found for found in map(workspace_of, own) if found)]


def _of_all(environ: Mapping[str, str]) -> Iterator[UvFile]:
    directories = (environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":")
    files = [*(Path(each) / "uv/uv.toml" for each in directories if each), Path("/etc/uv/uv.toml")]
    yield from next((found for found in map(list, map(_read, files)) if found), [])


def _read(file: Path) -> Iterator[UvFile]:
    if file.is_file():
        yield UvFile(file.parent, parsed_or_empty(file))


def _read_pyproject(file: Path) -> Iterator[UvFile]:
    table = value_at(parsed_or_empty(file), "tool.uv")
    if isinstance(table, dict):
        yield UvFile(file.parent, table)


def parsed_or_empty(file: Path) -> Mapping[str, Any]:
    """Returns the content of a file; empty if it cannot be read, which uv reports."""
    try:
        return read_toml(file)
    except UsageError:
        return {}


def local_directory(item: str, base: Path) -> Iterator[Path]:
    """Yields the directory of a path or a `file:` URL, if it exists."""
    url = urllib.parse.urlsplit(item)
    path = base / (urllib.parse.unquote(url.path) if url.scheme == "file" else item)
    if item and path.is_dir():
        yield path
