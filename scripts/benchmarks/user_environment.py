"""An environment with pandas and scikit-learn alone, and plain Ray's packages of its distributions."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from pathlib import Path
from shutil import copy2
from typing import TYPE_CHECKING

from measure import timed
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

WANTED = ("pandas", "scikit-learn")
REPOSITORY = Path(__file__).resolve().parents[2]

IMPORT = """
import time
begin = time.perf_counter()
import pandas, sklearn
from sklearn.linear_model import LogisticRegression
print(time.perf_counter() - begin)
"""


@dataclass(frozen=True, slots=True)
class Environment:
    """A virtual environment as pip leaves it, byte-code included."""

    python: Path
    requirements: tuple[str, ...]
    """`name==version` of its distributions, sorted."""
    packages: tuple[Path, ...]
    """A zip file for each, as Ray packs a directory."""
    bytes: int
    """Of the files in the packages."""
    files: int

    def first_import(self, environ: Mapping[str, str]) -> float:
        """Returns the seconds that a fresh process imports for; another has just read the same files."""
        command = [str(self.python), "-c", IMPORT]
        timed(command, environ, Path("/"))
        return float(timed(command, environ, Path("/")).stdout)


def make_environment(directory: Path, given: Path | None, environ: Mapping[str, str]) -> Environment:
    """Makes the environment in `directory`: a copy of what `given` has of it, else installed with uv."""
    source = directory.with_name("installed") if given is None else given
    if given is None:
        _install(source, environ)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", directory], check=True)
    site = next(directory.glob("lib/python3*/site-packages"))
    needed = _closure(next(source.glob("lib/python3*/site-packages")))
    packages = directory.with_name("packages")
    packages.mkdir()
    for name, distribution in needed.items():
        _copy(distribution, site)
        _pack(packages / f"{name}.zip", site, list(_paths(distribution)))
    subprocess.run([directory / "bin" / "python", "-m", "compileall", "-q", "-j", "0", site], check=False)
    paths = [path for distribution in needed.values() for path in _paths(distribution)]
    return Environment(
        directory / "bin" / "python",
        tuple(f"{name}=={needed[name].version}" for name in sorted(needed)),
        tuple(sorted(packages.iterdir())),
        sum((site / path).stat().st_size for path in paths),
        len(paths),
    )


def _install(directory: Path, environ: Mapping[str, str]) -> None:
    uv = [sys.executable, "-m", "uv"]
    constraints = ["-c", str(REPOSITORY / "scripts" / "constraints.txt")]
    subprocess.run([*uv, "venv", "-q", "--python", sys.executable, directory], env=environ, check=True)
    install = [
        *uv,
        "pip",
        "install",
        "-q",
        "--python",
        str(directory / "bin" / "python"),
        *constraints,
        *WANTED,
    ]
    subprocess.run(install, env=environ, check=True)


def _closure(site: Path) -> dict[str, Distribution]:
    """Returns what the wanted distributions require here, themselves included, by normalised name."""
    installed = {canonicalize_name(each.name): each for each in distributions(path=[str(site)])}
    needed: dict[str, Distribution] = {}
    open_names = [canonicalize_name(name) for name in WANTED]
    while open_names:
        name = open_names.pop()
        if name not in needed:
            needed[name] = installed[name]
            open_names += map(canonicalize_name, _required(needed[name]))
    return needed


def _required(distribution: Distribution) -> Iterator[str]:
    for line in distribution.requires or ():
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield requirement.name


def _paths(distribution: Distribution) -> Iterator[Path]:
    """Yields its files below site-packages, without byte-code."""
    for file in distribution.files or ():
        if ".." not in file.parts and file.suffix != ".pyc":
            yield Path(*file.parts)


def _copy(distribution: Distribution, site: Path) -> None:
    for path in _paths(distribution):
        (site / path).parent.mkdir(parents=True, exist_ok=True)
        copy2(str(distribution.locate_file(path)), site / path)


def _pack(target: Path, site: Path, paths: Iterable[Path]) -> None:
    """Packs as `_zip_files` in ray/_private/runtime_env/packaging.py does: what `ZipFile` does by itself."""
    with zipfile.ZipFile(target, "w", strict_timestamps=False) as archive:
        for path in paths:
            archive.write(site / path, path)
