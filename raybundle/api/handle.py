"""A job of a cluster, as the library hands it out."""

from __future__ import annotations

import codecs
from contextlib import closing
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from raybundle.api.job_keywords import LogKeywords, StopKeywords
from raybundle.api.keywords import WaitKeywords, takes
from raybundle.cluster.follow import follow
from raybundle.cluster.jobs import FUNCTION
from raybundle.cluster.logs import LogReader
from raybundle.cluster.outcome import job_error
from raybundle.cluster.stopping import Limits, delete_for_good, stop_and_wait
from raybundle.errors import ClusterError, RaybundleError, UsageError
from raybundle.functions.results import ResultLines, result_of
from raybundle.submission.attempts import Watch, follow_order

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from typing_extensions import Unpack

    from raybundle.cluster.jobs import JobInfo, JobsClient
    from raybundle.errors import JobError
    from raybundle.model import Warning
    from raybundle.store.base import Store
    from raybundle.submission.attempts import Order
    from raybundle.submission.submit import Submission


@dataclass(frozen=True, slots=True)
class Heard:
    """Passes on what the user should know, a line at a time."""

    notify: Callable[[str], object]

    def note(self, text: str) -> None:
        """Passes on a line that says what is done."""
        self.notify(text)

    def warn(self, text: str) -> None:
        """Passes on what went wrong."""
        self.notify(f"warning: {text}")

    def warnings(self, warnings: Iterable[Warning]) -> None:
        """Passes on each warning with its place and its hint."""
        for each in warnings:
            place = (
                "" if each.file is None else f"{each.file}:{each.line}: " if each.line else f"{each.file}: "
            )
            self.warn(f"{place}{each.text}" + (f" (hint: {each.hint})" if each.hint else ""))

    def error(self, error: RaybundleError) -> None:
        """Passes on why an attempt failed."""
        self.notify(f"error: {error}")

    def progress(self, text: str) -> None:
        """Drops how far an upload is."""

    def event(self, name: str, **values: object) -> None:
        """Drops what is for programs that read the command's output."""


class Source(NamedTuple):
    """What a job was submitted from."""

    order: Order
    submission: Submission
    heard: Heard


@dataclass(frozen=True, slots=True, repr=False)
class Job:
    """A job of a cluster: one that was submitted here, or one that was found by its id."""

    id: str
    """The submission id."""
    bundle: str | None
    """The digest of the bundle that the job runs; None for a job that raybundle did not submit."""
    _client: JobsClient
    _store: Callable[[], Store]
    _source: Source | None = None

    def __repr__(self) -> str:
        return f"Job(id={self.id!r}, bundle={self.bundle!r}, address={self.address!r})"

    def _repr_html_(self) -> str:
        """Returns how a notebook shows the job: its state at this moment, and no script."""
        page = f"{self.address}/#/jobs/{quote(self.id)}"
        rows: dict[str, str | None] = {"job": self.id, "bundle": self.bundle}
        try:
            info = self.status()
            rows |= {"function": info.metadata.get(FUNCTION), "status": info.status}
        except RaybundleError as error:
            rows["status"] = f"unknown: {error}"
        cells = "".join(
            f"<tr><th>{name}</th><td>{escape(value)}</td></tr>" for name, value in rows.items() if value
        )
        link = f'<a href="{escape(page)}">{escape(self.address)}</a>'
        return f"<table>{cells}<tr><th>cluster</th><td>{link}</td></tr></table>"

    @property
    def address(self) -> str:
        """The URL of the cluster's dashboard."""
        return self._client.address

    def status(self) -> JobInfo:
        """Returns what the cluster says about the job now.

        Raises:
            JobLostError: the cluster no longer knows the job.
        """
        with closing(self._client):
            return self._client.info(self.id)

    @takes(LogKeywords)
    def logs(self, **options: Unpack[LogKeywords]) -> str:
        """Returns the driver's log so far.

        Args:
            options: `tail`, how many of the last lines to return.

        Raises:
            ClusterError: the log cannot be read.
        """
        pieces: list[bytes] = []
        info = self.status()
        with closing(self._client):
            fault = LogReader(self._client, self.id, pieces.append, options.get("tail")).finish(info)
        if fault is not None:
            raise fault
        return b"".join(pieces).decode("utf-8", "replace")

    @takes(StopKeywords)
    def stop(self, **options: Unpack[StopKeywords]) -> bool:
        """Asks the cluster to stop the job, and returns whether it was running.

        Args:
            options: `wait=True` returns only when the job has ended.

        Raises:
            ClusterError: the job has not ended in time.
        """
        with closing(self._client):
            if not options.get("wait"):
                return self._client.stop(self.id)
            if self._client.info(self.id).ended:
                return False
            final = stop_and_wait(self._client, self.id)
        if not final.ended:
            raise ClusterError(f"job {self.id} was asked to stop and is {final.status}")
        return True

    def delete(self) -> None:
        """Removes the job, which must have ended, from the cluster's records.

        Raises:
            ClusterError: the job has not ended.
        """
        with closing(self._client):
            delete_for_good(self._client, self.id)

    @takes(WaitKeywords)
    def wait(self, write: Callable[[str], object] | None = None, **options: Unpack[WaitKeywords]) -> JobInfo:
        """Returns what the cluster says about the job, once it succeeded.

        Args:
            write: takes the driver's log in pieces as it grows.
            options: `timeout`, `start_timeout` (seconds) and `retries`; a retry is a job with an id of its
                own, which the result names.

        Raises:
            JobError: the job ended without success.
            ClusterError: the cluster cannot be reached.
            UsageError: `retries` of a job that was not submitted here.
        """
        decoder = codecs.getincrementaldecoder("utf-8")("replace")

        def show(piece: bytes) -> None:
            if write is not None:
                write(decoder.decode(piece))

        limits = Limits(options.get("timeout"), options.get("start_timeout"))
        with closing(self._client):
            _, info, error = self._follow(show, limits, options.get("retries") or 0)
            if error is not None:
                raise error
            return info or self._client.info(self.id)

    @takes(WaitKeywords)
    def result(self, write: Callable[[str], object] | None = None, **options: Unpack[WaitKeywords]) -> Any:
        """Returns what the function of the job returned, or raises what it raised, once the job has ended.

        Args:
            write: as for `wait`.
            options: as for `wait`.

        Raises:
            FunctionError: the function raised an exception that cannot be made again here.
            ResultError: the result cannot be had.
            JobError: the job ended before the function did.
            UsageError: the job runs no function.
        """
        if FUNCTION not in self.status().metadata:
            raise UsageError(f"job {self.id} runs no function, and has no result", hint="wait for its end")
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        lines = ResultLines(lambda piece: write and write(decoder.decode(piece)))
        limits = Limits(options.get("timeout"), options.get("start_timeout"))
        with closing(self._client):
            last, info, failed = self._follow(lines.take, limits, options.get("retries") or 0)
        return result_of(last, info, lines, self._store(), failed)

    def _follow(
        self, show: Callable[[bytes], None], limits: Limits, retries: int
    ) -> tuple[str, JobInfo | None, JobError | None]:
        """Returns the id of the last attempt once it ended, what the cluster says of it, and its error."""
        if self._source is not None:
            order, submission, heard = self._source
            outcome = follow_order(order, Watch(show, heard, limits, retries), submission)
            return outcome.submission.run.id, outcome.info, outcome.error
        if retries:
            raise UsageError(
                f"job {self.id} was not submitted here, so it cannot be submitted again",
                hint="wait without `retries`",
            )
        followed = follow(self._client, self.id, show, limits=limits)
        if followed.lost_log is not None:
            self._client.notify(f"warning: the log cannot be read to its end: {followed.lost_log}")
        return self.id, followed.info, followed.late or job_error(followed.info, followed.log_end)
