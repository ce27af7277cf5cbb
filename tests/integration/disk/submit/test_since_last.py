"""What `submit` and `plan` say is new since the last submission of a target."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from raybundle.cache.documents import Cache, Kind
from tests.support.fake_dashboard import FakeDashboard
from tests.support.small_project import tree
from tests.support.workplace import make_workplace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.workplace import Workplace

START = "since the last submission: "


@pytest.fixture
def dashboard() -> Iterator[FakeDashboard]:
    with FakeDashboard() as dashboard:
        yield dashboard


@pytest.fixture
def work(dashboard: FakeDashboard, tmp_path: Path) -> Workplace:
    work = make_workplace(tmp_path / "work", RAYBUNDLE_ADDRESS=dashboard.address)
    tree(work.directory, {"job.py": "import lib.a\n", "lib/__init__.py": "", "lib/a.py": "import lib.old\n"})
    tree(work.directory, {"lib/old.py": "", "other.py": ""})
    return work


def news(text: str) -> list[str]:
    return [line.removeprefix(START) for line in text.splitlines() if line.startswith(START)]


def test_what_changed_since_the_last_submission_is_one_line(work: Workplace) -> None:
    first = work.raybundle("submit", "--no-wait", "job.py")
    again = work.raybundle("submit", "--no-wait", "job.py")
    (work.directory / "lib/a.py").write_text("import lib.new\n")
    (work.directory / "lib/old.py").rename(work.directory / "lib/new.py")
    other = work.raybundle("submit", "--no-wait", "other.py")
    planned = work.raybundle("plan", "job.py")
    edited = work.raybundle("submit", "--no-wait", "job.py")
    last = work.raybundle("plan", "job.py")

    assert news(first.stderr) == news(again.stderr) == news(other.stderr) == news(last.stdout) == []
    expected = ["lib/a.py changed; lib/new.py added; lib/old.py removed"]
    assert news(planned.stdout) == news(edited.stderr) == expected


def test_many_files_are_counted(work: Workplace) -> None:
    work.raybundle("submit", "--no-wait", "job.py")
    tree(work.directory, {f"lib/m{number}.py": "" for number in range(6)})
    imports = "".join(f"import lib.m{number}\n" for number in range(6))
    (work.directory / "job.py").write_text(f"import lib.a\n{imports}")

    done = work.raybundle("plan", "job.py")

    assert news(done.stdout) == ["job.py changed; lib/m0.py, lib/m1.py, lib/m2.py and 3 more files added"]


def test_a_submission_that_the_cluster_refused_was_none(dashboard: FakeDashboard, work: Workplace) -> None:
    work.raybundle("submit", "--no-wait", "job.py")
    (work.directory / "job.py").write_text("import lib.a, lib\n")
    dashboard.faults = [lambda exchange: exchange.command == "POST" and exchange.answer(403, b"no")]
    refused = work.raybundle("submit", "--no-wait", "job.py")
    dashboard.faults = []

    done = work.raybundle("plan", "job.py")

    assert refused.returncode == 5
    assert news(done.stdout) == ["job.py changed"]


def other_manifest(note: Path) -> bytes:
    kind = Kind(note.parent.name, 1)
    document = {"bundle": f"sha256:{'0' * 64}", "bytes": 1, "manifest": "{}"}
    Cache(note.parent.parent).write(kind, note.name, document)
    return note.read_bytes()


@pytest.mark.parametrize("damage", [b"", b"0\n{}", b"\xff", other_manifest])
def test_a_damaged_note_of_the_last_submission_counts_as_none(
    work: Workplace, damage: bytes | Callable[[Path], bytes]
) -> None:
    work.raybundle("submit", "--no-wait", "job.py")
    [note] = work.directory.parent.glob("**/submitted/*")
    note.write_bytes(damage if isinstance(damage, bytes) else damage(note))
    (work.directory / "job.py").write_text("import lib.a, lib\n")

    done = work.raybundle("plan", "job.py")

    assert (done.returncode, news(done.stdout)) == (0, [])
