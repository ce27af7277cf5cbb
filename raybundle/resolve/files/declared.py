"""Sorts the entries of `include`: files of the project, third-party modules, installed distributions."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from raybundle.resolve.distributions.installed import InstalledDistributions, normalised_name
from raybundle.resolve.find.finder import ThirdParty

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from pathlib import Path

    from raybundle.resolve.find.finder import Finder

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
"""The name of a distribution (PEP 508); names of modules usually match as well."""


@dataclass(frozen=True, slots=True)
class Declared:
    """The entries of `include` by what they name."""

    patterns: tuple[str, ...]
    """Patterns of files, and entries that name nothing else."""
    modules: tuple[str, ...]
    """Third-party modules."""
    distributions: tuple[str, ...]
    """Installed distributions, normalised."""


def installed_among(names: Collection[str], finder: Finder) -> list[str]:
    """Returns those of the distributions that are installed and not editable, normalised."""
    if not names:
        return []
    known = InstalledDistributions(finder.interpreter.site).by_name
    found = (known.get(normalised_name(each)) for each in sorted(names))
    return [each.name for each in found if each is not None and not each.is_editable]


def read_declarations(include: Iterable[str], project: Path, finder: Finder) -> Declared:
    """Returns what `include` names; files of the project take precedence, then modules."""
    patterns, modules, distributions = [], [], []
    installed: InstalledDistributions | None = None
    for entry in include:
        if not _NAME.fullmatch(entry) or (project / entry).exists():
            patterns.append(entry)
        elif isinstance(finder.find(entry), ThirdParty):
            modules.append(entry)
        else:
            installed = installed or InstalledDistributions(finder.interpreter.site)
            found = installed.by_name.get(normalised_name(entry))
            if found is None or found.is_editable:  # an editable distribution is first-party
                patterns.append(entry)
            else:
                distributions.append(found.name)
    return Declared(tuple(patterns), tuple(modules), tuple(distributions))
