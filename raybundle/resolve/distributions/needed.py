"""Decides which installed distributions a bundle needs, and who brings each to the nodes."""

# Why strings: paths here are the strings that `sys.path` holds; pathlib would cost ten times as much.
# ruff: noqa: PTH112, PTH116

from __future__ import annotations

import hashlib
import json
import os
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raybundle.cache.identity import YOUNG
from raybundle.model import Distribution
from raybundle.resolve.distributions.values import Needed, Unfit, Unmet, Wanted

if TYPE_CHECKING:
    from raybundle.cache.documents import ScanCache
    from raybundle.model import Interpreter

_ANSWERS_KEPT = 32
_FORMAT = 9


def find_distributions(wanted: Wanted, interpreter: Interpreter, cache: ScanCache) -> Needed:
    """Return what owns the wanted modules, and everything that those need.

    The answer is kept until a site-packages directory changes, so that a warm one reads no metadata.
    """
    if not wanted.third_party and not wanted.declared:
        return Needed()
    stamps = [_stamp(site) for site in interpreter.site if os.path.isdir(site)]
    question = _question(wanted, interpreter, stamps)
    answers = cache.read("distributions")
    known = answers.get(question)
    if isinstance(known, dict):
        return _needed(known)
    from raybundle.resolve.distributions.search import find_needed  # noqa: PLC0415 - start-up: a warm answer needs no search

    needed = find_needed(wanted, interpreter)
    if time.time_ns() - max((changed for _, _, _, changed in stamps), default=0) > YOUNG:
        kept = dict(list(answers.items())[-_ANSWERS_KEPT:])
        cache.write("distributions", {**kept, question: _as_json(needed)})
    return needed


def _stamp(site: str) -> tuple[str, int, int, int]:
    """What changes with each installation, also where its tool sets the times back: `st_ctime_ns`, last."""
    status = os.stat(site)
    return (site, status.st_ino, status.st_mtime_ns, status.st_ctime_ns)


def _question(wanted: Wanted, interpreter: Interpreter, stamps: list[tuple[str, int, int, int]]) -> str:
    target = [interpreter.version, interpreter.platform, interpreter.implementation]
    asked = [sorted(wanted.third_party.items()), sorted(wanted.optional), sorted(wanted.declared)]
    settings = [wanted.dependencies, sorted(wanted.cluster_provides)]
    text = json.dumps([_FORMAT, stamps, target, asked, settings])
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()


def _as_json(needed: Needed) -> dict[str, Any]:
    document = asdict(needed)
    for row in (*document["distributions"], *document["optional"]):
        row["metadata"] = row["metadata"] and str(row["metadata"])
    return document


def _needed(answer: dict[str, Any]) -> Needed:
    return Needed(
        distributions=tuple(map(_distribution, answer["distributions"])),
        optional=tuple(map(_distribution, answer["optional"])),
        mentioned=tuple(answer["mentioned"]),
        unowned=tuple(answer["unowned"]),
        unrecorded=tuple(answer["unrecorded"]),
        editable=tuple((name, by) for name, by in answer["editable"]),
        unfit=tuple(Unfit(**row) for row in answer["unfit"]),
        unmet=tuple(Unmet(**row) for row in answer["unmet"]),
        exposed=tuple((name, other) for name, other in answer["exposed"]),
    )


def _distribution(row: dict[str, Any]) -> Distribution:
    metadata = Path(row["metadata"]) if row["metadata"] else None
    return Distribution(**{**row, "modules": tuple(row["modules"]), "metadata": metadata})
