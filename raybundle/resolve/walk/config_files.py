"""Tells which configuration files and pickles a reached source may read. Only those name modules."""

# Why strings: paths here are the strings that `sys.path` holds; pathlib would cost ten times as much.
# ruff: noqa: PTH119, PTH120, PTH122

from __future__ import annotations

import re
from dataclasses import dataclass, field
from os.path import basename, dirname, splitext
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from raybundle.resolve.facts import Facts
    from raybundle.resolve.find.finder import FirstParty

_LOADERS = frozenset(
    [
        *("pickle", "_pickle", "cloudpickle", "dill", "joblib", "shelve", "numpy", "pandas", "sklearn"),
        *("torch", "lightning", "pytorch_lightning", "mlflow"),
    ]
)
"""Modules with functions that load pickles."""


def may_load_pickles(facts: Facts) -> bool:
    """Returns whether a source imports something that loads pickles."""
    return any(each.form.name.partition(".")[0] in _LOADERS for each in facts.imports)


@dataclass(slots=True)
class ConfigFiles:
    """Configuration files that count once a source that reads them is reached.

    The directory of a script is not a package: its files may belong to another script.
    """

    source_of: Callable[[str], bytes]
    waiting: dict[str, str] = field(default_factory=dict)
    """Module beside it, by configuration file."""
    words: set[str] = field(default_factory=set)
    """Names of configuration files in reached sources."""
    beside: dict[str, dict[str, tuple[str, ...]]] = field(default_factory=dict)
    """Sources and their words, by directory."""
    compared: set[tuple[str, str]] = field(default_factory=set)
    """Configuration files and sources that do not contain the stem of the file."""

    def meet(self, found: FirstParty, facts: Facts) -> None:
        """Notes what a reached source reads."""
        self.words.update(facts.configs)
        self.beside.setdefault(dirname(found.file), {})[found.file] = facts.configs

    def read(self) -> Iterator[tuple[str, str]]:
        """Yields the files that reached sources read, and the module beside each."""
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
        """Returns whether a source has the name without its suffix (hydra's `config_name`)."""
        if (config, source) in self.compared:
            return False
        self.compared.add((config, source))
        form = rb"['\"]" + re.escape(stem.encode()) + rb"['\"]"
        return re.search(form, self.source_of(source)) is not None
