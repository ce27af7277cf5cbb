"""Runs the bundles of a bisection: on this machine, or as jobs of a cluster."""

from __future__ import annotations

import tempfile
import threading
from concurrent.futures import CancelledError
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

from raybundle.cluster.jobs import JobsClient
from raybundle.cluster.stopping import stop_interrupted
from raybundle.pipeline.bisecting.bisect import How, Ran, bisect
from raybundle.pipeline.here import Here, end_program, run_stored
from raybundle.pipeline.orders import order_bundle
from raybundle.pipeline.verifying import open_shelf_of
from raybundle.publish.bundles import find_bundle
from raybundle.publish.trust.policy import trust_of
from raybundle.submission.attempts import Watch, follow_order
from raybundle.submission.destination import require_embedded_for

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from subprocess import Popen

    from raybundle.cluster.access import Access
    from raybundle.config import Settings
    from raybundle.errors import RaybundleError
    from raybundle.model import Digest, Warning
    from raybundle.pipeline.bisecting.bisect import Bisection
    from raybundle.planning import Listener
    from raybundle.publish.content.objects import Shelf
    from raybundle.submission.connecting import Connecting
    from raybundle.submission.options import JobOptions

_Kind = TypeVar("_Kind")


class Running(Generic[_Kind]):
    """What runs now, as whoever ends it knows it."""

    def __init__(self) -> None:
        """Nothing runs."""
        self._now: list[_Kind] = []
        self._stopped = False
        self._lock = threading.Lock()

    @contextmanager
    def holding(self, one: _Kind) -> Iterator[None]:
        """Counts one as running during its block, which does not begin once all is stopped."""
        with self._lock:
            if self._stopped:
                raise CancelledError
            self._now.append(one)
        try:
            yield
        finally:
            with self._lock:
                self._now.remove(one)

    def stop(self) -> list[_Kind]:
        """Lets nothing begin any more, and returns what runs."""
        with self._lock:
            self._stopped = True
            return list(self._now)


@dataclass(frozen=True, slots=True)
class OnThisMachine:
    """Runs bundles as `run --here` does."""

    shelf: Shelf
    settings: Settings
    environ: Mapping[str, str]
    running: Running[Popen[bytes]] = field(default_factory=Running)

    def __call__(self, digest: Digest, options: JobOptions) -> Ran:
        """Returns how a bundle ended, and what it printed."""
        store = self.shelf.store
        stored = trust_of(self.settings, self.environ).plain(store, find_bundle(store, digest))
        python = require_embedded_for(stored.manifest.python, self.settings.text("python"), self.environ)
        with tempfile.TemporaryFile() as log:
            code = run_stored(self.shelf, Here(stored, options, python), log, self.running.holding)
            log.seek(0)
            return Ran(code, log.read())

    def stop(self) -> None:
        """Interrupts the programs, and kills those that stay."""
        for process in self.running.stop():
            end_program(process)


@dataclass(frozen=True, slots=True)
class OnCluster:
    """Runs bundles as jobs."""

    connecting: Connecting
    listener: Listener
    running: Running[tuple[Access, str]] = field(default_factory=Running)

    def __call__(self, digest: Digest, options: JobOptions) -> Ran:
        """Returns how a job ended: with the exit code of its driver.

        Raises:
            JobError: the driver did not run.
        """
        order = order_bundle(digest, options, self.connecting, _Silent(), made_here=True)
        pieces: list[bytes] = []
        try:
            outcome = follow_order(order, Watch(pieces.append, _Silent(), guard=self._held))
        finally:
            order.cluster.client.close()
        if outcome.error is None:
            return Ran(0, b"".join(pieces))
        code = None if outcome.info is None else outcome.info.driver_exit_code
        if code is None:
            raise outcome.error
        return Ran(code, b"".join(pieces))

    def _held(self, client: JobsClient, submission_id: str) -> AbstractContextManager[None]:
        return self.running.holding((client.access, submission_id))

    def stop(self) -> None:
        """Stops the jobs; their threads have a connection of their own each."""
        for access, submission_id in self.running.stop():
            with closing(JobsClient(access)) as client:
                stop_interrupted(client, submission_id, self.listener, "interrupted")


class _Silent:
    """Hears the jobs of a bisection, which says itself what it found."""

    def note(self, text: str) -> None:
        """Drops it."""

    def warn(self, text: str) -> None:
        """Drops it."""

    def warnings(self, warnings: Iterable[Warning]) -> None:
        """Drops them."""

    def error(self, error: RaybundleError) -> None:
        """Drops it."""

    def progress(self, text: str) -> None:
        """Drops it."""

    def event(self, name: str, **values: object) -> None:
        """Drops it."""


def bisect_configured(  # noqa: PLR0913 - what the command line has
    good: str,
    bad: str,
    connecting: Connecting,
    environ: Mapping[str, str],
    listener: Listener,
    *,
    check: Sequence[str] = (),
    at_once: int = 1,
    here: bool = False,
) -> Bisection:
    """Returns the differences that matter between two bundles or runs of the configured store.

    Args:
        good: what works.
        bad: what does not.
        connecting: how the cluster is reached, and the settings.
        environ: of the user.
        listener: hears what is tried.
        check: a command that judges a run by its log.
        at_once: mixtures that run at the same time.
        here: run them on this machine, without a cluster.

    Raises:
        UsageError: the two do not differ, or do not behave as they should.
        UntrustedError: signatures are required, and one of the two has none.
        StoreError: the store cannot be read or written.
    """
    shelf = open_shelf_of(connecting.settings, environ)
    trust = trust_of(connecting.settings, environ)
    if trust.required:  # mixtures have nothing but parts of the two
        good, bad = (trust.find(shelf.store, ref).digest for ref in (good, bad))
    run = OnThisMachine(shelf, connecting.settings, environ) if here else OnCluster(connecting, listener)
    place = "here" if here else connecting.address or "the embedded cluster"
    return bisect(shelf, good, bad, run, How(environ, listener, tuple(check), at_once, place))
