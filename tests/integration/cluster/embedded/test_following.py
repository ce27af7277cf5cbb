"""The driver's log arrives byte for byte, and the exit code is right, whatever breaks in between."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.proxy import Faults, Proxy

if TYPE_CHECKING:
    from tests.integration.cluster.conftest import Embedded
    from tests.support.workplace import Workplace

pytestmark = pytest.mark.ray

NO_FILE = ("/api/v0/",)
"""What a proxy does not route that knows the Jobs API only."""
MEBIBYTE = 1 << 20


@pytest.fixture
def work(embedded: Embedded, tmp_path: Path) -> Workplace:
    return embedded.workplace(tmp_path / "work", "logs", **embedded.token)


def written(embedded: Embedded, name: str) -> bytes:
    """The driver's log, from the disk of the cluster's node."""
    record = json.loads((embedded.state / "cluster.json").read_text())
    return Path(record["temp_dir"], "ray/session_latest/logs", f"job-driver-{name}.log").read_bytes()


def submit(work: Workplace, address: str, name: str, *words: str) -> tuple[int, bytes, str]:
    with work.started("--address", address, "submit", "--submission-id", name, "job.py", *words) as running:
        return running.end()


@pytest.mark.parametrize("not_found", [(), NO_FILE], ids=["file", "websocket"])
def test_closed_websockets_and_refused_connections_change_nothing(
    embedded: Embedded, work: Workplace, tmp_path: Path, not_found: tuple[str, ...]
) -> None:
    name = f"closing-{tmp_path.name}"
    words = ("submit", "--submission-id", name, "job.py", "ticks", "40", "0.5")
    with Proxy(embedded.address, Faults(tail_seconds=2.0, not_found=not_found)) as proxy:
        with work.started("--address", proxy.address, *words) as running:
            running.wait_for("tick 10 ")
            proxy.refuse(10.0)
            code, log, stderr = running.end()
        closed = set(proxy.closed)

    assert code == 0, stderr
    assert log == written(embedded, name)
    assert log.count(b"tick ") == 40
    assert "trying again" in stderr
    assert "answers again" in stderr
    assert closed == ({1000, 1001, 1006} if not_found else set())


@pytest.mark.parametrize("status", [403, 502])
def test_a_proxy_that_refuses_websockets_is_polled(
    embedded: Embedded, work: Workplace, tmp_path: Path, status: int
) -> None:
    name = f"polled-{tmp_path.name}"
    with Proxy(embedded.address, Faults(websocket_status=status, not_found=NO_FILE)) as proxy:
        code, log, stderr = submit(work, proxy.address, name, "ticks", "16", "0.5")
        asked = [request.path for request in proxy.requests if request.path.endswith("/logs")]

    assert code == 0, stderr
    assert log == written(embedded, name)
    assert len(asked) > 2


def test_bytes_that_are_no_text_pass_through(embedded: Embedded, work: Workplace, tmp_path: Path) -> None:
    name = f"awkward-{tmp_path.name}"
    file = tmp_path / "log"

    code, log, stderr = submit(work, embedded.address, name, "awkward")

    assert code == 0, stderr
    assert log == written(embedded, name)
    assert log.endswith("no end of line and more \N{T-REX}".encode())
    with work.started("logs", "--log-file", str(file), name) as running:
        assert running.end()[1] == file.read_bytes() == log


def test_a_large_log_arrives_to_its_last_line_in_little_memory(work: Workplace, tmp_path: Path) -> None:
    name = f"large-{tmp_path.name}"
    file = tmp_path / "log"
    words = ["submit", "--submission-id", name, "--log-file", str(file), "job.py", "large", "200"]
    script = (
        "import resource, subprocess, sys\n"
        "command = [sys.executable, '-m', 'raybundle', *sys.argv[1:]]\n"
        "code = subprocess.call(command, stdout=subprocess.DEVNULL)\n"
        "print(code, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\n"
    )

    done = work.command([sys.executable, "-c", script, *words])

    code, kibibytes = map(int, done.stdout.split())
    assert code == 0, done.stderr
    assert kibibytes << 10 < 150 * MEBIBYTE
    assert file.stat().st_size > 200_000_000
    assert file.read_bytes().endswith(b"xx\nSENTINEL\n")


def test_only_the_last_lines_are_shown_where_they_are_asked_for(
    embedded: Embedded, work: Workplace, tmp_path: Path
) -> None:
    name = f"tail-{tmp_path.name}"
    code, log, _ = submit(work, embedded.address, name, "ticks", "30", "0")
    lines = log.splitlines(keepends=True)

    shown = {count: work.raybundle("logs", "--tail", str(count), name).stdout for count in (0, 1, 3, 1000)}
    attached = work.raybundle("attach", "--tail", "2", name)

    assert code == 0
    assert shown == {count: b"".join(lines[-count:] if count else []).decode() for count in shown}
    assert (attached.returncode, attached.stdout) == (0, b"".join(lines[-2:]).decode())


def test_timestamps_stand_before_each_line_and_not_in_the_file(
    embedded: Embedded, work: Workplace, tmp_path: Path
) -> None:
    name = f"stamped-{tmp_path.name}"
    file = tmp_path / "log"
    submit(work, embedded.address, name, "ticks", "3", "0")

    done = work.raybundle("logs", "--timestamps", "--log-file", str(file), name)

    shown = done.stdout.splitlines()
    assert [line.partition("Z ")[2] for line in shown] == file.read_text().splitlines()
    assert all(len(line.partition("Z ")[0]) == len("2026-01-01T00:00:00.000") for line in shown)


def test_a_log_file_that_cannot_be_written_is_refused_before_anything_is_submitted(
    work: Workplace, tmp_path: Path
) -> None:
    done = work.raybundle("submit", "--log-file", str(tmp_path / "no" / "log"), "job.py", "ticks", "1", "0")

    assert done.returncode == 2
    assert "--log-file" in done.stderr
    assert "submitted" not in done.stderr


def test_a_busy_server_is_asked_again_and_the_user_is_told(
    embedded: Embedded, work: Workplace, tmp_path: Path
) -> None:
    name = f"busy-{tmp_path.name}"
    with Proxy(embedded.address, Faults(unavailable=(f"GET /api/jobs/{name}", 3))) as proxy:
        code, log, stderr = submit(work, proxy.address, name, "ticks", "3", "0.1")

    assert code == 0, stderr
    assert log.count(b"tick ") == 3
    assert "HTTP 503" in stderr
    assert "answers again" in stderr


def test_the_status_is_asked_for_ten_times_a_second_at_most(
    embedded: Embedded, work: Workplace, tmp_path: Path
) -> None:
    name = f"often-{tmp_path.name}"
    with Proxy(embedded.address) as proxy:
        code, _, stderr = submit(work, proxy.address, name, "ticks", "8", "0.5")
        times = [request.time for request in proxy.requests if request.path == f"/api/jobs/{name}"]

    assert code == 0, stderr
    assert all(later - earlier > 0.99 for earlier, later in zip(times, times[10:], strict=False))
