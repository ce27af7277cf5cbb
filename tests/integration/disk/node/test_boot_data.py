"""Large files of a bundle on a node: fetched once for all bundles, compared, and refused if they differ."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.support.booting import make_interpreter, unpack, with_cache_at
from tests.support.slow import rest_slow

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.booting import Unpacked

LARGE = "0123456789abcdef" * 200_000
"""A text of 3.2 MB."""
NAME = hashlib.sha256(LARGE.encode()).hexdigest()
SHOW = "print(len(open('data/large.txt').read()))\n"


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter of the version of the tests."""
    return make_interpreter(tmp_path_factory.mktemp("python") / "env", sys.executable)


@pytest.fixture
def objects(tmp_path: Path) -> Path:
    """The folder `data` of a local store with the large file."""
    folder = tmp_path / "a store" / "data"
    folder.mkdir(parents=True)
    (folder / NAME).write_text(LARGE)
    return folder


def node_of(directory: Path, script: str, objects: Path | None, cache: Path) -> Unpacked:
    """A bundle with the large file twice, on a node that reads the store if there is one."""
    files = {"project/job.py": script, "project/data/large.txt": LARGE, "project/data/same.txt": LARGE}
    node = with_cache_at(unpack(directory, files), cache)
    environ = dict(node.environ)
    environ["RAYBUNDLE_SOURCE"] = objects.parent.as_uri() if objects else ""
    return replace(node, environ={name: value for name, value in environ.items() if value})


def contents(node: Unpacked) -> list[Path]:
    return sorted(node.private.glob("data/*/content"))


def test_a_large_file_comes_from_the_store_once_for_all_bundles(
    tmp_path: Path, python: Path, objects: Path
) -> None:
    first = node_of(tmp_path / "1", SHOW, objects, tmp_path)
    second = node_of(tmp_path / "2", f"{SHOW}# another\n", objects, tmp_path)

    done = first.driver(python, "job.py")
    (objects / NAME).unlink()
    again = second.driver(python, "job.py")

    assert not (first.scratch / "data/large.txt").exists()
    assert (done.stdout, again.stdout) == ("3200000\n", "3200000\n"), done.stderr + again.stderr
    assert [each.parent.name for each in contents(first)] == [NAME]
    same = {
        (node.tree / f"project/data/{name}.txt").stat().st_ino
        for node in (first, second)
        for name in ("large", "same")
    }
    assert same == {contents(first)[0].stat().st_ino}
    assert list((first.private / "fetched").glob("*[!r]")) in ([], [first.private / "fetched/log"])


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "another byte": lambda data: data[:-1] + bytes([data[-1] ^ 1]),
    "more": lambda data: data + b"\0",
    "less": lambda data: data[:-1],
    "nothing": lambda _: b"",
}


@pytest.mark.parametrize("damage", [*DAMAGES, "absent"])
def test_another_content_is_refused_before_user_code(
    tmp_path: Path, python: Path, objects: Path, damage: str
) -> None:
    node = node_of(tmp_path / "1", SHOW, objects, tmp_path)
    if damage == "absent":
        (objects / NAME).unlink()
    else:
        (objects / NAME).write_bytes(DAMAGES[damage](LARGE.encode()))

    done = node.driver(python, "job.py")

    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (78, "", 1), done.stderr
    assert f"data/{NAME}: expected sha256 {NAME} (3200000 bytes), found " in done.stderr
    assert contents(node) == []


@pytest.mark.parametrize("damage", rest_slow(["absent", *DAMAGES], 1))
def test_the_next_job_makes_a_file_anew_that_changed_in_the_cache(
    tmp_path: Path, python: Path, objects: Path, damage: str
) -> None:
    node = node_of(tmp_path / "1", SHOW, objects, tmp_path)
    node.driver(python, "job.py")
    [file] = contents(node)
    file.parent.chmod(0o700)
    file.chmod(0o600)
    if damage == "absent":
        file.unlink()
    else:
        file.write_bytes(DAMAGES[damage](LARGE.encode()))

    done = node_of(tmp_path / "2", f"{SHOW}# another\n", objects, tmp_path).driver(python, "job.py")

    assert done.stdout == "3200000\n", done.stderr
    assert contents(node)[0].read_text() == LARGE


@pytest.mark.parametrize("parts", [1, 3])
def test_a_relayed_file_is_joined_from_its_parts(tmp_path: Path, python: Path, parts: int) -> None:
    node = with_parts(node_of(tmp_path / "1", SHOW, None, tmp_path), tmp_path, parts, LARGE)

    done = node.driver(python, "job.py")

    assert done.stdout == "3200000\n", done.stderr


@pytest.mark.parametrize("text", [LARGE[:-1], LARGE[:-1] + "x", LARGE + "x"], ids=["less", "other", "more"])
def test_a_relayed_file_with_other_bytes_is_refused(tmp_path: Path, python: Path, text: str) -> None:
    node = with_parts(node_of(tmp_path / "1", SHOW, None, tmp_path), tmp_path, 3, text)

    done = node.driver(python, "job.py")

    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (78, "", 1), done.stderr
    assert f"expected sha256 {NAME} (3200000 bytes), found " in done.stderr
    assert contents(node) == []


def test_a_large_file_that_comes_from_nowhere_is_named(tmp_path: Path, python: Path) -> None:
    done = node_of(tmp_path / "1", SHOW, None, tmp_path).driver(python, "job.py")

    assert (done.returncode, done.stdout) == (78, "")
    assert f"file {NAME}.data: expected it in py_modules of the job, found none" in done.stderr


def with_parts(node: Unpacked, work: Path, count: int, text: str) -> Unpacked:
    """Returns the node with packages of the large file, as Ray unpacks them."""
    size = -(-len(text) // count)
    places = []
    for number in range(count):
        place = work / "packages" / str(number)
        place.mkdir(parents=True)
        (place / f"{NAME}.data.{number:04}").write_text(text[number * size :][:size])
        places.append(str(place))
    path = ":".join([*places, node.environ["PYTHONPATH"]])
    return replace(node, environ={**node.environ, "PYTHONPATH": path})


@pytest.mark.slow
def test_data_goes_with_the_last_tree_that_has_it(tmp_path: Path, python: Path, objects: Path) -> None:
    """A small limit: making the next bundle removes what no process uses."""
    node = node_of(tmp_path / "1", SHOW, objects, tmp_path)
    node.driver(python, "job.py")
    kept = len(contents(node))
    small = unpack(tmp_path / "3", {"project/job.py": "print(1)\n"})
    small = with_cache_at(small, tmp_path)
    small = replace(small, environ={**small.environ, "RAYBUNDLE_CACHE_BYTES": "1000000"})

    done = small.driver(python, "job.py")

    assert (kept, done.stdout) == (1, "1\n"), done.stderr
    assert contents(node) == []
    assert not node.tree.exists()
