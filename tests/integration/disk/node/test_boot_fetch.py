"""The boot and a store that it reads: archives are compared as a whole before their members are read."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.booting import make_interpreter, unpack, with_cache_at
from tests.support.unpacked_layers import make_layer, store, with_byte_code

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.booting import Unpacked
    from tests.support.unpacked_layers import HandMade


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter of the version of the tests."""
    return make_interpreter(tmp_path_factory.mktemp("python") / "env", sys.executable)


@pytest.fixture
def layer(python: Path) -> HandMade:
    text = {"mine.py": "X = 'source'\n"}
    return with_byte_code(make_layer("mine", text), python, {"mine.py": "X = 'delivered'\n"})


@pytest.fixture
def node(tmp_path: Path, layer: HandMade) -> Unpacked:
    files = {"project/job.py": "import mine\nprint(mine.X)\n"}
    path = ("project:.", "stdlib", "layers", "ray")
    bare = unpack(tmp_path, files, path=path, layers=[layer.entry])
    return store(with_cache_at(bare, tmp_path), [layer], tmp_path / "a store")


def archive(tmp_path: Path, name: str) -> Path:
    return tmp_path / "a store" / "layers" / f"{name}.zip"


def test_layers_are_read_from_the_store(node: Unpacked, python: Path) -> None:
    done = node.driver(python, "job.py")

    assert done.stdout == "delivered\n", done.stderr


@pytest.mark.parametrize("fetches", [False, True])
def test_what_a_killed_fetch_left_is_removed_by_the_next_boot_a_day_later(
    node: Unpacked, python: Path, fetches: bool
) -> None:
    fetched = node.private / "fetched"
    node.private.mkdir(mode=0o700)
    fetched.mkdir(mode=0o700)
    for name in ("a", "b"):
        for end in ("", ".part", ".absent"):
            (fetched / f"{name * 64}{end}").write_bytes(b"x")
            if name == "a":
                os.utime(fetched / f"{name * 64}{end}", (0, time.time() - 25 * 3600))

    with (node.private / "fetched.lock").open("a") as lock:
        if fetches:  # for more than a day, or the clock was set meanwhile
            fcntl.flock(lock, fcntl.LOCK_EX)
        done = node.driver(python, "job.py")

    assert done.stdout == "delivered\n", done.stderr
    assert {path.name[0] for path in fetched.iterdir()} == ({"a", "b"} if fetches else {"b"})


@pytest.mark.slow
@pytest.mark.parametrize("lives", [False, True])
def test_boots_links_and_locks_go_a_month_after_their_use_unless_a_process_lives(
    node: Unpacked, python: Path, lives: bool
) -> None:
    assert node.driver(python, "job.py").returncode == 0
    before = set(node.private.rglob("*"))
    for folder in ("boot/b", "links/.a-1"):
        (node.private / folder).mkdir()
    (node.private / "links/a").symlink_to(".a-1")
    for name in ("boot/b/sitecustomize.py", "boot/b.cpython-39.files", "trees/t.lock", "jobs/j.lock"):
        (node.private / name).touch()
    planted = set(node.private.rglob("*")) - before
    shutil.rmtree(node.tree)
    assert node.driver(python, "job.py").returncode == 0
    assert all(map(os.path.lexists, planted))
    for path in node.private.rglob("*"):
        os.utime(path, (0, time.time() - 31 * 86400), follow_symlinks=False)
    shutil.rmtree(node.tree)

    held = os.open(node.private, os.O_RDONLY)
    if lives:
        fcntl.flock(held, fcntl.LOCK_SH)
    done = node.driver(python, "job.py")
    os.close(held)

    assert done.stdout == "delivered\n", done.stderr
    assert {path for path in planted if os.path.lexists(path)} == (planted if lives else set())
    assert (node.private / "boot" / node.environ["RAYBUNDLE_BOOT"]).is_dir()
    assert node.driver(python, "job.py").stdout == "delivered\n"


def test_byte_code_that_the_store_has_lost_is_made(
    node: Unpacked, python: Path, layer: HandMade, tmp_path: Path
) -> None:
    archive(tmp_path, f"{layer.hex}-{layer.byte_code}").unlink()

    done = node.driver(python, "job.py")

    assert done.stdout == "source\n", done.stderr


DAMAGES: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "another byte": (lambda data: data[:-1] + bytes([data[-1] ^ 1]), "0"),
    "more": (lambda data: data + b"\0", "bytes"),
    "less": (lambda data: data[:-1], "bytes"),
    "nothing": (lambda _: b"", "0 bytes"),
}


@pytest.mark.parametrize("which", ["layer", "byte-code"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_an_archive_with_other_bytes_is_refused_as_a_whole(  # noqa: PLR0917
    node: Unpacked, python: Path, layer: HandMade, tmp_path: Path, damage: str, which: str
) -> None:
    name = layer.hex if which == "layer" else f"{layer.hex}-{layer.byte_code}"
    file = archive(tmp_path, name)
    data = file.read_bytes()
    change, found = DAMAGES[damage]
    file.write_bytes(change(data))

    done = node.driver(python, "job.py")

    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (78, "", 1)
    expected = f"sha256 {hashlib.sha256(data).hexdigest()} ({len(data)} bytes)"
    assert f"file {file.as_uri()}: expected {expected}, found " in done.stderr
    assert found in done.stderr.rpartition("found ")[2]
    assert not list(node.private.glob("layers/*"))


def test_a_layer_that_the_store_has_lost_is_named(
    node: Unpacked, python: Path, layer: HandMade, tmp_path: Path
) -> None:
    archive(tmp_path, layer.hex).unlink()

    done = node.driver(python, "job.py")

    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (78, "", 1)
    assert f"{layer.hex}.zip: expected sha256 " in done.stderr
    assert done.stderr.endswith("found no file\n")


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_what_is_no_file_in_the_store_is_refused_and_nothing_waits_for_it(
    node: Unpacked, python: Path, layer: HandMade, tmp_path: Path, kind: str
) -> None:
    """Whoever may write to a store that users share can plant it."""
    file = archive(tmp_path, layer.hex)
    file.unlink()
    if kind == "pipe":
        os.mkfifo(file)
    else:
        file.symlink_to("/dev/zero")

    done = node.driver(python, "job.py")

    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (78, "", 1)
    assert done.stderr.endswith("found no regular file\n")


def test_what_is_fetched_counts_for_the_bound_of_the_cache(
    node: Unpacked, python: Path, tmp_path: Path
) -> None:
    bound = {"RAYBUNDLE_CACHE_BYTES": "1000000", "RAY_JOB_CONFIG_JSON_ENV_VAR": "{}"}
    first = with_cache_at(unpack(tmp_path / "other", {"project/job.py": f"# {'x' * 400_000}\n"}), tmp_path)
    assert first.driver(python, "job.py").returncode == 0
    (node.private / "fetched" / f"{'a' * 64}.part").write_bytes(bytes(700_000))

    done = node.run(python, "job.py", env=bound)

    assert done.stdout == "delivered\n", done.stderr
    assert not first.tree.exists()
