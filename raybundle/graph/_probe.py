"""Runs in the target interpreter and prints as JSON how it imports; standard library only."""

# Why strings: what `os.path` says here is what `site` and `sys.path` compare with.
# ruff: noqa: PTH110, PTH112, PTH118, PTH119, PTH120, PTH123, PTH208
from __future__ import annotations

import sys

startup = set(sys.modules)
safe_path = bool(sys.flags.isolated or getattr(sys.flags, "safe_path", False))
if not safe_path:
    del sys.path[0]  # this file's own directory

import _imp  # noqa: E402 - the path is mended first
import importlib.machinery  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import site  # noqa: E402
import sysconfig  # noqa: E402
import urllib.parse  # noqa: E402

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


def frozen_names() -> set[str]:
    """Names that are imported before any path is asked: built in, frozen, or there since start-up."""
    names = set(sys.builtin_module_names)
    names.update(getattr(_imp, "_frozen_module_names", list)())
    names.update(startup & set(sys.stdlib_module_names))
    return {name for name in names if "." not in name and name != "__main__"}


def editable_finders() -> Iterator[object]:
    """The modules of setuptools' editable finders (PEP 660), in the order in which Python asks them."""
    for finder in sys.meta_path:
        module = sys.modules.get(getattr(finder, "__module__", ""))
        if "__editable__" in getattr(module, "__name__", ""):
            yield module


def mapped() -> Iterator[tuple[str, str]]:
    """Name and location, without suffix, of what editable finders map."""
    for module in editable_finders():
        yield from getattr(module, "MAPPING", {}).items()
    for finder in sys.meta_path:
        # The package `editables`, which hatchling and pdm-backend use: files by name.
        if getattr(finder, "__module__", "") == "editables.redirector":
            for name, file in getattr(finder, "_redirections", {}).items():
                directory, base = os.path.split(file)
                stem = base.partition(".")[0]
                yield name, directory if stem == "__init__" else os.path.join(directory, stem)


def namespaces() -> Iterator[tuple[str, str]]:
    """Name and directory of each portion of the namespace packages of setuptools' editable finders.

    One that has no directory of its own, only mapped packages in it, is named with an empty one.
    """
    for module in editable_finders():
        for name, locations in getattr(module, "NAMESPACES", {}).items():
            for location in locations or [getattr(module, "MAPPING", {}).get(name, "")]:
                yield name, location


def editable_projects() -> Iterator[tuple[str, str]]:
    """Directory and metadata of each distribution that is installed as editable (PEP 610)."""
    for directory in site_directories():
        for name in sorted(os.listdir(directory)) if os.path.isdir(directory) else ():
            file = os.path.join(directory, name, "direct_url.json")
            if name.endswith(".dist-info") and os.path.exists(file):
                for project in editable_project(file):
                    yield project, os.path.join(directory, name)


def editable_project(file: str) -> Iterator[str]:
    """The directory that one direct_url.json names, if it is there and the install is editable."""
    try:
        with open(file, encoding="utf-8") as stream:
            document = json.load(stream)
        url = urllib.parse.urlsplit(document["url"])
        if url.scheme == "file" and document.get("dir_info", {}).get("editable"):
            yield os.path.realpath(urllib.parse.unquote(url.path))
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return


def standard_library() -> Iterator[str]:
    """Entries of the path that hold the standard library."""
    paths = sysconfig.get_paths()
    wanted = {paths["stdlib"], paths["platstdlib"]}
    archive = f"python{sys.version_info[0]}{sys.version_info[1]}.zip"
    for entry in sys.path:
        directory, name = os.path.split(entry)
        if entry in wanted or name == archive or (directory in wanted and name == "lib-dynload"):
            yield entry


def site_directories() -> Iterator[str]:
    """Entries of the path into which distributions are installed."""
    paths = sysconfig.get_paths()
    wanted = {paths["purelib"], paths["platlib"], *site.getsitepackages(), site.getusersitepackages()}
    for entry in sys.path:
        if entry in wanted or os.path.basename(entry) in ("site-packages", "dist-packages"):
            yield entry


def path_files() -> Iterator[str]:
    """The files beside which a change of `sys.path` can be noticed."""
    yield os.path.realpath(sys.executable)
    yield os.path.join(sys.prefix, "pyvenv.cfg")
    for directory in site_directories():
        for name in sorted(os.listdir(directory)) if os.path.isdir(directory) else ():
            if name.endswith(".pth") or "__editable__" in name:
                yield os.path.join(directory, name)


def is_there(entry: str) -> bool:
    """Claims that an entry of the path is there, or that an archive is above it: `lib.zip/inner`."""
    while not os.path.exists(entry):
        parent = os.path.dirname(entry)
        if parent == entry or os.path.isdir(parent):
            return False
        entry = parent
    return True


sys.stdout.write(
    json.dumps(
        {
            "executable": sys.executable,
            "implementation": sys.implementation.name,
            "version": list(sys.version_info[:3]),
            "abi": sysconfig.get_config_var("SOABI") or "",
            "platform": sysconfig.get_platform(),
            "path": [entry for entry in sys.path if is_there(entry)],
            "stdlib": list(standard_library()),
            "site": [entry for entry in site_directories() if os.path.exists(entry)],
            "builtin_names": sorted(frozen_names()),
            "stdlib_names": sorted(sys.stdlib_module_names),
            "suffixes": importlib.machinery.all_suffixes(),
            "editables": list(dict.fromkeys(mapped())),
            "namespaces": list(dict.fromkeys(namespaces())),
            "projects": sorted(set(editable_projects())),
            "safe_path": safe_path,
            "watched": [*path_files(), *sys.path],
        }
    )
)
