"""Laws of reading a log: each byte once and in order, whatever breaks, and whichever way it comes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from raybundle.cluster.jobs import JobInfo
from raybundle.cluster.logs import REFUSALS, LogReader
from raybundle.errors import ClusterError

if TYPE_CHECKING:
    from collections.abc import Iterator

RUNNING = JobInfo("x", "RUNNING", "", "", None, None, 1, None, {}, "http://node", "id")
PIECES = st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"ab", b"c\n", "ü".encode()]), max_size=12)


@dataclass
class Log:
    """A log that grows, and a server that fails to send all of it now and then."""

    content: bytes = b""
    failures: list[bool] = field(default_factory=list)
    """Whether each answer in turn is cut in its middle; those after the last are whole."""
    serves_file: bool = True

    def log_bytes(self, _info: JobInfo) -> Iterator[bytes]:
        if not self.serves_file:
            raise ClusterError("HTTP 404")
        cut = self.failures.pop(0) if self.failures else False
        end = len(self.content) // 2 if cut else len(self.content)
        for start in range(0, end, 3):
            yield self.content[start : min(start + 3, end)]
        if cut:
            raise ClusterError("cut")

    def logs(self, _submission_id: str) -> str:
        return as_text(self.content).decode()


def as_text(data: bytes) -> bytes:
    """As Python reads a text file, and so as Ray sends it in JSON."""
    return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def reader_of(log: Any, written: list[bytes], last_lines: int | None = None) -> LogReader:
    reader = LogReader(log, "x", written.append, last_lines)
    reader._tail.refusals = REFUSALS
    return reader


@given(st.lists(PIECES, max_size=6), st.lists(st.booleans(), max_size=8))
def test_a_file_arrives_byte_for_byte_whatever_is_cut(
    growth: list[list[bytes]], failures: list[bool]
) -> None:
    log, written = Log(failures=failures), list[bytes]()
    reader = reader_of(log, written)
    for pieces in growth:
        log.content += b"".join(pieces)
        reader._due = 0.0
        reader.watch(RUNNING, 0.0)
    log.failures.clear()

    assert reader.finish(RUNNING) is None
    assert b"".join(written) == log.content


@given(st.lists(PIECES, max_size=6))
def test_a_log_that_comes_as_text_arrives_as_that_text(growth: list[list[bytes]]) -> None:
    log, written = Log(serves_file=False), list[bytes]()
    reader = reader_of(log, written)
    reader._refusals = REFUSALS
    for pieces in growth:
        # A carriage return at the end may be the first half of a line's end: Ray sends it when it knows.
        log.content += b"".join([*pieces, b"."])
        reader._due = 0.0
        reader.watch(RUNNING, 0.0)

    assert reader.finish(RUNNING) is None
    assert b"".join(written) == as_text(log.content)


@given(PIECES, PIECES, st.booleans())
def test_a_change_of_the_way_neither_drops_nor_doubles_a_line(
    first: list[bytes], second: list[bytes], file_first: bool
) -> None:
    log, written = Log(b"".join(first) + b"."), list[bytes]()
    reader = reader_of(log, written)
    log.serves_file = file_first
    if not file_first:
        reader._refusals = REFUSALS
    reader.watch(RUNNING, 0.0)
    log.content += b"".join(second)
    log.serves_file = not file_first

    assert reader.finish(RUNNING) is None
    assert as_text(b"".join(written)) == as_text(log.content)


@given(PIECES, st.integers(0, 5))
def test_the_last_lines_are_those_of_the_whole(pieces: list[bytes], count: int) -> None:
    log, written = Log(b"".join(pieces)), list[bytes]()

    assert reader_of(log, written, count).finish(RUNNING) is None

    lines = [line + b"\n" for line in log.content.split(b"\n")]
    lines[-1] = lines[-1][:-1]
    kept = [line for line in lines if line]
    assert b"".join(written) == b"".join(kept[max(0, len(kept) - count) :] if count else [])
