"""Says which folders of a project hold its code: its root, and those that its packaging settings name."""

# Why strings: paths here are the strings that `sys.path` holds; pathlib would cost ten times as much.
# ruff: noqa: PTH118, PTH120

from __future__ import annotations

import os
from fnmatch import fnmatchcase
from os.path import join
from typing import TYPE_CHECKING, Any

from raybundle.cache.identity import read_noted
from raybundle.errors import RefusedFileError
from raybundle.formats.toml import parse, value_at
from raybundle.resolve.find.finder import holds_modules

if TYPE_CHECKING:
    from collections.abc import Iterator

    from raybundle.resolve.find.directories import Directories

PROJECT_ROOT = "the project's root"
"""What is said of the root that every project has."""

_DEPTH = 4
"""Folders that `**` in the members of a workspace leads down."""

_HATCH = ("tool.hatch.build", "tool.hatch.build.targets.wheel")
_LISTED = (
    "tool.setuptools.packages.find.where",
    "tool.hatch.build.dev-mode-dirs",
    *(f"{each}.sources" for each in _HATCH),
)
"""Settings that list folders in which packages are."""

_PACKAGES = (*(f"{each}.packages" for each in _HATCH), "tool.scikit-build.wheel.packages")
"""Settings that list the folders of packages."""

_FOLDER = ("tool.uv.build-backend.module-root", "tool.pdm.build.package-dir", "tool.maturin.python-source")
"""Settings that name one folder in which packages are."""

_MAPPED = ("tool.setuptools.package-dir", "tool.scikit-build.wheel.packages")
"""Settings that map the name of a package to its folder."""

_REWRITTEN = tuple(f"{each}.sources" for each in _HATCH)
"""Settings that map a folder to what it is called where it is installed."""


def added_roots(project: str, cwd: str, directories: Directories) -> dict[str, str]:
    """Returns the roots that Python does not have: those of the project, and perhaps the current directory.

    A command that is given above the project, where another project begins or where nothing marks the inner
    one, means that directory: `--working-dir .` of Ray would have it on the path.
    """
    roots = project_roots(project, directories)
    above = project.startswith(cwd.rstrip(os.sep) + os.sep)
    if above and (_is_marked(cwd, directories) or not _is_marked(project, directories)):
        roots.setdefault(cwd, "the current directory")
    return roots


def _is_marked(folder: str, directories: Directories) -> bool:
    listing = directories.list(folder)
    return bool({"pyproject.toml", ".git"} & (listing.files | listing.directories))


def project_roots(project: str, directories: Directories) -> dict[str, str]:
    """Returns the folders of a project in which its code is looked for, and what says so of each.

    They are named by their place in the project, also where that is a link.

    The root comes first, as under Ray, which puts the working directory on the path; then the folders of the
    project's own settings or `src/`, then those of the members of its workspace, and of the projects that it
    requires by their path.

    Args:
        project: an absolute path without symbolic links.
        directories: notes what is read.
    """
    found = {project: PROJECT_ROOT}
    settings = _settings(project, directories)
    parts = dict.fromkeys(_members(project, settings, directories), "workspace of")
    parts |= {each: "required by" for each in _required(project, settings, directories) if each not in parts}
    for folder, why in {project: "", **parts}.items():
        found.setdefault(folder, f"{why} pyproject.toml: {os.path.relpath(folder, project)}")
        for root, source in _roots_of(folder, project, directories):
            found.setdefault(root, source)
    return found


def _roots_of(folder: str, project: str, directories: Directories) -> Iterator[tuple[str, str]]:
    """Yields the folders that the settings of one pyproject.toml name, and `src/` where there is one."""
    shown = os.path.relpath(folder, project)
    before = "" if shown == "." else f"{shown}/"
    named = [
        *((each, f"{before}pyproject.toml: {key}") for each, key in _named(_settings(folder, directories))),
        *((each, f"{before}setup.cfg: {key}") for each, key in _named_in_setup_cfg(folder, directories)),
    ]
    for name, source in named:
        root = os.path.normpath(join(folder, name))
        inside = root.startswith((f"{project}{os.sep}", f"{folder}{os.sep}"))
        if inside and _is_directory(root, directories):
            yield root, source
    source_folder = join(folder, "src")
    if _is_directory(source_folder, directories) and _is_layout(source_folder, directories):
        yield source_folder, f"{before}src/"


def _is_layout(folder: str, directories: Directories) -> bool:
    """Returns whether a folder holds packages and modules, and is not a package itself."""
    return "__init__.py" not in directories.list(folder).files and holds_modules(folder, directories)


def _is_directory(path: str, directories: Directories) -> bool:
    parent, name = os.path.split(path)
    return name in directories.list(parent).directories


def _settings(folder: str, directories: Directories) -> dict[str, Any]:
    """Returns what a pyproject.toml says; one that cannot be read says nothing."""
    text = _text(folder, "pyproject.toml", directories)
    try:
        return parse(text) if text else {}
    except ValueError:
        return {}


def _text(folder: str, name: str, directories: Directories) -> str:
    if name not in directories.list(folder).files:
        return ""
    try:
        return read_noted(join(folder, name), directories.read).decode("utf-8", "replace")
    except RefusedFileError:
        return ""


def _named(settings: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yields each folder in which the settings say that packages are, and the setting."""
    for key in _LISTED:
        yield from ((folder, key) for folder in _texts(value_at(settings, key)))
    for key in _PACKAGES:
        yield from ((os.path.dirname(each.rstrip("/")), key) for each in _texts(value_at(settings, key)))
    for key in _FOLDER:
        yield from ((folder, key) for folder in _texts([value_at(settings, key)]))
    for key in _MAPPED:
        for name, folder in _pairs(value_at(settings, key)):
            yield from ((above, key) for above in _above(folder, name.replace(".", "/")))
    for key in _REWRITTEN:
        for folder, name in _pairs(value_at(settings, key)):
            yield from ((above, key) for above in _above(folder, name))
    packages = value_at(settings, "tool.poetry.packages")
    for each in packages if isinstance(packages, list) else ():
        yield from ((folder, "tool.poetry.packages") for folder in _texts([value_at(each, "from")]))


def renamed_packages(project: str, directories: Directories) -> dict[str, tuple[str, str]]:
    """Returns the packages that an install calls otherwise than their folder: name, folder and setting."""
    settings, found = _settings(project, directories), dict[str, tuple[str, str]]()
    for key in _MAPPED:
        pairs = _pairs(value_at(settings, key))
        found |= {name: (folder, key) for name, folder in pairs if name and not [*_above(folder, name)]}
    for key in _REWRITTEN:
        pairs = _pairs(value_at(settings, key))
        found |= {name: (folder, key) for folder, name in pairs if name and not [*_above(folder, name)]}
    return found


def _named_in_setup_cfg(folder: str, directories: Directories) -> Iterator[tuple[str, str]]:
    text = _text(folder, "setup.cfg", directories)
    if "options" not in text:
        return
    import configparser  # noqa: PLC0415 - most projects have no such file

    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(text)
    except configparser.Error:
        return
    for line in parser.get("options", "package_dir", fallback="").splitlines():
        name, equals, value = line.partition("=")
        if equals:
            above = _above(value.strip(), name.strip().replace(".", "/"))
            yield from ((each, "package_dir") for each in above)
    where = parser.get("options.packages.find", "where", fallback="")
    yield from ((each.strip(), "where") for each in where.replace(",", "\n").splitlines() if each.strip())


def _above(folder: str, name: str) -> Iterator[str]:
    """Yields the folder from which `name` leads to `folder`; there is none where it is called otherwise."""
    folder = folder.strip("/")
    if not name:
        yield folder
    elif folder == name or folder.endswith(f"/{name}"):
        yield folder[: len(folder) - len(name)].rstrip("/")


def _members(project: str, settings: dict[str, Any], directories: Directories) -> Iterator[str]:
    """Yields the folders of the members of a workspace, of uv, Rye or Hatch, sorted for each pattern."""
    excluded = _texts(value_at(settings, "tool.uv.workspace.exclude"))
    for pattern in _member_patterns(settings):
        for folder in _matching(project, pattern.strip("/").split("/"), directories):
            shown = os.path.relpath(folder, project)
            named = "pyproject.toml" in directories.list(folder).files
            if named and not any(fnmatchcase(shown, each.rstrip("/")) for each in excluded):
                yield folder


def _required(project: str, settings: dict[str, Any], directories: Directories) -> Iterator[str]:
    """Yields the folders of projects that are required by their path, also beside this one (uv, Poetry)."""
    groups = value_at(settings, "tool.poetry.group")
    tables = [value_at(settings, key) for key in ("tool.uv.sources", "tool.poetry.dependencies")]
    inner = groups.values() if isinstance(groups, dict) else ()
    tables += [value_at(each, "dependencies") for each in inner]
    values = [value for table in tables if isinstance(table, dict) for value in table.values()]
    for each in (one for value in values for one in (value if isinstance(value, list) else [value])):
        for path in _texts([value_at(each, "path")]):
            folder = os.path.normpath(join(project, path))
            if folder != project and _is_directory(folder, directories):
                yield folder


def _member_patterns(settings: dict[str, Any]) -> list[str]:
    lists = [value_at(settings, f"tool.{tool}.workspace.members") for tool in ("uv", "rye")]
    environments = value_at(settings, "tool.hatch.envs")
    if isinstance(environments, dict):
        lists += [value_at(each, "workspace.members") for each in environments.values()]
    members = [member for each in lists if isinstance(each, list) for member in each]
    return _texts([value_at(each, "path") if isinstance(each, dict) else each for each in members])


def _matching(folder: str, parts: list[str], directories: Directories, depth: int = 0) -> Iterator[str]:
    """Yields the folders below `folder` that a pattern means."""
    if not parts:
        yield folder
        return
    first, *rest = parts
    if first in {"", "."}:
        yield from _matching(folder, rest, directories, depth)
        return
    names = sorted(each for each in directories.list(folder).directories if not each.startswith("."))
    if first == "**":
        yield from _matching(folder, rest, directories, depth)
        for name in names if depth < _DEPTH else ():
            yield from _matching(join(folder, name), parts, directories, depth + 1)
        return
    for name in names:
        if fnmatchcase(name, first):
            yield from _matching(join(folder, name), rest, directories, depth)


def _texts(values: Any) -> list[str]:
    return [each for each in values if isinstance(each, str) and each] if isinstance(values, list) else []


def _pairs(table: Any) -> list[tuple[str, str]]:
    pairs = table.items() if isinstance(table, dict) else ()
    return [(name, value) for name, value in pairs if isinstance(value, str)]
