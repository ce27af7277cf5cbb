"""The story of `bisect`: runs mixtures of two bundles or runs until the differences that matter are left."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

from raybundle.cache.documents import write_atomically
from raybundle.directories import make_private, user_directory
from raybundle.errors import (
    UNREADABLE,
    BundleError,
    DamagedCacheError,
    DigestMismatchError,
    JobFailedError,
    JobStartError,
    UsageError,
)
from raybundle.formats.amounts import counted
from raybundle.pipeline.bisecting.mixtures import OPTIONS, Side, differences, facts_of, mix, store_mixture
from raybundle.pipeline.bisecting.search import isolate
from raybundle.pipeline.diffing.ends import open_end, stored_of
from raybundle.publish.keeping import lease_old
from raybundle.submission.options import JobOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from raybundle.model import Digest
    from raybundle.pipeline.bisecting.mixtures import Difference, Mixture
    from raybundle.pipeline.bisecting.search import Outcome, Subset
    from raybundle.pipeline.diffing.ends import End
    from raybundle.planning import Listener
    from raybundle.publish.content.objects import Shelf

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

SKIP = 125
"""Exit code of a check that decides nothing, as for `git bisect run`."""
_RAISED = re.compile(rb"^((?:[A-Za-z_]\w*\.)*[A-Za-z_]\w*)(?::|$)", re.MULTILINE)
"""The last line of a traceback: the exception, and what it says."""
_TRACEBACK = b"Traceback (most recent call last):"


class Ran(NamedTuple):
    """How a program ended, and what it printed."""

    exit_code: int
    log: bytes


class Runner(Protocol):
    """Runs a bundle of the store."""

    def __call__(self, digest: Digest, options: JobOptions) -> Ran:
        """Returns how it ended."""

    def stop(self) -> None:
        """Ends all that runs, and whatever would start from now on."""


class Tried(NamedTuple):
    """One mixture: what it was, and why."""

    chosen: int
    """Differences of the bad side that it has."""
    outcome: Outcome
    reason: str


@dataclass(frozen=True, slots=True)
class Bisection:
    """The differences that turn the good side into the bad one."""

    good: Digest
    bad: Digest
    total: int
    culprits: tuple[Difference, ...]
    tried: tuple[Tried, ...]
    runs: int
    """Mixtures that were run, now or by an interrupted call; the two ends are not counted."""


@dataclass(frozen=True, slots=True)
class How:
    """What the user says about a search."""

    environ: Mapping[str, str]
    listener: Listener
    """Hears what is tried."""
    check: tuple[str, ...] = ()
    """A command that judges a run: its log is the standard input, and 0 is good, 125 undecided."""
    at_once: int = 1
    """Mixtures that run at the same time."""
    place: str = ""
    """Where they run; what was tried elsewhere does not count."""


@dataclass(slots=True)
class _Work:
    shelf: Shelf
    good: Side
    bad: Side
    found: tuple[Difference, ...]
    run: Runner
    how: How
    memory: Path
    like: tuple[int, bytes] = (0, b"")
    """Exit code and exception of the bad side."""
    known: dict[str, tuple[Outcome, str]] = field(default_factory=dict)
    tried: list[Tried] = field(default_factory=list)
    runs: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    stopped: bool = False
    """Whatever ends from now on was ended, and says nothing."""

    def test(self, subsets: Sequence[Subset]) -> list[Outcome]:
        return self.each(self.one, subsets)

    def each(self, call: Callable[[_Item], _Result], items: Iterable[_Item]) -> list[_Result]:
        """Returns what a call that runs bundles gives for each item; an interrupt ends what runs."""
        with ThreadPoolExecutor(self.how.at_once) as threads:
            calls = [threads.submit(call, item) for item in items]
            try:
                return [each.result() for each in calls]
            except BaseException:
                self.stopped = True
                threads.shutdown(wait=False, cancel_futures=True)
                self.run.stop()
                raise

    def one(self, subset: Subset) -> Outcome:
        mixture = mix(self.good, self.bad, [self.found[each] for each in sorted(subset)])
        outcome, reason = self.known.get(mixture.key) or self.tell(mixture)
        with self.lock:
            if self.stopped:
                return outcome
            self.known[mixture.key] = outcome, reason
            self.runs += mixture.fault is None
            self.tried.append(Tried(len(subset), outcome, reason))
            if mixture.fault is None:
                self.remember()
        of = f"{len(subset)} of {counted(len(self.found), 'difference')}"
        self.how.listener.note(f"{of}: {outcome} ({reason})")
        return outcome

    def remember(self) -> None:
        write_atomically(self.memory, json.dumps(self.known).encode())

    def tell(self, mixture: Mixture) -> tuple[Outcome, str]:
        """Runs a mixture, and returns what it is and why."""
        if mixture.fault is not None:
            return "unknown", f"there is no such bundle: {mixture.fault}"
        try:
            digest = store_mixture(self.shelf, mixture, self.good.stored, self.bad.stored)
            ran = self.run(digest, mixture.options)
        except (DigestMismatchError, DamagedCacheError):
            raise  # like an error of the store or the cluster, it says nothing about the mixture
        except (BundleError, JobStartError, JobFailedError) as error:
            return "unknown", f"it does not start: {error}"
        return self.judge(ran)

    def judge(self, ran: Ran) -> tuple[Outcome, str]:
        """Returns what a run is: by the check, or else by exit code and exception."""
        if self.how.check:
            code = _checked(self.how.check, ran)
            outcome: Outcome = "good" if code == 0 else "unknown" if code == SKIP else "bad"
            return outcome, f"the check returned {code}"
        raised = raised_by(ran.log)
        text = f"exit code {ran.exit_code}" + (f", {raised.decode(errors='replace')}" if raised else "")
        if ran.exit_code == 0:
            return "good", text
        return (
            ("bad", text) if (ran.exit_code, raised) == self.like else ("unknown", f"another failure: {text}")
        )


def bisect(shelf: Shelf, good: str, bad: str, run: Runner, how: How) -> Bisection:
    """Returns the differences that turn a bundle or run that works into one that does not.

    What was tried is kept in the user's state directory, so a call after an interrupt goes on where it was.

    Args:
        shelf: of the store, which gets the bundles of mixtures.
        good: the bundle or run that works.
        bad: the one that does not.
        run: runs a bundle.
        how: the search.

    Raises:
        UsageError: the two do not differ, or do not behave as they should.
        StoreError: the store cannot be read or written.
    """
    sides = _side(shelf, good), _side(shelf, bad)
    found = differences(*sides)
    if not found:
        raise UsageError(f"{good} and {bad} do not differ", hint="name two bundles or runs that do")
    memory = _memory(sides, how)
    work = _Work(shelf, *sides, found, run, how, memory)
    work.known.update(_remembered(memory))
    how.listener.note(f"{counted(len(found), 'difference')} between {good} and {bad}")
    _require_ends(work, good, bad)
    culprits = isolate(len(found), work.test, how.at_once)
    chosen = tuple(found[each] for each in sorted(culprits))
    digests = sides[0].stored.digest, sides[1].stored.digest
    return Bisection(*digests, len(found), chosen, tuple(work.tried), work.runs)


def _require_ends(work: _Work, good: str, bad: str) -> None:
    """Runs both ends; what the bad one ends with is what `bad` means."""
    everything = mix(work.good, work.bad, work.found)
    for name, mixture, wanted in ((bad, everything, "bad"), (good, mix(work.good, work.bad, ()), "good")):
        known = work.known.get(f"end {mixture.key}")
        if known is None:
            digest = work.bad.stored.digest if wanted == "bad" else work.good.stored.digest
            [ran] = work.each(partial(work.run, digest), [mixture.options])
            if wanted == "bad":
                work.like = ran.exit_code, raised_by(ran.log)
            outcome, reason = work.judge(ran)
            work.known[f"end {mixture.key}"] = outcome, reason
            if wanted == "bad":
                work.known["like"] = "bad", json.dumps([work.like[0], work.like[1].decode(errors="replace")])
        else:
            outcome, reason = known
            if wanted == "bad":
                code, raised = json.loads(work.known["like"][1])
                work.like = code, raised.encode()
        work.how.listener.note(f"{name}: {outcome} ({reason})")
        if outcome != wanted:
            raise UsageError(
                f"{name} is {outcome}, and not {wanted}: {reason}",
                hint="name the one that works first; a check after `--` says what works means",
            )
        work.known[mixture.key] = outcome, reason
    work.remember()


def _side(shelf: Shelf, ref: str) -> Side:
    end = open_end(shelf, ref)
    lease_old(shelf.store, end.digest)  # mixtures take over its layers and large files
    return Side(stored_of(shelf, end.digest), _recorded_options(end))


def _recorded_options(end: End) -> JobOptions:
    """Returns the options of a run that its record has; none of a bundle."""
    record = end.record
    if masked := record.get("masked_arguments"):
        numbers = ", ".join(map(str, masked))
        raise UsageError(
            f"argument {numbers} of run {end.name} is not recorded, because it looked like a secret",
            hint=f"name its bundle {end.digest} instead, if that fails without arguments too",
        )
    options = {name: record[name] for name in OPTIONS if record.get(name)}
    return JobOptions(tuple(record.get("arguments", ())), record.get("env", {}), **options)


def _memory(sides: Sequence[Side], how: How) -> Path:
    """Returns the file that remembers what was tried for this pair."""
    text = repr([[side.stored.digest, *facts_of(side.options)] for side in sides] + [[*how.check], how.place])
    folder = user_directory(how.environ, "XDG_STATE_HOME", ".local/state") / "raybundle/bisect"
    return make_private(folder) / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.json"


def _remembered(memory: Path) -> dict[str, Any]:
    try:
        return {
            key: (outcome, reason) for key, (outcome, reason) in json.loads(memory.read_text("utf-8")).items()
        }
    except (OSError, *UNREADABLE):
        return {}


def raised_by(log: bytes) -> bytes:
    """Returns the exception that the last traceback in a log ends with; empty if there is none."""
    _, found, rest = log.rpartition(_TRACEBACK)
    names = _RAISED.findall(rest) if found else []
    return bytes(names[-1]) if names else b""


def _checked(check: Sequence[str], ran: Ran) -> int:
    with tempfile.TemporaryFile() as log:
        log.write(ran.log)
        log.seek(0)
        environment = {**os.environ, "RAYBUNDLE_EXIT_CODE": str(ran.exit_code)}
        try:
            done = subprocess.run(
                list(check), stdin=log, stdout=subprocess.DEVNULL, env=environment, check=False
            )
        except OSError as error:
            raise UsageError(f"cannot run the check `{check[0]}`: {error.strerror}") from error
    return done.returncode
