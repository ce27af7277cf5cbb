"""What a process imports from: its path, the file of each module, and what of the node shapes both.

Standard library only. Travels as text and runs in any process of a job, with or without a bundle.
"""

from __future__ import annotations

import glob
import importlib.machinery
import importlib.metadata
import os
import site
import sys
from typing import Any

MOST_PARENTS = 8
"""Steps from a process up to its raylet at most: a driver has a shell and a supervisor above it."""
SHAPING = ("PYTHON", "RAY_RUNTIME_ENV", "BAD_RUNTIME_ENV", "RAY_OVERRIDE", "RAY_ENABLE_UV")
"""Beginnings of the variables of a raylet that change what its workers import."""
LOCAL = ("ext4", "xfs", "btrfs", "overlay", "tmpfs", "zfs")
"""File systems that only this node sees; others may be shared, or slow."""


def view(request: dict[str, Any]) -> dict[str, Any]:
    """Returns what this process imports from.

    Args:
        request: `modules` and `distributions`, whose files and versions are wanted; `root`, the project of
            a driver that the Jobs API did not start.
    """
    environ = raylet_environ()
    root = request.get("root")
    origins = {entry: of_project(entry, root) or origin_of(entry, environ) for entry in sys.path}
    return {
        "python": sys.executable,
        "path": [{"path": entry, "origin": origins[entry]} for entry in sys.path],
        "modules": {name: found(name, origins) for name in request["modules"]},
        "versions": {name: version_of(name) for name in request["distributions"]},
        "shaping": shaping(environ),
    }


def found(name: str, origins: dict[str, str]) -> dict[str, Any]:
    """Returns the file of a module, the entry that has it, and the files that lose; imports nothing.

    Args:
        name: dotted.
        origins: what each entry of the path is.
    """
    top, *rest = name.split(".")
    spec = spec_of(top, None)
    entry = entry_of(spec)
    others = [] if rest or spec is None else losers(top, entry)
    for index in range(len(rest)):
        if (places := locations_of(spec)) is None:
            spec = None
            break
        spec = spec_of(".".join([top, *rest[: index + 1]]), places)
    if spec is None:
        return {"file": None, "entry": None, "origin": None, "others": []}
    file = spec.origin
    if file is None:  # a namespace package
        file = os.pathsep.join(locations_of(spec) or ())
    return {"file": file, "entry": entry, "origin": origins.get(entry or "", "a finder"), "others": others}


def spec_of(name: str, locations: Any) -> Any:
    """Returns the spec by which this process would import a module; None if it cannot."""
    if name in sys.builtin_module_names:
        return importlib.machinery.BuiltinImporter.find_spec(name)
    for finder in list(sys.meta_path):
        try:
            spec = finder.find_spec(name, locations)
        except KeyError:  # a namespace in a namespace: it looks for its parent, which is not imported
            spec = finder.find_spec(name.rpartition(".")[2], locations)
        except (ImportError, AttributeError, ValueError):
            spec = None
        if spec is not None:
            return spec
    return None


def locations_of(spec: Any) -> list[str] | None:
    """Returns the directories of a package; None if it is not one.

    Those of a namespace are read as they were found: a look at them may search the path again.
    """
    places = None if spec is None else spec.submodule_search_locations
    return None if places is None else list(getattr(places, "_path", places))


def entry_of(spec: Any) -> str | None:
    """Returns the entry of the path that has a top-level module; None if another finder has it."""
    if spec is None:
        return None
    places = [os.path.dirname(each) for each in spec.submodule_search_locations or ()]
    places = places or ([os.path.dirname(spec.origin)] if spec.origin else [])
    return next((each for each in sys.path for place in places if same(each, place)), None)


def same(entry: str, place: str) -> bool:
    """Whether an entry of the path is a directory."""
    return os.path.abspath(entry) == os.path.abspath(place)


def losers(top: str, winner: str | None) -> list[str]:
    """Returns the files of the same name under later entries of the path, which no import reaches."""
    others = []
    for entry in sys.path[sys.path.index(winner) + 1 :] if winner in sys.path else ():
        spec = importlib.machinery.PathFinder.find_spec(top, [entry])
        if spec is not None and spec.origin is not None:
            others.append(spec.origin)
    return others


def version_of(name: str) -> str | None:
    """Returns the version of a distribution as this process sees it; None if it does not."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def origin_of(entry: str, environ: dict[str, str]) -> str:
    """Returns what an entry of the path is, in the words of a manifest where a bundle has such entries."""
    path = os.path.abspath(entry)
    library = os.path.dirname(os.__file__)
    tree = os.environ.get("RAYBUNDLE_TREE", "")
    if tree and path.startswith(f"{tree}/"):
        folder, _, rest = path[len(tree) + 1 :].partition("/")
        kind = "project" if folder == "project" else folder.replace("-", ":")
        return f"{kind}:{rest or '.'}" if kind == "project" or rest else kind
    for kind, part in (("layers", "/environments/"), ("ray", "/links/")):
        if tree and path.startswith(f"{os.path.dirname(os.path.dirname(tree))}{part}"):
            return kind
    if path == library or path.startswith(f"{library}/lib-dynload") or path.endswith(".zip"):
        return "stdlib"
    if "/runtime_resources/" in path:
        return of_runtime_env(path)
    if path.endswith("/ray/thirdparty_files") or "/ray/_private/" in path:
        return "ray"
    if path in [os.path.abspath(each) for each in environ.get("PYTHONPATH", "").split(os.pathsep) if each]:
        return "PYTHONPATH of the raylet"
    if path.endswith(("site-packages", "dist-packages")):
        return "site-packages"
    return next(
        (f".pth {os.path.basename(file)}" for file in pth_files() if names(file, path)), "another directory"
    )


def of_project(entry: str, root: str | None) -> str:
    """Returns where an entry is in a project; empty if it is elsewhere."""
    if not root or not below(os.path.abspath(entry), root):
        return ""
    return f"project:{os.path.relpath(entry, root)}"


def of_runtime_env(path: str) -> str:
    """Returns what a directory is that Ray made for this job: a part of the project, or what it installed."""
    rest = path.rpartition("/runtime_resources/")[2]
    kind, _, inside = rest.partition("/")
    below = inside.partition("/")[2]
    if kind == "working_dir_files":
        return f"project:{below or '.'}"
    return "py_modules" if kind == "py_modules_files" else f"runtime_env {kind.removesuffix('_files')}"


def pth_files() -> list[str]:
    """Returns the `.pth` files that Python reads at its start."""
    places = dict.fromkeys([*site.getsitepackages(), site.getusersitepackages()])
    return sorted(found for place in places for found in glob.glob(os.path.join(glob.escape(place), "*.pth")))


def names(file: str, path: str) -> bool:
    """Whether a `.pth` file puts a directory on the path."""
    try:
        with open(file, encoding="utf-8", errors="replace") as stream:
            lines = [line.strip() for line in stream]
    except OSError:
        return False
    here = os.path.dirname(file)
    return any(
        os.path.abspath(os.path.join(here, line)) == path for line in lines if line and line[0] not in "#i"
    )


def raylet_environ() -> dict[str, str]:
    """Returns the environment of the raylet above this process; empty if it cannot be read."""
    pid = os.getppid()
    for _ in range(MOST_PARENTS):
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stream:
                head, _, tail = stream.read().rpartition(")")
            if head.endswith("(raylet"):
                with open(f"/proc/{pid}/environ", "rb") as binary:
                    pairs = binary.read().decode(errors="replace").split("\0")
                return dict(pair.split("=", 1) for pair in pairs if "=" in pair)
        except (OSError, IndexError):
            return {}
        pid = int(tail.split()[1])
    return {}


def shaping(environ: dict[str, str]) -> list[dict[str, str]]:
    """Returns what of this node changes what its processes import, each with its source."""
    variables = [
        {"source": "environment of the raylet", "what": f"{name}={value}"}
        for name, value in sorted(environ.items())
        if name.startswith(SHAPING) and value
    ]
    own = [entry for entry in environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    places = [*own, os.path.dirname(os.__file__), *site.getsitepackages(), site.getusersitepackages()]
    files = [
        {"source": "site", "what": os.path.join(place, f"{name}.py")}
        for name in ("sitecustomize", "usercustomize")
        for place in dict.fromkeys(places)
        if os.path.isfile(os.path.join(place, f"{name}.py"))
    ]
    files += [{"source": ".pth file", "what": file} for file in pth_files()]
    return [*variables, *files, *limits(environ), *mounts()]


def limits(environ: dict[str, str]) -> list[dict[str, str]]:
    """Returns how much of each kind of runtime_env Ray keeps on this node, and for how long a failure."""
    kinds = ("working_dir", "py_modules", "pip", "uv", "conda")
    sizes = {kind: environ.get(f"RAY_RUNTIME_ENV_{kind}_CACHE_SIZE_GB".upper(), "10") for kind in kinds}
    bad = environ.get("BAD_RUNTIME_ENV_CACHE_TTL_SECONDS", "600")
    texts = ", ".join(f"{kind} {size} GB" for kind, size in sizes.items())
    return [{"source": "Ray's caches", "what": f"{texts}; a failed runtime_env is repeated for {bad} s"}]


def mounts() -> list[dict[str, str]]:
    """Returns the mounts below which this node imports, or keeps what it imports, other than the root."""
    rows = {}
    try:
        with open("/proc/self/mounts", encoding="utf-8", errors="replace") as stream:
            for line in stream:
                _, place, kind, flags = line.split()[:4]
                rows[place.replace("\\040", " ")] = (kind, flags.split(","))
    except (OSError, ValueError):
        return []
    seen = {}
    for path in ["/tmp", os.path.dirname(sys.executable), *map(os.path.abspath, sys.path)]:
        place = max((each for each in rows if below(path, each)), key=len, default="/")
        kind, options = rows.get(place, ("", []))
        special = [option for option in ("ro", "noexec") if option in options]
        if place != "/" and (special or kind not in LOCAL or place == "/tmp"):
            seen[place] = " ".join([place, kind, *special])
    return [{"source": "mount", "what": text} for text in seen.values()]


def below(path: str, directory: str) -> bool:
    """Whether a path is a directory, or below it."""
    return directory in ("/", path) or path.startswith(f"{directory}/")
