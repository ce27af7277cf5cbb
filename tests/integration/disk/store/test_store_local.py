"""The local directory when things go wrong: killed writers, no permission, no room, racing processes."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from raybundle.errors import ObjectTooLargeError, StoreAccessError, UsageError
from raybundle.model import Digest
from raybundle.publish.runs.records import record_start
from raybundle.publish.runs.run import new_run
from raybundle.store.local import INCOMING, LocalStore
from tests.support.workplace import make_workplace

if TYPE_CHECKING:
    from collections.abc import Mapping

SOURCE = Path(__file__).resolve().parents[4]
NOBODY = 65534
"""A user id that owns nothing here."""


def start(code: str, *arguments: str, environ: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, "PYTHONPATH": str(SOURCE), **(environ or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


RACE = """if True:
    import sys
    from pathlib import Path
    from raybundle.store.local import LocalStore
    store = LocalStore(Path(sys.argv[1]))
    print("ready", flush=True)
    sys.stdin.readline()
    wins = [round for round in range(20) if store.put_new(f"race/{round}", sys.argv[2].encode() * 50_000)]
    seen = {store.get(f"race/{round}")[:1] == sys.argv[2].encode() for round in wins}
    print(len(wins), seen <= {True})"""


def test_each_race_of_processes_has_one_winner(tmp_path: Path) -> None:
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACE, str(tmp_path), letter],
            env={**os.environ, "PYTHONPATH": str(SOURCE)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for letter in "abcdef"
    ]
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline() == "ready\n"
    results = [racer.communicate("go\n")[0].split() for racer in racers]

    assert sum(int(wins) for wins, _ in results) == 20
    assert {true for _, true in results} == {"True"}
    assert list((tmp_path / INCOMING).iterdir()) == []


KILLED = """if True:
    import os, sys
    from pathlib import Path
    from raybundle.store.local import LocalStore
    sync = os.fsync
    def stop_here(descriptor):
        if os.fstat(descriptor).st_size == 5_000_000:
            print("written", flush=True)
            sys.stdin.read()
        sync(descriptor)
    os.fsync = stop_here
    LocalStore(Path(sys.argv[1])).put_new("a/b", bytes(5_000_000))"""


def test_a_killed_writer_leaves_no_object_and_the_next_one_succeeds(tmp_path: Path) -> None:
    writer = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "written\n"
        writer.send_signal(signal.SIGKILL)
    store = LocalStore(tmp_path)

    assert store.keys("") == []
    assert store.size("a/b") is None
    assert store.put_new("a/b", b"whole")
    assert store.get("a/b") == b"whole"


REFUSED = """if True:
    import os, sys
    from pathlib import Path
    from raybundle.errors import StoreAccessError
    from raybundle.store.local import LocalStore
    if os.getuid() == 0:
        os.setgroups([])
        os.setgid(int(sys.argv[2]))
        os.setuid(int(sys.argv[2]))
    try:
        LocalStore(Path(sys.argv[1]) / sys.argv[3]).put_new("a/b", b"data")
    except StoreAccessError as error:
        print(error, "|", error.hint)"""


@pytest.mark.parametrize("directory", [".", "new"], ids=["existing", "to be created"])
def test_a_directory_that_may_not_be_written_is_an_access_error(tmp_path: Path, directory: str) -> None:
    reachable = Path("/tmp") / f"raybundle-{os.getpid()}-{directory.strip('.')}"
    reachable.mkdir(mode=0o555)
    try:
        with start(REFUSED, str(reachable), str(NOBODY), directory) as child:
            output = child.communicate()[0]
    finally:
        left = list(reachable.iterdir())
        reachable.rmdir()

    assert f"cannot write to the store {reachable}" in output
    assert "Permission denied" in output
    assert "--store" in output
    assert left == []
    assert tmp_path.exists()


FULL = """if True:
    import resource, signal, sys
    from pathlib import Path
    from raybundle.errors import StoreAccessError
    from raybundle.store.local import LocalStore
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    try:
        LocalStore(Path(sys.argv[1])).put_new("a/b", bytes(200_000))
    except StoreAccessError as error:
        print(error)"""


def test_a_write_that_ends_half_way_leaves_nothing(tmp_path: Path) -> None:
    with start(FULL, str(tmp_path)) as child:
        output = child.communicate()[0]

    assert f"cannot write to the store {tmp_path}: File too large" in output
    assert LocalStore(tmp_path).keys("") == []
    assert list((tmp_path / INCOMING).iterdir()) == []


def test_a_store_that_is_a_file_is_an_access_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")

    with pytest.raises(StoreAccessError, match=r"cannot write to the store .*/file"):
        LocalStore(tmp_path / "file").put_new("a/b", b"")


def test_objects_are_readable_as_the_umask_says(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        LocalStore(tmp_path / "store").put_new("a/b", b"")
    finally:
        os.umask(before)

    assert (tmp_path / "store" / "a" / "b").stat().st_mode & 0o777 == 0o644


def test_nodes_read_a_local_object_by_a_file_url(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "a store")

    assert store.node_url("a/b.zip") == f"{tmp_path.as_uri()}/a%20store/a/b.zip"


@pytest.mark.slow
@pytest.mark.parametrize("umask", ["0", "077"])
def test_the_default_store_and_all_that_is_kept_are_for_their_user_alone(tmp_path: Path, umask: str) -> None:
    work = make_workplace(tmp_path / "work", "exits")
    home = Path(work.environ["HOME"])
    build = f"umask {umask}; exec {shlex.quote(sys.executable)} -m raybundle build job.py"

    done = work.command(["sh", "-c", build])

    assert done.returncode == 0, done.stderr
    found = {path.relative_to(home): path.stat().st_mode & 0o777 for path in home.rglob("*")}
    store = Path(".local/share/raybundle/store")
    objects = {
        path: mode for path, mode in found.items() if store in path.parents and (home / path).is_file()
    }
    assert {Path(store, "store.json"), *objects} == set(objects)
    assert set(objects.values()) == {0o400}
    assert {oct(mode) for path, mode in found.items() if (home / path).is_dir()} == {"0o700"}
    assert not [path for path, mode in found.items() if mode & 0o077]


def test_a_default_store_of_an_older_version_is_closed_to_others(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir(mode=0o755)

    LocalStore(tmp_path / "store", private=True).put_new("runs/a.json", b"{}")

    assert (tmp_path / "store").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "store/runs").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "store/runs/a.json").stat().st_mode & 0o777 == 0o400


def test_an_id_that_may_have_run_before_the_cluster_was_started_anew_is_refused(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "store")
    digest = Digest(f"sha256:{'0' * 64}")
    run = replace(new_run(digest, ["1"], {}, "http://x", "nightly"), session="session_1")

    record_start(store, run)
    record_start(store, run)  # a client that was killed, and the same command again
    with pytest.raises(UsageError, match="may have run before the cluster was started anew"):
        record_start(store, replace(run, session="session_2"))


UNFINISHED = """if True:
    import fcntl, sys, time
    file = open(sys.argv[1], "xb")
    fcntl.flock(file, fcntl.LOCK_SH)
    file.write(b"half"); file.flush()
    print("ready", flush=True)
    time.sleep(600)
"""


def test_what_killed_writers_left_is_swept_and_what_is_being_written_is_not(tmp_path: Path) -> None:
    incoming = tmp_path / INCOMING
    incoming.mkdir()
    killed, suspended, fresh = (incoming / name for name in ("1-killed", "2-suspended", "3-fresh"))
    fresh.write_bytes(b"half")
    writers = [start(UNFINISHED, str(each)) for each in (killed, suspended)]
    try:
        for each in writers:
            assert each.stdout is not None
            assert each.stdout.readline() == "ready\n"
        writers[0].kill()
        writers[0].communicate()
        for file in (killed, suspended):
            os.utime(file, (0, 0))
        LocalStore(tmp_path).put_new("key", b"data")

        assert sorted(each.name for each in incoming.iterdir()) == [suspended.name, fresh.name]
    finally:
        writers[1].kill()
        writers[1].communicate()


def test_only_what_writers_left_is_swept_wherever_a_link_leads(tmp_path: Path) -> None:
    """Whoever may write to the store may make `.incoming` a link, or put other things into it."""
    home, plain = tmp_path / "home", tmp_path / "plain" / INCOMING
    linked = tmp_path / "linked" / INCOMING
    for directory in (home, plain, linked.parent):
        directory.mkdir(parents=True)
    (home / "thesis.tex").write_text("years of work")
    os.utime(home / "thesis.tex", (1, 1))
    linked.symlink_to(home)
    (plain / "link").symlink_to(home / "thesis.tex")
    os.mkfifo(plain / "pipe")
    os.utime(plain / "pipe", (1, 1))

    for directory in (linked.parent, plain.parent):
        assert LocalStore(directory).put_new("a", b"1")

    assert (home / "thesis.tex").exists()
    assert sorted(each.name for each in plain.iterdir()) == ["link", "pipe"]


def test_nothing_is_read_of_an_object_that_is_too_large(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "store")
    store.put_new("a", b"x")
    (tmp_path / "store/a").chmod(0o600)
    os.truncate(tmp_path / "store/a", 1 << 30)
    tracemalloc.start()

    with pytest.raises(ObjectTooLargeError):
        store.get("a", 200 << 20)
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()
