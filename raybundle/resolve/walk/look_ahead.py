"""Scans ahead of the walk, in parallel if that is faster. The walk then finds the facts and decides."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from raybundle.errors import BundleError
from raybundle.resolve.facts import Facts
from raybundle.resolve.find.finder import FirstParty
from raybundle.resolve.walk.meaning import Imported, Meanings, Member, package_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from raybundle.resolve.find.finder import Finder
    from raybundle.resolve.scan.scanner import Scanner
    from raybundle.resolve.scan.workers import Workers
    from raybundle.resolve.start import Start
    from raybundle.resolve.walk.widen import Guesser

ENOUGH = 12
"""Waiting files from which a second process is faster. It needs about 0.1 s of CPU to start."""

MOST = 7
"""Further processes. More of them would wait for this one."""


def scan_ahead(
    start: Start, finder: Finder, scanner: Scanner, guesser: Guesser, rules_off: frozenset[str]
) -> None:
    """Gives `scanner` the facts of most files that `start` reaches.

    Only the walk decides what is reached. It scans files that are missing here, and reports errors.
    """
    facts: dict[str, Facts] = {}
    meanings = Meanings(finder, guesser, lambda file: facts.get(file) or Facts(""), rules_off)
    ahead = _Ahead(scanner, meanings, facts)
    ahead.meet(start.name, start.found)
    for name in (start.name.rpartition(".")[0], *(name for name, _ in start.implied)):
        ahead.look_up(name)
    try:
        ahead.run()
    finally:
        if ahead.workers:
            ahead.workers.stop()


@dataclass(slots=True)
class _Ahead:
    scanner: Scanner
    meanings: Meanings
    facts: dict[str, Facts]
    """Facts that are known by now, by file."""
    modules: dict[str, tuple[str, FirstParty]] = field(default_factory=dict)
    """Name and place of the module, by file."""
    met: list[str] = field(default_factory=list)
    """Files that are not looked up yet."""
    unknown: list[str] = field(default_factory=list)
    """Files that must be scanned."""
    looked_up: set[str] = field(default_factory=set)
    workers: Workers | None = None

    def run(self) -> None:
        while self.met or self.unknown or (self.workers and self.workers.busy):
            self._recall()
            if self.workers is None and len(self.unknown) >= ENOUGH:
                self._start_workers()
            if self.workers:
                self._share()
            if self.unknown:
                file = self.unknown.pop()
                self._expand(file, self._attempt(self.scanner.facts, file))

    def meet(self, name: str, found: FirstParty) -> None:
        if found.file not in self.modules and found.is_source:
            self.modules[found.file] = (name, found)
            self.met.append(found.file)

    def look_up(self, name: str) -> None:
        """Meets `name` and the packages around it."""
        while name and name not in self.looked_up:
            self.looked_up.add(name)
            found = self.meanings.finder.find(name)
            if isinstance(found, FirstParty):
                self.meet(name, found)
            name = name.rpartition(".")[0]

    def _recall(self) -> None:
        while self.met:
            file = self.met.pop()
            facts = self._attempt(self.scanner.remembered, file)
            if facts is None:
                self.unknown.append(file)
            self._expand(file, facts)

    def _attempt(self, read: Callable[[str], Facts | None], file: str) -> Facts | None:
        try:
            return read(file)
        except BundleError:
            return None  # the walk reports it, if it comes here

    def _start_workers(self) -> None:
        from raybundle.resolve.scan.workers import Workers, processors  # noqa: PLC0415 - 8 ms, where much is new

        self.workers = Workers(self.scanner.environment)
        self.workers.start(min(processors() - 1, MOST))

    def _share(self) -> None:
        assert self.workers is not None  # noqa: S101 - for mypy
        self.workers.give(self.unknown)
        for row in self.workers.answers(wait=not self.unknown):
            if len(row) > 1:
                self._expand(row[0], self.scanner.accept(*row))

    def _expand(self, file: str, facts: Facts | None) -> None:
        if facts is None:
            return
        self.facts[file] = facts
        name, found = self.modules[file]
        for each in facts.imports:
            try:
                for meaning in self.meanings.of(each, package_of(name, found), file):
                    if isinstance(meaning, (Imported, Member)):
                        self.look_up(meaning.name)
            except BundleError:  # noqa: PERF203 - the walk reports it
                continue
