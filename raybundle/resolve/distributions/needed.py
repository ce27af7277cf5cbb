"""Decides which installed distributions a bundle needs, and who brings each to the nodes."""

# Why strings: paths here are the strings that `sys.path` holds; pathlib would cost ten times as much.
# ruff: noqa: PTH112

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raybundle.cache.documents import Kind
from raybundle.model import Distribution
from raybundle.resolve.distributions.values import LazyImport, LazyUse, LazyUser, Needed, Unfit, Unmet, Wanted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from raybundle.cache.documents import Cache
    from raybundle.model import Interpreter

_KEPT = Kind("distributions", 32)
_USES = Kind("lazy-uses", 128)


def find_distributions(wanted: Wanted, interpreter: Interpreter, cache: Cache) -> Needed:
    """Returns what owns the wanted modules, and everything that those need.

    The answer is kept until a site-packages directory changes. A warm one reads no metadata.
    """
    if not wanted.third_party and not wanted.declared:
        return Needed()
    began, sites = cache.clock(), [site for site in interpreter.site if os.path.isdir(site)]
    key = cache.key(sites, *_question(wanted, interpreter))
    known = cache.recall(_KEPT, key, _needed)
    if known is not None:
        return known
    from raybundle.resolve.distributions.search import find_needed  # noqa: PLC0415 - start-up: a warm answer needs no search

    needed = find_needed(wanted, interpreter)
    cache.keep(_KEPT, key, _as_json(needed), sites, began)
    return needed


def find_lazy_uses(user: LazyUser, words: Iterable[str], sites: Iterable[str], cache: Cache) -> list[LazyUse]:
    """Returns the definitions of a distribution that are among `words` and use what does not travel.

    The answer is kept until a site-packages directory changes. Without one of these words, nothing is read.
    """
    from raybundle.resolve.distributions.lazy import find_uses, names_that_matter  # noqa: PLC0415 - as above

    names = names_that_matter(user, words)
    if not names:
        return []
    began, key = cache.clock(), cache.key(user, names)
    uses = cache.recall(_USES, key, _uses)
    if uses is None:
        uses = list(find_uses(user, names))
        cache.keep(_USES, key, uses, sites, began)
    return uses


def _uses(answer: list[list[Any]]) -> list[LazyUse]:
    return [LazyUse(*row) for row in answer]


def _question(wanted: Wanted, interpreter: Interpreter) -> list[Any]:
    """Returns what decides an answer, apart from what is installed."""
    target = [interpreter.version, interpreter.platform, interpreter.implementation]
    asked = [sorted(wanted.third_party.items()), sorted(wanted.optional), sorted(wanted.declared)]
    settings = [wanted.dependencies, sorted(wanted.cluster_provides)]
    return [target, asked, settings]


def _as_json(needed: Needed) -> dict[str, Any]:
    document = asdict(needed)
    for row in (*document["distributions"], *document["optional"], *document["plugins"]):
        row["metadata"] = row["metadata"] and str(row["metadata"])
    return document


def _needed(answer: dict[str, Any]) -> Needed:
    return Needed(
        distributions=tuple(map(_distribution, answer["distributions"])),
        optional=tuple(map(_distribution, answer["optional"])),
        plugins=tuple(map(_distribution, answer["plugins"])),
        lazy=tuple(
            LazyUser(name, tuple(files), tuple(LazyImport(*row) for row in rows))
            for name, files, rows in answer["lazy"]
        ),
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
