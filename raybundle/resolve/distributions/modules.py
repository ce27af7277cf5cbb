"""Maps installed modules to their distributions, so that a node can explain an import that fails."""

# Why strings: an environment has tens of thousands of files; pathlib would cost ten times as much.
# ruff: noqa: PTH112

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from raybundle.cache.documents import Kind
from raybundle.resolve.distributions.installed import InstalledDistributions

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from raybundle.cache.documents import Cache
    from raybundle.model import Interpreter

_KEPT = Kind("installed-modules", 16)
_MODULE = re.compile(r"((?:[^\W\d]\w*/)*)([^\W\d]\w*)(?:\.py|(?:\.[\w-]+)?\.(?:so|pyd))", re.ASCII)
"""A module in RECORD: its folders and its name. ASCII only, as published names are."""


def absent_modules(
    interpreter: Interpreter, missed: Collection[str], present: Iterable[str], cache: Cache
) -> Mapping[str, str]:
    """Returns `name version` of the distributions that may be `missed`, by module, as they are installed.

    Other distributions are not named: what else is installed on this machine stays private, and must not
    change the archive. A module is the outermost regular package (`pyarrow`, `google.cloud.bigquery`), or a
    module that is in no package. Modules that a present distribution also has are omitted.

    Args:
        interpreter: its site directories are searched.
        missed: normalised names of the distributions to look for.
        present: normalised names of the distributions that a node has.
        cache: keeps the answer until something is installed.
    """
    if not missed:
        return {}
    owners = _installed_modules(interpreter, cache)
    there = set(present)
    found: dict[str, str] = {}
    for module, distributions in owners.items():
        if there.isdisjoint(name for name, _ in distributions):
            found.update((module, f"{name} {version}") for name, version in distributions if name in missed)
    return found


def _installed_modules(interpreter: Interpreter, cache: Cache) -> dict[str, list[tuple[str, str]]]:
    began, sites = cache.clock(), [site for site in interpreter.site if os.path.isdir(site)]
    key = cache.key(sites)
    owners = cache.recall(_KEPT, key, _owners)
    if owners is None:
        owners = {}
        for module, distribution in sorted(_modules_of(sites)):
            owners.setdefault(module, []).append(distribution)
        cache.keep(_KEPT, key, owners, sites, began)
    return owners


def _owners(answer: dict[str, list[list[str]]]) -> dict[str, list[tuple[str, str]]]:
    return {module: [(name, version) for name, version in rows] for module, rows in answer.items()}


def _modules_of(sites: Iterable[str]) -> Iterator[tuple[str, tuple[str, str]]]:
    for distributions in InstalledDistributions(tuple(sites)).by_site.values():
        for each in distributions:
            for module in modules_in(each.files):
                yield module, (each.name, each.version)


def modules_in(files: Iterable[str]) -> set[str]:
    """Returns the outermost packages among the files of a distribution, and the modules outside them."""
    rows = {(found[1], found[2]) for found in map(_MODULE.fullmatch, files) if found}
    packages = {folder for folder, name in rows if name == "__init__"}
    return {
        _outermost(folder, name, packages) for folder, name in rows if not name.startswith("__editable__")
    }


def _outermost(folder: str, name: str, packages: set[str]) -> str:
    """Returns the outermost regular package, else the namespace, else the module itself."""
    parts = folder.split("/")[:-1]
    for depth in range(1, len(parts) + 1):
        if "/".join(parts[:depth]) + "/" in packages:
            return ".".join(parts[:depth])
    return ".".join(parts) or name
