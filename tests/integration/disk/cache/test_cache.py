"""What is kept between runs: what still holds, from this user alone, and no more than there is room for."""

from __future__ import annotations

import hashlib
import mmap
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from raybundle.cache.documents import Cache, Kind
from raybundle.cache.hashes import Hashes
from raybundle.cache.own_code import digest_of
from raybundle.cache.room import IN_USE, latest, make_room, touch
from tests.support.clocks import early, later

if TYPE_CHECKING:
    from collections.abc import Callable


KIND = Kind("folder", 8)
HOURS = IN_USE


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache", later)


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def used(path: Path, hours_ago: float) -> Path:
    """Makes a file that was last used some hours ago."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    moment = time.time() - hours_ago * 3600
    os.utime(path, (moment, moment))
    return path


def test_an_answer_holds_while_its_files_are_what_they_were(cache: Cache, tmp_path: Path) -> None:
    file, absent = tmp_path / "file", tmp_path / "absent"
    file.write_text("1")
    cache.keep(KIND, "name", [1, "two"], map(str, (file, absent)), cache.clock())
    before = cache.recall(KIND, "name", list)
    absent.write_text("")
    with_another = cache.recall(KIND, "name", list)
    absent.unlink()
    again = cache.recall(KIND, "name", list)
    file.write_text("2")

    assert (before, with_another, again) == ([1, "two"], None, [1, "two"])
    assert cache.recall(KIND, "name", list) is None


@pytest.mark.parametrize("clock", [early, time.time_ns])
def test_no_answer_is_kept_about_a_young_file(tmp_path: Path, clock: Callable[[], int]) -> None:
    file, cache = tmp_path / "file", Cache(tmp_path / "cache", clock)
    file.write_text("1")
    cache.keep(KIND, "name", ["answer"], [str(file)], clock())

    assert cache.recall(KIND, "name", list) is None


def test_a_file_that_changes_while_its_answer_is_found_is_young(tmp_path: Path) -> None:
    file, cache = tmp_path / "file", Cache(tmp_path / "cache", later)
    began = time.time_ns()
    file.write_text("1")  # and then it takes long
    cache.keep(KIND, "name", ["answer"], [str(file)], began)

    assert cache.recall(KIND, "name", list) is None


@pytest.mark.parametrize("mode", [0o620, 0o602])
def test_a_document_that_others_may_write_is_not_believed(cache: Cache, mode: int) -> None:
    cache.write(KIND, "name", {"a": 1})
    before = cache.read(KIND, "name", dict)
    cache.path(KIND, "name").chmod(mode)

    assert (before, cache.read(KIND, "name", dict)) == ({"a": 1}, None)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_document_of_another_user_is_not_believed(cache: Cache) -> None:
    cache.write(KIND, "name", {"a": 1})
    os.chown(cache.path(KIND, "name"), 12345, -1)

    assert cache.read(KIND, "name", dict) is None


@pytest.mark.parametrize("cut", [0, 3, 9, 12])
def test_a_document_that_was_cut_off_is_absent(cache: Cache, cut: int) -> None:
    cache.write(KIND, "name", {"a": 1})
    os.truncate(cache.path(KIND, "name"), cut)

    assert cache.read(KIND, "name", dict) is None


def test_a_document_does_not_pass_for_one_of_another_name_or_kind(cache: Cache) -> None:
    other = Kind("other", 8)
    cache.write(KIND, "name", {"a": 1})
    cache.write(other, "other", {})
    for kind, name in ((KIND, "other"), (other, "name")):
        cache.path(kind, name).write_bytes(cache.path(KIND, "name").read_bytes())

    assert (cache.read(KIND, "other", dict), cache.read(other, "name", dict)) == (None, None)


def test_a_document_is_written_for_its_owner_alone(cache: Cache) -> None:
    cache.write(KIND, "name", {})

    assert cache.path(KIND, "name").stat().st_mode & 0o777 == 0o600
    for folder in (cache.directory, cache.directory / KIND.folder):
        assert folder.stat().st_mode & 0o777 == 0o700


def test_documents_that_were_used_longest_ago_make_room(cache: Cache) -> None:
    for number in range(KIND.most):
        cache.write(KIND, str(number), {"number": number})
        used(cache.path(KIND, str(number)), 100 - number)
    cache.read(KIND, "0", dict)
    cache.write(KIND, "new", {})

    assert names(cache.path(KIND, "new").parent) == ["0", "4", "5", "6", "7", "new"]


def test_a_cache_that_cannot_be_written_still_reads(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    cache = Cache(tmp_path / "file")
    cache.write(KIND, "name", {"a": 1})

    assert cache.read(KIND, "name", dict) is None


def test_what_was_used_within_the_hour_is_left_whatever_there_is(tmp_path: Path) -> None:
    for hours in range(6):
        used(tmp_path / f"{hours}-hours", hours + 0.5)
    make_room(tmp_path, 2, time.time_ns(), 3 * HOURS)
    some = names(tmp_path)
    make_room(tmp_path, 2, time.time_ns() + 3 * HOURS, 3 * HOURS)

    assert some == ["0-hours", "1-hours", "2-hours"]
    assert names(tmp_path) == ["0-hours", "1-hours"]


def test_room_is_made_for_bytes(tmp_path: Path) -> None:
    for name, size in (("a", 30), ("b", 50), ("c", 30), ("d", 0)):
        (tmp_path / name).write_bytes(b"x" * size)
        used(tmp_path / name, ord("z") - ord(name[0]))
    make_room(tmp_path, 110, time.time_ns(), weigh=lambda status: status.st_size)
    enough = names(tmp_path)
    make_room(tmp_path, 100, time.time_ns(), weigh=lambda status: status.st_size)

    assert enough == ["a", "b", "c", "d"]
    assert names(tmp_path) == ["c", "d"]


def test_unfinished_work_goes_after_a_day_and_does_not_count(tmp_path: Path) -> None:
    for name, hours in ((".now", 0), (".yesterday", 23), (".long-ago", 25), ("a", 99), ("b", 99)):
        used(tmp_path / name, hours)
    (tmp_path / ".half").mkdir()
    used(tmp_path / ".half/file", 99)
    make_room(tmp_path, 2, time.time_ns())

    assert names(tmp_path) == [".half", ".now", ".yesterday", "a", "b"]


def test_room_is_made_although_another_process_removes_things_too(tmp_path: Path) -> None:
    (tmp_path / "gone").symlink_to("nowhere")
    for number in range(4):
        used(tmp_path / str(number), 10 - number)
    make_room(tmp_path, 2, later())
    make_room(tmp_path / "nowhere", 2, later())

    assert len(names(tmp_path)) == 2


def test_no_half_directory_keeps_its_name_when_a_run_is_killed_while_it_makes_room(tmp_path: Path) -> None:
    for number in range(3):
        used(tmp_path / f"{number}/file", 0)
        os.utime(tmp_path / str(number), (number, number))
    code = """
import os, shutil, signal, sys, time
from pathlib import Path
from raybundle.cache.room import make_room
shutil.rmtree = lambda *args, **more: os.kill(os.getpid(), signal.SIGKILL)
make_room(Path(sys.argv[1]), 2, time.time_ns())
"""

    done = subprocess.run([sys.executable, "-c", code, tmp_path], check=False)
    left = names(tmp_path)
    make_room(tmp_path, 2, time.time_ns())

    assert done.returncode == -signal.SIGKILL
    assert left[1:] == ["1", "2"]
    assert left[0].startswith(".removed-0")
    assert names(tmp_path) == ["1", "2"]


def test_use_is_noted_of_what_is_there(tmp_path: Path) -> None:
    file = used(tmp_path / "file", 5)

    assert (touch(file), touch(tmp_path / "absent")) == (True, False)
    assert time.time() - file.stat().st_mtime < 3600


def test_rows_that_were_used_longest_ago_make_room_but_none_that_is_in_use() -> None:
    known = {"a": 1, "b": 2, "c": 3}

    assert list(latest(known, {"a": 1}, 2).items()) == [("c", 3), ("a", 1)]
    assert list(latest(known, {"d": 4}, 9)) == ["a", "b", "c", "d"]
    assert list(latest(known, {"b": 2, "d": 4, "e": 5}, 2)) == ["b", "d", "e"]


def test_what_another_process_takes_into_use_meanwhile_stays(tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / name).write_text("")
        os.utime(tmp_path / name, (1, 1))

    def weigh(_: os.stat_result) -> int:
        touch(tmp_path / "b")  # after it was looked at, before anything is removed
        return 1

    make_room(tmp_path, 0, time.time_ns(), weigh=weigh)

    assert [each.name for each in tmp_path.iterdir()] == ["b"]


def test_a_copy_of_the_code_elsewhere_and_later_is_the_same_code(tmp_path: Path) -> None:
    for place in ("one", "two"):
        (tmp_path / place / "room").mkdir(parents=True)
        (tmp_path / place / "room/model.py").write_text("a = 1")
    before = [digest_of(tmp_path / place) for place in ("one", "two")]
    (tmp_path / "two/room/model.py").write_text("a = 2")

    assert before[0] == before[1] == digest_of(tmp_path / "one") != digest_of(tmp_path / "two")


def test_a_link_of_an_editor_beside_the_sources_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text("")
    (tmp_path / ".#model.py").symlink_to("user@host.1234")

    assert digest_of(tmp_path)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell who writes a file")
def test_the_hash_of_a_file_that_a_process_has_mapped_to_write_is_not_kept(tmp_path: Path) -> None:
    """As with `numpy.memmap`: only the first write to a page changes the time of a file in memory."""
    cache = Cache(tmp_path / "cache", clock=later)
    file = Path("/dev/shm") / f"raybundle-{os.getpid()}.bin"
    try:
        with file.open("w+b") as stream:
            stream.write(bytes(8192))
            stream.flush()
            with mmap.mmap(stream.fileno(), 0) as mapped:
                mapped[0] = 1
                assert hash_of(file, cache) == hashlib.sha256(mapped).hexdigest()
                mapped[0] = 2
                assert hash_of(file, cache) == hashlib.sha256(mapped).hexdigest()
        assert hash_of(file, cache) == hash_of(file, cache)
        assert Hashes(cache, "p").find(str(file), file.stat()) is not None
    finally:
        file.unlink()


def hash_of(file: Path, cache: Cache) -> str:
    """Returns what a build of now believes."""
    hashes = Hashes(cache, "p")
    with file.open("rb", buffering=0) as stream:
        found = hashes.find(str(file), os.fstat(stream.fileno())) or hashes.read(str(file), stream)[0]
    hashes.save()
    return found
