"""Tells whether the error of a job names an installed distribution that was not bundled."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from raybundle.cluster.left.log import error_in
from raybundle.resolve.distributions.installed import InstalledDistributions, normalised_name
from raybundle.resolve.distributions.modules import modules_in
from raybundle.resolve.find.ray_names import RAY_NAMES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from raybundle.resolve.distributions.installed import InstalledDistribution

_WORD = r"[A-Za-z][\w.-]*\w"
_LACK = re.compile(
    r"(?i)install|missing|not found|not available|unavailable|depend|requir|import|no module|optional|"
    r"extra|backend|engine|plugin|unable|could not|cannot|can't"
)
"""Words of an error about something that is not there."""
_SURE = re.compile(
    rf"(?:\b(?:install|add|import|package|module|library|dependency|requires?|needs?)\s+"
    rf"(?:the\s+|optional\s+|package\s+|-\S+\s+)*[`'\"]?|[`'\"])(?P<after>{_WORD})"
    rf"|\b(?P<before>{_WORD})[`'\"]?\s+(?:package\s+|module\s+|library\s+)?"
    r"(?:(?:is|was|are|must be|needs to be|has to be)\s+)?(?:not\s+(?:installed|found|available)|installed|"
    r"required|missing|unavailable)\b"
)
"""A place where a word names what is not there, even if it is a word of English."""
_ANY = re.compile(rf"(?<![\w./-]){_WORD}")
_OF_A_GROUP = re.compile(r"\b([a-z]\w*(?:\.\w+)+):([\w.+-]+)")
"""An entry point as an error shows it: `sqlalchemy.dialects:duckdb`."""
_VALUES = re.compile(r"^(?:KeyError|AttributeError|IndexError|AssertionError)\b", re.MULTILINE)
"""Errors whose quoted words are values of the program."""
_ENGLISH = frozenset(
    [
        *("arrow", "attrs", "black", "build", "cache", "click", "code", "config", "coverage", "data", "dill"),
        *(
            "distributed",
            "docs",
            "examples",
            "fire",
            "flask",
            "future",
            "installer",
            "invoke",
            "jobs",
            "mock",
        ),
        *("model", "packaging", "path", "pillow", "pip", "plot", "progress", "python", "queue", "requests"),
        *("records", "responses", "rich", "schedule", "schema", "scripts", "six", "src", "tables", "test"),
        *("tests", "toml", "tools", "tree", "trio", "utils", "wheel"),
    ]
)
"""Names that also are plain words; they count only where they certainly name a distribution."""


def hint_of_left_distribution(log_end: str, sites: Sequence[str], there: Collection[str]) -> str | None:
    """Returns how to bundle the distribution that a job's error names; None if it names none that stayed.

    Args:
        log_end: the end of the driver's log.
        sites: the site-packages directories where the bundle was built.
        there: normalised names of the distributions that the nodes have.
    """
    text = error_in(log_end)
    if not text or not sites:
        return None
    stayed = _Stayed.among(sites, there)
    for word in (*_entry_points_in(text), *_names_in(text)):
        found = stayed.named(word)
        if found is not None:
            return (
                f"{found.name} {found.version} is installed here and is not in the bundle: "
                f'`include = ["{found.name}"]` in [tool.raybundle] bundles it'
            )
    return None


@dataclass(frozen=True, slots=True)
class _Stayed:
    """The installed distributions that no node has, by name and by what they can be called."""

    by_name: dict[str, InstalledDistribution]
    by_module: dict[str, InstalledDistribution]
    by_entry_point: dict[str, InstalledDistribution]

    @classmethod
    def among(cls, sites: Sequence[str], there: Collection[str]) -> _Stayed:
        by_name, by_module, by_entry_point = {}, {}, {}
        taken = set()
        for name, each in InstalledDistributions(tuple(sites)).by_name.items():
            tops = {module.partition(".")[0] for module in modules_in(each.files)}
            if name in there or not RAY_NAMES.isdisjoint(tops) or each.is_editable:
                taken |= tops
                continue
            by_name[name] = each
            by_module.update(dict.fromkeys(tops, each))
            by_entry_point.update({f"{one.group}:{one.name}": each for one in each.entry_points()})
        return cls(
            by_name, {top: each for top, each in by_module.items() if top not in taken}, by_entry_point
        )

    def named(self, word: str) -> InstalledDistribution | None:
        """Returns what a word of an error means: an entry point, a module or a distribution."""
        found = self.by_entry_point.get(word) or self.by_module.get(word.partition(".")[0])
        return found or self.by_name.get(normalised_name(word))


def _entry_points_in(text: str) -> Iterator[str]:
    for found in _OF_A_GROUP.finditer(text):
        yield f"{found[1]}:{found[2]}"


def _names_in(text: str) -> Iterator[str]:
    """Yields the words that may name a distribution, the surest first."""
    lacking = _LACK.search(text) is not None
    if lacking or not _VALUES.search(text):
        yield from (found["after"] or found["before"] for found in _SURE.finditer(text))
    if lacking:
        yield from (word for word in _ANY.findall(text) if word.lower() not in _ENGLISH)
