"""Makes the directory of links that shows a job Ray, what the cluster provides, and their requirements.

The node's site-packages are never on the path, so a job cannot import anything else of the node. RECORD files
tell which files belong to which distribution. A directory that several distributions share (`google`) becomes
a real directory with links to its parts.
Runs only after the node's installation has changed, so it may import any module of the standard library.
"""

from __future__ import annotations

import fcntl
import os
import re
from importlib import _bootstrap_external as import_system

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from raybundle.node.stub import Stub

RAY_EXTRAS = ("default",)
"""Ray's supervisor runs in the job's environment and imports what `ray[default]` requires."""
SERVE = "ray[serve]"
"""Stands among the provided distributions for what Ray Serve requires, as far as it is installed."""
LONGEST_NAME = 255
"""As in `raybundle_materialise`."""
REQUIREMENTS = "ray_runtime_env_internal_pip_requirements.txt"
"""Start of the name of Ray's list of requirements (ray/_private/runtime_env/dependency_utils.py)."""
_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[([^]]*)\])?[^;]*(?:;(.*))?")
_EXTRA = re.compile(r"extra\s*==\s*['\"]([^'\"]+)['\"]")


class Installed:
    """An installed distribution of this node, with the files and requirements in its metadata."""

    def __init__(self, site: str, folder: str) -> None:
        name, _, version = folder.removesuffix(".dist-info").partition("-")
        self.name = normalise(name)
        self.version = version
        self.site = site
        self.folder = folder

    def files(self) -> Iterator[str]:
        """Yields its files relative to the site directory; none without a RECORD."""
        try:
            lines = _lines(f"{self.site}/{self.folder}/RECORD")
        except OSError:
            return
        import csv

        for row in csv.reader(lines):
            if row and not row[0].startswith(("../", "/")) and not row[0].endswith(".pth"):
                yield row[0]

    def modules(self) -> set[str]:
        """Returns the names of its top-level modules, judged by its files."""
        return {re.sub(r"\.(py|so|pyd|.*\.so)$", "", file.split("/")[0]) for file in self.files()}

    def requirements(self, extras: tuple[str, ...]) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Yields name and extras of each requirement, those of the given `extras` included."""
        for line in _lines(f"{self.site}/{self.folder}/METADATA"):
            if not line.strip():
                return
            if line.lower().startswith("requires-dist:"):
                match = _REQUIREMENT.match(line[14:])
                if match is None:
                    continue
                name, wanted, marker = match.groups()
                needs = _EXTRA.findall(marker or "")
                if not needs or any(normalise(need) in extras for need in needs):
                    yield normalise(name), tuple(normalise(e) for e in (wanted or "").split(",") if e.strip())


def normalise(name: str) -> str:
    """Returns the normalised name of a distribution or an extra (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name.strip()).lower()


def make_links(  # noqa: PLR0913, PLR0917 - what the links depend on
    stub: Stub, link: str, wanted: str, sites: list[str], provided: list[str], prefix: str
) -> None:
    """Points `link` to a directory named `wanted` beside it, with links into `sites`.

    Args:
        stub: the module `sitecustomize`.
        link: absolute path of the symbolic link that is on `sys.path`.
        wanted: name of the directory for this state of the node.
        sites: the node's site-packages directories, in the order of its path.
        provided: `name version` of each distribution that the cluster must provide, or only the name of a
            distribution or a top-level module if any version will do; or `SERVE`.
        prefix: of the job's own environment, to link only what `pip` or `uv` installed there; else empty.

    Raises:
        RuntimeError: Ray is missing, or a distribution is missing or has another version.
    """
    directory = f"{os.path.dirname(link)}/{wanted}"
    with open(f"{os.path.dirname(link)}/lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stub.load("raybundle_record").is_right(directory):
            installed = _installed(sites)
            if prefix:
                others = {name: each for name, each in installed.items() if name != "ray"}
                allowed = _closure(others, _requested(prefix, others))
            else:
                allowed = _provided(installed, [item.split(" ") for item in provided], sites)
            partial = f"{directory}.partial"
            stub.load("raybundle_record").remove(partial)
            os.mkdir(partial, 0o700)
            for site in sites:
                _link_site(site, partial, installed.values(), allowed)
            _finish(partial)
            stub.load("raybundle_place").put(stub, partial, directory, {})
        temporary = f"{link}.new"
        if os.path.lexists(temporary):
            os.unlink(temporary)
        os.symlink(wanted, temporary)
        os.replace(temporary, link)
        _remove_others(stub, link, wanted)


def _finish(directory: str) -> None:
    """Compiles modules whose distribution brings no byte-code, and makes the directories read-only."""
    folders = [folder for folder, _, _ in os.walk(directory)]
    for folder in folders:
        for name in os.listdir(folder):
            if name.endswith(".py"):
                _compile(f"{folder}/{name}")
    for folder, _, _ in os.walk(directory):
        os.chmod(folder, 0o500)


def _compile(source: str) -> None:
    """Writes the byte-code of a linked module beside the link, where Python looks for it."""
    file = import_system.cache_from_source(source)
    too_long = len(os.fsencode(os.path.basename(file))) > LONGEST_NAME
    if too_long or os.path.lexists(file) or os.path.islink(os.path.dirname(file)):
        return
    try:
        with open(source, "rb") as stream:
            code = compile(stream.read(), source, "exec", dont_inherit=True)
    except (SyntaxError, ValueError, OSError):
        return  # an import of it shows the error
    status = os.stat(source)
    data = import_system._code_to_timestamp_pyc(  # type: ignore[attr-defined]
        code, int(status.st_mtime), status.st_size
    )
    os.makedirs(os.path.dirname(file), 0o700, exist_ok=True)
    with open(file, "wb") as stream:
        stream.write(data)


def _remove_others(stub: Stub, link: str, wanted: str) -> None:
    """Removes earlier targets of `link`. Running processes use the link, so they find the new target."""
    parent, name = os.path.split(link)
    for entry in os.listdir(parent):
        if entry.startswith(f".{name}-") and entry not in (wanted, f"{wanted}.files"):
            stub.load("raybundle_record").remove(f"{parent}/{entry}")


def _installed(sites: list[str]) -> dict[str, Installed]:
    """Returns the distributions by name; the first on the path if several have the same name."""
    found: dict[str, Installed] = {}
    for site in sites:
        for folder in sorted(os.listdir(site)):
            if folder.endswith(".dist-info"):
                distribution = Installed(site, folder)
                found.setdefault(distribution.name, distribution)
    return found


def _provided(installed: dict[str, Installed], provided: list[list[str]], sites: list[str]) -> set[str]:
    """Returns the names of Ray, the provided distributions, and their installed requirements."""
    if "ray" not in installed:
        raise RuntimeError(f"file {', '.join(sites)}: expected distribution ray, found none")
    names: list[str] = []
    extras: tuple[str, ...] = RAY_EXTRAS
    for name, *versions in provided:
        if name == SERVE:
            extras += ("serve",)
            continue
        if not versions:
            names += _any_version(name, installed)
            continue
        found = installed[name].version if name in installed else "none"
        if found != versions[0]:
            raise RuntimeError(f"file {name}.dist-info: expected {name} {versions[0]}, found {name} {found}")
        names.append(name)
    return _closure(installed, [("ray", extras), *((name, ()) for name in names)])


def _any_version(name: str, installed: dict[str, Installed]) -> list[str]:
    """Returns the distribution `name`, or else the distributions with the top-level module `name`."""
    if name in installed:
        return [name]
    owners = [each.name for each in installed.values() if name in map(normalise, each.modules())]
    if not owners:
        raise RuntimeError(f"file {name}.dist-info: expected {name} in any version, found none")
    return owners


def _closure(installed: dict[str, Installed], wanted: list[tuple[str, tuple[str, ...]]]) -> set[str]:
    """Returns the names of the wanted distributions and of their requirements that are installed."""
    names: set[str] = set()
    waiting, seen = wanted[:], set[tuple[str, tuple[str, ...]]]()
    while waiting:
        name, extras = waiting.pop()
        if name in installed and (name, extras) not in seen:
            seen.add((name, extras))
            names.add(name)
            waiting += installed[name].requirements(extras)
    return names


def _requested(prefix: str, installed: dict[str, Installed]) -> list[tuple[str, tuple[str, ...]]]:
    """Returns names and extras of what `pip` or `uv` was asked to install in the environment at `prefix`.

    Ray clones an environment with everything in it, or makes an empty one. The list of requirements that Ray
    keeps beside it tells what is new. If the list has a file or a URL, the result includes every
    distribution whose metadata says that it was installed from one.
    """
    wanted: list[tuple[str, tuple[str, ...]]] = []
    lists = [name for name in os.listdir(os.path.dirname(prefix)) if name.startswith(REQUIREMENTS)]
    if not lists:  # conda
        return [(each.name, ()) for each in installed.values() if each.site.startswith(f"{prefix}/")]
    for line in [line for name in lists for line in _lines(f"{os.path.dirname(prefix)}/{name}")]:
        match = _REQUIREMENT.match(line)
        if match and "/" not in line.partition("@")[0] and ":" not in line.partition("@")[0]:
            wanted.append(
                (normalise(match[1]), tuple(normalise(e) for e in (match[2] or "").split(",") if e))
            )
        elif line.strip() and not line.startswith("-"):
            wanted += [
                (each.name, ())
                for each in installed.values()
                if os.path.exists(f"{each.site}/{each.folder}/direct_url.json")
            ]
    return wanted


def _link_site(site: str, target: str, installed: Iterable[Installed], allowed: set[str]) -> None:
    """Links the allowed files of one site directory, by the highest folder that only allowed files are in."""
    own: set[str] = set()
    foreign: set[str] = set()
    for distribution in installed:
        if distribution.site == site:
            files = own if distribution.name in allowed else foreign
            files.update(distribution.files(), [f"{distribution.folder}/METADATA"])
    shared = {parent for file in foreign for parent in _parents(file)}
    for file in own:
        if file not in foreign:
            _link(site, target, _highest_unshared(file, shared))


def _parents(file: str) -> Iterator[str]:
    while "/" in file:
        file = file.rpartition("/")[0]
        yield file


def _highest_unshared(file: str, shared: set[str]) -> str:
    best = file
    for parent in _parents(file):
        if parent in shared:
            return best
        best = parent
    return best


def _link(site: str, target: str, path: str) -> None:
    place = f"{target}/{path}"
    if os.path.lexists(place) or not os.path.exists(f"{site}/{path}"):
        return
    parent = os.path.dirname(place)
    if os.path.islink(parent):
        return
    os.makedirs(parent, exist_ok=True)
    os.symlink(f"{site}/{path}", place)


def _lines(file: str) -> list[str]:
    with open(file, encoding="utf-8", errors="replace") as stream:
        return stream.read().splitlines()


def describe(own: str) -> str:
    """Returns a warning that names what is installed in a process' own environment."""
    folders = (name for name in sorted(os.listdir(own)) if name.endswith(".dist-info"))
    names = (folder.removesuffix(".dist-info").replace("-", " ", 1) for folder in folders)
    return f"`pip` or `uv` of a runtime_env comes before what the bundle brings: {', '.join(names)}"
