"""Runs in the target interpreter and prints as JSON how it imports; standard library only."""

# Why strings: what `os.path` says here is what `site` and `sys.path` compare with.
# ruff: noqa: PTH110, PTH118, PTH119, PTH208
from __future__ import annotations

import sys

startup = set(sys.modules)
if not getattr(sys.flags, "safe_path", False):
    del sys.path[0]  # this file's own directory

import _imp  # noqa: E402 - the path is mended first
import importlib.machinery  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import site  # noqa: E402
import sysconfig  # noqa: E402

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


def frozen_names() -> set[str]:
    """Names that are imported before any path is asked: built in, frozen, or there since start-up."""
    names = set(sys.builtin_module_names)
    names.update(getattr(_imp, "_frozen_module_names", list)())
    names.update(startup & set(sys.stdlib_module_names))
    return {name for name in names if "." not in name and name != "__main__"}


def editable_finders() -> Iterator[tuple[str, str]]:
    """Name and location of what setuptools' editable finders map (PEP 660)."""
    for finder in sys.meta_path:
        module = sys.modules.get(getattr(finder, "__module__", ""))
        if "__editable__" not in getattr(module, "__name__", ""):
            continue
        for name, location in getattr(module, "MAPPING", {}).items():
            yield name, location
        for name, locations in getattr(module, "NAMESPACES", {}).items():
            for location in locations:
                yield name, location


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
        for name in sorted(os.listdir(directory)):
            if name.endswith(".pth"):
                yield os.path.join(directory, name)


sys.stdout.write(
    json.dumps(
        {
            "executable": sys.executable,
            "implementation": sys.implementation.name,
            "version": list(sys.version_info[:3]),
            "abi": sysconfig.get_config_var("SOABI") or "",
            "platform": sysconfig.get_platform(),
            "path": [entry for entry in sys.path if os.path.exists(entry)],
            "stdlib": list(standard_library()),
            "site": [entry for entry in site_directories() if os.path.exists(entry)],
            "builtin_names": sorted(frozen_names()),
            "stdlib_names": sorted(sys.stdlib_module_names),
            "suffixes": importlib.machinery.all_suffixes(),
            "editables": sorted(set(editable_finders())),
            "watched": [*path_files(), *sys.path],
        }
    )
)
