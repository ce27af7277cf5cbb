"""Runs in the target interpreter and prints as a literal how it imports; standard library only."""

# Why strings: what `os.path` says here is what `site` and `sys.path` compare with.
# ruff: noqa: PTH110, PTH100, PTH112, PTH118, PTH119, PTH123, PTH208
from __future__ import annotations

import sys

startup = set(sys.modules)
safe_path = bool(sys.flags.isolated or getattr(sys.flags, "safe_path", False))
if not safe_path:
    del sys.path[0]  # this file's own directory

import _imp  # noqa: E402 - the path is fixed first
import importlib.machinery  # noqa: E402
import os  # noqa: E402
import site  # noqa: E402
import sysconfig  # noqa: E402

HARMLESS = ("distutils-precedence.pth", "a1_coverage.pth")
"""Files of setuptools and of coverage.py: what these run leaves the path as it is."""
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
        for attribute in ("_redirections", "known_source_files"):
            # Files by name: of the package `editables` (hatchling, pdm-backend), and of scikit-build-core.
            files = getattr(finder, attribute, None)
            for name, file in files.items() if isinstance(files, dict) else ():
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


def direct_urls() -> Iterator[tuple[str, str]]:
    """Directory and text of each direct_url.json (PEP 610): where a distribution was installed from."""
    for directory in site_directories():
        for name in sorted(os.listdir(directory)) if os.path.isdir(directory) else ():
            file = os.path.join(directory, name, "direct_url.json")
            if name.endswith(".dist-info") and os.path.exists(file):
                try:
                    with open(file, encoding="utf-8") as stream:
                        yield os.path.join(directory, name), stream.read()
                except (OSError, ValueError):
                    continue


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
    """Entries of the path into which distributions are installed, and those inside them."""
    paths = sysconfig.get_paths()
    wanted = {paths["purelib"], paths["platlib"], *site.getsitepackages(), site.getusersitepackages()}
    found = [
        entry
        for entry in sys.path
        if entry in wanted or os.path.basename(entry) in ("site-packages", "dist-packages")
    ]
    for entry in sys.path:
        if any(entry == each or entry.startswith(each + os.sep) for each in found):
            yield entry


def path_files() -> Iterator[str]:
    """What decides `sys.path`: of each, a change or a first appearance changes the answer."""
    yield os.path.realpath(sys.executable)
    yield os.path.join(sys.prefix, "pyvenv.cfg")
    yield site.getusersitepackages()
    yield from sys.path
    for directory, name, line in path_lines():
        yield os.path.join(directory, name)
        if not line.startswith(("import ", "import\t")):
            yield os.path.join(directory, line)
    for _, file in started():
        yield file


def path_lines() -> Iterator[tuple[str, str, str]]:
    """Directory, file and text of each line of the `.pth` files, as `site` reads them."""
    for directory in site_directories():
        names = os.listdir(directory) if os.path.isdir(directory) else []
        for name in sorted(name for name in names if name.endswith(".pth")):
            try:
                with open(os.path.join(directory, name), encoding="utf-8", errors="replace") as stream:
                    lines = [line.rstrip() for line in stream]
            except OSError:
                continue
            for line in lines:
                if line and not line.startswith("#"):
                    yield directory, name, line


def started() -> Iterator[tuple[str, str]]:
    """Name and file of what was imported before this file, and is not of the standard library."""
    libraries = tuple(sysconfig.get_paths()[name] + os.sep for name in ("stdlib", "platstdlib"))
    for name in sorted(startup - {"__main__"}):
        file = getattr(sys.modules.get(name), "__file__", None) or ""
        inside = file.startswith(libraries) and "-packages" + os.sep not in file
        if file and not inside and not file.startswith("<"):
            yield name, os.path.abspath(file)


def asks_environment() -> bool:
    """Returns whether unknown code has run: what it does to the path may depend on any variable."""
    for _, name, line in path_lines():
        known = line[len("import") :].strip().startswith(("__editable__", "_editable_impl_", "_virtualenv"))
        if line.startswith(("import ", "import\t")) and not known and name not in HARMLESS:
            return True
    return any(name.endswith("customize") for name, _ in started())


# A literal: `json` takes 14 ms to load, as long as a Python takes to start.
sys.stdout.write(
    ascii(
        {
            "executable": sys.executable,
            "implementation": sys.implementation.name,
            "version": list(sys.version_info[:3]),
            "abi": sysconfig.get_config_var("SOABI") or "",
            # `universal2` is for two machines, and what is installed may be for this one alone.
            "platform": sysconfig.get_platform().replace("universal2", os.uname().machine),
            "path": sys.path,
            "stdlib": list(standard_library()),
            "site": list(site_directories()),
            "builtin_names": sorted(frozen_names()),
            "stdlib_names": sorted(sys.stdlib_module_names),
            # In the order of `FileFinder`; `importlib.machinery.all_suffixes()` has another.
            "suffixes": importlib.machinery.EXTENSION_SUFFIXES
            + importlib.machinery.SOURCE_SUFFIXES
            + importlib.machinery.BYTECODE_SUFFIXES,
            "editables": list(dict.fromkeys(mapped())),
            "namespaces": list(dict.fromkeys(namespaces())),
            "direct_urls": list(direct_urls()),
            "safe_path": safe_path,
            "watched": list(dict.fromkeys(path_files())),
            "asks_environment": asks_environment(),
        }
    )
    + "\n"
)
