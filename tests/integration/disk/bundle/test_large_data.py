"""Large files travel as objects of their own: in bounded memory, once, and only as they were hashed."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest

from raybundle.bundle.collect import collect
from raybundle.cache.documents import Cache
from raybundle.errors import BundleError, DigestMismatchError, ObjectMissingError
from raybundle.publish.bundles import build, find_bundle
from raybundle.publish.content.checking import check_store
from raybundle.publish.content.objects import open_shelf
from raybundle.publish.content.pulling import pull_stored
from raybundle.publish.content.verifying import verify_bundle
from raybundle.publish.layout import manifest_key
from raybundle.store.local import LocalStore
from tests.support.bundled import Bundler
from tests.support.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from raybundle.planning import Plan
    from raybundle.store.base import Chunks
    from tests.support.s3_server import S3Server

MIB = 1 << 20
OLD = time.time() - 3600
MEASURE = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""
"""A small parent: what a process had before it became a command counts as its own memory."""


@dataclass(frozen=True, slots=True)
class Command:
    """`raybundle build job.py` in a project, as a process of its own."""

    project: Path
    environ: Mapping[str, str]

    def start(self) -> subprocess.Popen[str]:
        words = [sys.executable, "-m", "raybundle", "build", "job.py"]
        return subprocess.Popen(
            words,
            cwd=self.project,
            env=dict(self.environ),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self) -> tuple[str, int]:
        """Returns what it prints, and the MiB that it held at most."""
        words = [sys.executable, "-I", "-c", MEASURE, sys.executable, "-m", "raybundle", "build", "job.py"]
        done = subprocess.run(
            words, cwd=self.project, env=dict(self.environ), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        digest, peak = done.stdout.split()
        return digest, int(peak) >> 10


def write(file: Path, count: int, *, sparse: bool = False) -> None:
    """Writes a file of so many MiB that is older than what a cache distrusts."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("wb") as stream:
        if sparse:
            stream.write(file.name.encode())
            stream.truncate(count * MIB)
        for _ in range(0 if sparse else count):
            stream.write(os.urandom(MIB))
    os.utime(file, (OLD, OLD))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    project = tmp_path / "project"
    project.mkdir()
    (project / "pyproject.toml").write_text('[tool.raybundle]\ninclude = ["data/**"]\n')
    (project / "job.py").write_text("print(1)\n")
    return project


@pytest.fixture
def bundler(project: Path, tmp_path: Path) -> Bundler:
    return Bundler(project, tmp_path)


@pytest.fixture
def proxy(s3: S3Server) -> Iterator[Proxy]:
    with Proxy(s3.endpoint) as proxy:
        yield proxy


@pytest.fixture
def command(project: Path, tmp_path: Path, s3: S3Server, proxy: Proxy) -> Command:
    folders = {f"XDG_{kind}_HOME": str(tmp_path / kind) for kind in ("CACHE", "CONFIG", "DATA", "STATE")}
    store = {**s3.environ, "RAYBUNDLE_STORE": s3.prefix(), "AWS_ENDPOINT_URL": proxy.address}
    return Command(project, {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **folders, **store})


def requests_of(proxy: Proxy, part: str) -> list[str]:
    found = [each.method for each in proxy.requests if part in each.path]
    proxy.requests.clear()
    return found


@pytest.mark.slow
def test_memory_is_bounded_and_nothing_is_sent_or_fetched_twice(
    project: Path, command: Command, proxy: Proxy
) -> None:
    write(project / "data/large.bin", 400, sparse=True)
    for number in range(20):
        write(project / f"data/{number}.bin", 5)

    first, peak = command.run()
    sent = proxy.sent
    requests_of(proxy, "/data/")
    again, peak_again = command.run()
    unchanged = requests_of(proxy, "/data/")
    (project / "job.py").write_text("print(2)\n")
    other, _ = command.run()
    changed = requests_of(proxy, "/data/")

    assert max(peak, peak_again) < 200 + 16
    assert first == again != other
    assert sent > 500 * MIB
    assert proxy.sent - sent < MIB
    assert proxy.received < MIB
    assert set(unchanged) == set(changed) == {"HEAD"}


@pytest.mark.slow
def test_a_command_killed_while_it_sends_is_repeated_with_success(
    project: Path, command: Command, proxy: Proxy
) -> None:
    write(project / "data/a.bin", 200)
    for _ in range(2):
        process = command.start()
        begun = proxy.sent
        while process.poll() is None and proxy.sent < begun + 20 * MIB:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL

    digest, _ = command.run()

    assert digest.startswith("sha256:")
    assert list((project.parent / "CACHE").rglob("incoming/*")) == []


def test_what_kills_left_in_a_local_store_is_swept_by_the_next_build(
    bundler: Bundler, tmp_path: Path
) -> None:
    write(bundler.project / "data/a.bin", 2)
    incoming = tmp_path / "store/.incoming"
    incoming.mkdir(parents=True)
    for number in range(4):
        write(incoming / f"{number}-killed", 2)

    build(bundler.plan(), LocalStore(tmp_path / "store"))

    assert list(incoming.iterdir()) == []


def test_an_unchanged_file_is_not_read_again(bundler: Bundler, tmp_path: Path) -> None:
    write(bundler.project / "data/a.bin", 3)
    planned = bundler.plan()
    read: list[int] = []

    def seen(directory: str) -> int:
        read.clear()
        collect(
            planned.resolution,
            Cache(tmp_path / directory, clock=lambda: time.time_ns() + 10**10),
            read.append,
        )
        return sum(read)

    first, second = seen("own"), seen("own")
    (bundler.project / "data/a.bin").write_bytes(b"x" * 2 * MIB)
    changed = seen("own")

    assert first > 3 * MIB
    assert second == 0
    assert changed == 2 * MIB


def test_a_young_file_is_hashed_each_time(bundler: Bundler, tmp_path: Path) -> None:
    """Within one tick of the clock, it may change again and look the same."""
    file = bundler.project / "data/a.bin"
    write(file, 2)
    identity = file.stat()
    planned = bundler.plan()
    now = max(identity.st_ctime_ns, identity.st_mtime_ns)
    read: list[int] = []
    for _ in range(2):
        collect(planned.resolution, Cache(tmp_path / "own", clock=lambda: now + 10**9), read.append)

    assert sum(read) >= 4 * MIB


class Changing(LocalStore):
    """Changes a file while it is sent."""

    def __init__(self, directory: Path, file: Path, change: str) -> None:
        super().__init__(directory)
        self.file, self.change = file, change

    def put_new_chunks(self, key: str, chunks: Chunks) -> str | None:
        return super().put_new_chunks(key, lambda: self._spoilt(chunks))

    def _spoilt(self, chunks: Chunks) -> Iterator[bytes]:
        for number, data in enumerate(chunks()):
            if number == 0:
                self._spoil()
            yield data

    def _spoil(self) -> None:
        size = self.file.stat().st_size
        with self.file.open("r+b") as stream:
            if self.change == "cut":
                stream.truncate(size - 1)
            else:
                stream.seek(size - 1 if self.change == "other" else size)
                stream.write(b"?")


@pytest.mark.parametrize("change", ["other", "longer", "cut"])
def test_a_file_that_changes_while_it_is_sent_stops_the_build_and_leaves_no_object(
    bundler: Bundler, tmp_path: Path, change: str
) -> None:
    file = bundler.project / "data/a.bin"
    write(file, 10)
    planned = bundler.plan()
    store = Changing(tmp_path / "store", file, change)

    with pytest.raises(BundleError, match=r"data/a\.bin changed while it was being bundled"):
        build(planned, store)

    assert [key for key in store.keys("") if key != "store.json"] == []
    assert build(bundler.plan(), LocalStore(tmp_path / "store")).uploaded_bytes > 9 * MIB


@pytest.mark.parametrize("size", [1, 2 * MIB, 10 * MIB])
def test_a_file_that_changed_after_it_was_hashed_stops_the_build(
    bundler: Bundler, tmp_path: Path, size: int
) -> None:
    file = bundler.project / "data/a.bin"
    file.parent.mkdir()
    file.write_bytes(b"\0" * size)
    os.utime(file, (OLD, OLD))
    planned = aged(bundler)
    file.write_bytes(b"\1" * size)
    store = LocalStore(tmp_path / "store")

    with pytest.raises(BundleError, match=r"data/a\.bin changed while it was being bundled"):
        build(planned, store)

    assert store.size(manifest_key(planned.digest)) is None


def aged(bundler: Bundler) -> Plan:
    """Returns a plan none of whose files is young, so that none is in memory."""
    planned = bundler.plan()
    cache = replace(planned.cache, clock=lambda: time.time_ns() + 10**10)
    return replace(planned, files=collect(planned.resolution, cache))


def test_a_log_that_grows_travels_as_it_was_when_it_was_hashed(bundler: Bundler, tmp_path: Path) -> None:
    file = bundler.project / "data/train.log"
    file.parent.mkdir()
    file.write_text("one\n")
    cache = Cache(tmp_path / "young", clock=lambda: file.stat().st_mtime_ns)  # however long the plan takes
    planned = bundler.plan()
    planned = replace(planned, files=collect(planned.resolution, cache))
    with file.open("a") as stream:
        stream.write("two\n")

    build(planned, LocalStore(tmp_path / "store"))

    assert [each.size for each in planned.files if each.path == "project/data/train.log"] == [4]


@pytest.mark.parametrize("damage", ["flipped", "cut", "absent"])
def test_a_damaged_object_is_named(bundler: Bundler, tmp_path: Path, damage: str) -> None:
    """By another machine's build; by `run`, as far as it sees it without reading: the nodes read it."""
    write(bundler.project / "data/a.bin", 3)
    store = LocalStore(tmp_path / "store")
    stored = build(bundler.plan(), store)
    [data] = stored.data
    file = tmp_path / "store" / data.key
    content = file.read_bytes()
    if damage == "absent":
        file.unlink()
    else:
        file.write_bytes(b"?" + content[1:] if damage == "flipped" else content[:-1])

    other = replace(bundler.plan(), cache=Cache(tmp_path / "other"))
    if damage == "absent":
        with pytest.raises(ObjectMissingError, match=data.key):
            find_bundle(store, stored.digest)
        build(other, store)
        assert file.read_bytes() == content
    else:
        with pytest.raises(DigestMismatchError, match=data.key):
            build(other, store)
    if damage == "cut":
        with pytest.raises(DigestMismatchError, match=data.key):
            find_bundle(store, stored.digest)


@pytest.mark.slow
def test_the_same_content_is_one_object_and_one_name_is_enough(bundler: Bundler, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (bundler.project / "data").mkdir(exist_ok=True)
        (bundler.project / f"data/{name}.bin").write_bytes(b"x" * 2 * MIB)
    store = LocalStore(tmp_path / "store")

    stored = build(bundler.plan(), store)

    sha256 = hashlib.sha256(b"x" * 2 * MIB).hexdigest()
    assert store.keys("data/") == [f"data/{sha256}"]
    assert [each.key for each in stored.data] == [f"data/{sha256}"]
    assert find_bundle(store, stored.digest).data == stored.data


@pytest.mark.slow
def test_many_small_files_are_packed_without_being_in_memory(bundler: Bundler, tmp_path: Path) -> None:
    """And not again, if nothing changed."""
    for number in range(20):
        write(bundler.project / f"data/{number}.bin", 1)

    class Counting(LocalStore):
        sent = 0

        def put_new_chunks(self, key: str, chunks: Chunks) -> str | None:
            Counting.sent += 1
            return super().put_new_chunks(key, chunks)

    store = Counting(tmp_path / "store")
    first, again = (build(aged(bundler), store) for _ in range(2))

    assert first.data == ()
    assert first.uploaded_bytes > 20 * MIB
    assert (again.archive_key, again.uploaded_bytes) == (first.archive_key, 0)
    assert Counting.sent == 1


def test_readers_of_a_store_know_the_large_files(bundler: Bundler, tmp_path: Path) -> None:
    """`pull`, `verify`, `check` and the files of `diff`."""
    write(bundler.project / "data/a.bin", 3)
    store = LocalStore(tmp_path / "store")
    stored = build(bundler.plan(), store)
    shelf = open_shelf(store, Cache(tmp_path / "own"))
    [data] = stored.data

    pulled = pull_stored(shelf, stored, tmp_path / "out", layers=False)
    right = (verify_bundle(shelf, stored.digest), check_store(shelf, read_data=True))

    original = (bundler.project / "data/a.bin").read_bytes()
    assert (tmp_path / "out/project/data/a.bin").read_bytes() == original
    assert pulled.bytes > 3 * MIB
    assert [each.state for each in right[0].parts if each.key == data.key] == ["ok"]
    assert right[1].findings == ()
    assert right[1].read_bytes > 3 * MIB

    object_ = tmp_path / "store" / data.key
    object_.write_bytes(b"?" + original[1:])
    assert [each.key for each in verify_bundle(shelf, stored.digest).faults] == [data.key]
    assert [each.key for each in check_store(shelf, read_data=True).faults] == [data.key]
    with pytest.raises(DigestMismatchError, match=data.key):
        pull_stored(shelf, stored, tmp_path / "none", layers=False)
    object_.write_bytes(original[1:])
    assert [(each.kind, each.key) for each in check_store(shelf).faults] == [("damaged", data.key)]
    object_.unlink()
    assert [each.state for each in verify_bundle(shelf, stored.digest).faults] == ["missing"]
    assert [(each.kind, each.key) for each in check_store(shelf).faults] == [("missing", data.key)]
    store.put_new("data/" + "0" * 64, b"x")
    assert ("unreachable", "data/" + "0" * 64) in [
        (each.kind, each.key) for each in check_store(shelf).findings
    ]
