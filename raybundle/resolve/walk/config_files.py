"""Tells which configuration files beside scripts something reached reads: only those name modules."""

# Why strings: paths here are the strings that `sys.path` holds; pathlib would cost ten times as much.
# ruff: noqa: PTH119, PTH120, PTH122

from __future__ import annotations

from dataclasses import dataclass, field
from os.path import basename, dirname, splitext
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from raybundle.resolve.facts import Facts
    from raybundle.resolve.find.finder import FirstParty


@dataclass(slots=True)
class ConfigFiles:
    """Files that wait until a source is reached that reads them.

    The directory of a script is no package: what is there may belong to another one.
    """

    quotes: Callable[[str, str], bool]
    """Whether the source of a file has a word in quotes."""
    waiting: dict[str, str] = field(default_factory=dict)
    """Module beside it, by configuration file."""
    words: set[str] = field(default_factory=set)
    """Names of configuration files in reached sources."""
    beside: dict[str, dict[str, tuple[str, ...]]] = field(default_factory=dict)
    """By directory, its sources with their words."""
    compared: set[tuple[str, str]] = field(default_factory=set)
    """Configuration files and sources of which it is known that the one has not the stem of the other."""

    def meet(self, found: FirstParty, facts: Facts) -> None:
        """Note what a reached source reads."""
        self.words.update(facts.configs)
        self.beside.setdefault(dirname(found.file), {})[found.file] = facts.configs

    def read(self) -> Iterator[tuple[str, str]]:
        """Yield the files that are read by what is reached by now, and the module beside each."""
        for config, module in sorted(self.waiting.items()):
            if self._is_read(config):
                del self.waiting[config]
                yield config, module

    def _is_read(self, config: str) -> bool:
        name = basename(config)
        stem, suffix = splitext(name)
        if name in self.words:
            return True
        sources = self.beside.get(dirname(config), {})
        return any(f"*{suffix}" in words for words in sources.values()) or any(
            self._has_stem(source, config, stem) for source in sources
        )

    def _has_stem(self, source: str, config: str, stem: str) -> bool:
        """Whether a source has the name without its suffix: hydra's `config_name`, loaders that add it."""
        if (config, source) in self.compared:
            return False
        self.compared.add((config, source))
        return self.quotes(source, stem)
