"""Maps the modules that are installed to their distributions, to explain on a node what is not there."""

# Why strings: an environment has tens of thousands of files; pathlib would cost ten times as much.
# ruff: noqa: PTH116

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from typing import TYPE_CHECKING

from raybundle.cache.identity import YOUNG
from raybundle.resolve.distributions.installed import InstalledDistributions

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from raybundle.cache.documents import ScanCache
    from raybundle.model import Interpreter

_FORMAT = 1
_MODULE = re.compile(r"((?:[^\W\d]\w*/)*)([^\W\d]\w*)(?:\.py|(?:\.[\w-]+)?\.(?:so|pyd))", re.ASCII)
"""A module in RECORD: its folders and its name. ASCII only, as published names are."""


def absent_modules(
    interpreter: Interpreter, missed: Collection[str], present: Iterable[str], cache: ScanCache
) -> Mapping[str, str]:
    """Returns `name version` of the distributions that may be `missed`, by module, as they are installed.

    Others are not named: what else is installed on this machine is nobody's business, and must not make
    another archive. A module is the outermost regular package (`pyarrow`, `google.cloud.bigquery`) or a
    module outside of one. One that a present distribution has too is left out.

    Args:
        interpreter: whose site directories are looked through.
        missed: normalised names of the distributions that are looked for.
        present: normalised names of the distributions that a node has.
        cache: where the answer is kept until something is installed.
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


def _installed_modules(interpreter: Interpreter, cache: ScanCache) -> dict[str, list[tuple[str, str]]]:
    stamps = [_stamp(site) for site in interpreter.site if os.path.isdir(site)]  # noqa: PTH112 - as above
    question = hashlib.sha256(json.dumps([_FORMAT, stamps]).encode()).hexdigest()
    name = f"installed-{question[:16]}"
    kept = cache.read(name).get("modules")
    if isinstance(kept, dict):
        return kept
    owners: dict[str, list[tuple[str, str]]] = {}
    for module, distribution in sorted(_modules_of(site for site, *_ in stamps)):
        owners.setdefault(module, []).append(distribution)
    if time.time_ns() - max((changed for *_, changed in stamps), default=0) > YOUNG:
        cache.write(name, {"modules": owners})
    return owners


def _stamp(site: str) -> tuple[str, int, int, int]:
    """What changes with each installation."""
    status = os.stat(site)
    return (site, status.st_ino, status.st_mtime_ns, status.st_ctime_ns)


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
    """Returns the first regular package on the way; else the namespace, or a module on its own."""
    parts = folder.split("/")[:-1]
    for depth in range(1, len(parts) + 1):
        if "/".join(parts[:depth]) + "/" in packages:
            return ".".join(parts[:depth])
    return ".".join(parts) or name
