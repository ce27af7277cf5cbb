"""Scans ahead of the walk, in parallel where that pays: the walk then finds all facts and decides alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from raybundle.dotted import absolute
from raybundle.errors import BundleError
from raybundle.resolve.find.finder import FirstParty

if TYPE_CHECKING:
    from collections.abc import Iterator

    from raybundle.resolve.facts import Facts, Import
    from raybundle.resolve.find.finder import Finder
    from raybundle.resolve.scan.scanner import Scanner
    from raybundle.resolve.scan.workers import Workers
    from raybundle.resolve.start import Start
    from raybundle.resolve.walk.widen import Widening

ENOUGH = 12
"""Files that wait to be scanned from which on a second process pays: it is ready after some 0.1 s of CPU."""

MOST = 7
"""Processes beside our own; more of them wait for us."""


def scan_ahead(
    start: Start, finder: Finder, scanner: Scanner, widening: Widening, rules_off: frozenset[str]
) -> None:
    """Give `scanner` the facts of about all files that `start` reaches.

    About: the walk alone decides what is reached. A file too many costs its scan; one too few is scanned
    by the walk. Faults are left to the walk as well.
    """
    ahead = _Ahead(finder, scanner, widening, rules_off)
    ahead.meet(start.name, start.found)
    for name in (start.name.rpartition(".")[0], *(name for name, _ in start.implied)):
        ahead.look_up(name)
    try:
        ahead.run()
    finally:
        ahead.stop()


@dataclass(slots=True)
class _Ahead:
    finder: Finder
    scanner: Scanner
    widening: Widening
    rules_off: frozenset[str]
    names: dict[str, tuple[str, bool]] = field(default_factory=dict)
    """By file: the module's name, and whether it is a package."""
    met: list[str] = field(default_factory=list)
    """Files that nobody has looked at."""
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
                self._scan(self.unknown.pop())

    def stop(self) -> None:
        if self.workers:
            self.workers.stop()

    def meet(self, name: str, found: FirstParty) -> None:
        if found.file not in self.names and not found.is_extension and not found.file.endswith(".pyc"):
            self.names[found.file] = (name, found.is_package)
            self.met.append(found.file)

    def look_up(self, name: str) -> None:
        """Meet `name` and the packages that it lies in."""
        while name and name not in self.looked_up:
            self.looked_up.add(name)
            found = self.finder.find(name)
            if isinstance(found, FirstParty):
                self.meet(name, found)
            name = name.rpartition(".")[0]

    def _recall(self) -> None:
        while self.met:
            file = self.met.pop()
            facts = self._attempt(file, known_only=True)
            if facts is None:
                self.unknown.append(file)
            else:
                self._expand(file, facts)

    def _scan(self, file: str) -> None:
        facts = self._attempt(file)
        if facts is not None:
            self._expand(file, facts)

    def _attempt(self, file: str, *, known_only: bool = False) -> Facts | None:
        try:
            return self.scanner.remembered(file) if known_only else self.scanner.facts(file)
        except BundleError:
            return None  # the walk will say so, if it comes here

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

    def _expand(self, file: str, facts: Facts) -> None:
        name, is_package = self.names[file]
        package = name if is_package else name.rpartition(".")[0]
        for each in facts.imports:
            if each.rule not in self.rules_off:
                try:
                    for wanted in self._wanted(each, package):
                        self.look_up(wanted)
                except BundleError:
                    continue  # as above

    def _wanted(self, each: Import, package: str) -> Iterator[str]:
        base = absolute(each.name, package)
        if base is None:
            return
        if each.rule not in {"import", "import-module", "attribute", "resource"}:
            yield from self.widening.names(each, base)
            return
        yield base
        for member in each.names:
            if each.rule == "attribute":
                base = f"{base}.{member}"
                yield base
            else:
                yield f"{base}.{member}"
