"""The line that tells how far a long work is."""

from __future__ import annotations

from raybundle.formats.meter import Meter

MIB = 1 << 20


def test_a_work_is_told_after_two_seconds_with_bytes_and_rate() -> None:
    lines: list[str] = []
    times = iter([0.0, 1.9, 2.0, 2.1, 4.0])
    meter = Meter(lines.append, "sending", lambda: next(times))
    for done in (1, 2, 3, 8):
        meter.at(done * MIB, 10 * MIB)
    meter.end()

    assert lines == ["sending 2.0 MiB of 10.0 MiB, 1.0 MiB/s", "sending 8.0 MiB of 10.0 MiB, 2.0 MiB/s", ""]


def test_a_short_work_is_not_told() -> None:
    lines: list[str] = []
    times = iter([0.0, 1.0, 1.5])
    meter = Meter(lines.append, "hashing", lambda: next(times))
    meter.add(MIB)
    meter.add(MIB)
    meter.end()

    assert lines == []


def test_the_next_work_has_its_own_rate() -> None:
    lines: list[str] = []
    times = iter([0.0, 10.0, 10.0, 15.0])
    meter = Meter(lines.append, "sending", lambda: next(times))
    for done in (100, 0, 5):
        meter.at(done * MIB)

    assert lines == ["sending 100.0 MiB, 10.0 MiB/s", "sending 5.0 MiB, 1.0 MiB/s"]
