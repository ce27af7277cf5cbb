"""`pull` unpacks a bundle exactly, from a directory and from S3, or leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote

import pytest

from raybundle.errors import BundleError, DigestMismatchError, ObjectMissingError, RaybundleError, UsageError
from raybundle.publish.bundles import build, find_bundle
from raybundle.publish.content.objects import open_shelf
from raybundle.publish.content.pulling import pull_stored
from raybundle.publish.layout import layer_key
from raybundle.store.local import LocalStore
from tests.support.installed import install
from tests.support.layered import plan_with
from tests.support.slow import rest_slow
from tests.support.store_damage import DAMAGES, damage
from tests.support.workplace import make_workplace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from raybundle.cache.documents import Cache
    from raybundle.publish.content.pulling import Pulled
    from raybundle.publish.stored import Stored
    from raybundle.store import Store

FILES = {"one/__init__.py": b"value = 1\n", "one/data.bin": bytes(range(256)) * 9000, "shared.txt": b"one\n"}
OTHERS = {"two.py": b"value = 2\n", "shared.txt": b"one\n"}


@pytest.fixture
def stored(tmp_path: Path, store: Store) -> Stored:
    """A bundle with two layers."""
    found = [install(tmp_path / "site", "one", FILES), install(tmp_path / "site", "two", OTHERS)]
    return build(plan_with(tmp_path, found, sites=[tmp_path / "site"]), store)


def unpack(store: Store, stored: Stored, cache: Cache, directory: Path) -> Pulled:
    return pull_stored(open_shelf(store, cache), find_bundle(store, stored.digest), directory, layers=True)


def contents(directory: Path) -> dict[str, bytes]:
    return {
        path.relative_to(directory).as_posix(): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file()
    }


def test_files_of_project_and_layers_are_there_byte_for_byte_and_nothing_else(
    tmp_path: Path, store: Store, stored: Stored, cache: Cache
) -> None:
    pulled = unpack(store, stored, cache, tmp_path / "new/directory")

    found = contents(tmp_path / "new/directory")
    layers = {name: data for name, data in found.items() if ".dist-info/" not in name}
    assert layers == {
        "project/job.py": b"print(1)\n",
        **{f"layers/{name}": data for name, data in {**FILES, **OTHERS}.items()},
    }
    assert (pulled.files, pulled.bytes) == (len(found), sum(map(len, found.values())))
    assert not list((tmp_path / "cache/incoming").iterdir())


@pytest.mark.parametrize("kind", rest_slow(DAMAGES, 1))
@pytest.mark.parametrize("what", ["archive", "layer"])
def test_a_damaged_object_is_named_and_nothing_is_left(  # noqa: PLR0917 - three fixtures
    tmp_path: Path, store: Store, stored: Stored, cache: Cache, what: str, kind: str
) -> None:
    first, second = (layer_key(each.digest) for each in stored.manifest.layers)
    key = stored.archive_key if what == "archive" else first
    (tmp_path / "empty").mkdir()
    damage(store, key, kind, second)

    for directory in (tmp_path / "new", tmp_path / "empty"):
        with pytest.raises(RaybundleError) as refused:
            unpack(store, stored, cache, directory)

        assert key in str(refused.value) or (kind == "deleted" and what == "archive")
        assert isinstance(refused.value, ObjectMissingError if kind == "deleted" else DigestMismatchError)
    assert not (tmp_path / "new").exists()
    assert not list((tmp_path / "empty").iterdir())


class Meanwhile:
    """A store during whose first transfer something happens; everything else is delegated."""

    def __init__(self, store: Store, happens: Callable[[], object]) -> None:
        self._store = store
        self._happens = happens

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def pieces(self, key: str, start: int = 0) -> Iterator[bytes]:
        self._happens()
        return self._store.pieces(key, start)


def test_what_another_process_puts_there_meanwhile_stays(
    tmp_path: Path, store: Store, stored: Stored, cache: Cache
) -> None:
    mine = tmp_path / "out/layers/mine.txt"

    def write() -> None:
        mine.parent.mkdir(exist_ok=True)
        mine.write_text("not to be lost")

    with pytest.raises(BundleError, match=r"cannot write .*layers: "):
        unpack(cast("Store", Meanwhile(store, write)), stored, cache, tmp_path / "out")

    assert contents(tmp_path / "out") == {"layers/mine.txt": b"not to be lost"}
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["layers"]


@pytest.mark.slow
def test_modes_are_those_of_the_bundle_under_the_users_umask(tmp_path: Path) -> None:
    work = make_workplace(tmp_path / "work")
    (work.directory / "job.py").write_text("import tool\n")
    (work.directory / "tool.py").write_text("")
    (work.directory / "tool.py").chmod(0o700)
    digest = work.build("job.py")

    done = work.command(["sh", "-c", 'umask 027; exec "$@"', "sh", *_words("pull", digest, "out")])

    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{digest}\n"
    modes = {
        path.name: stat.S_IMODE(path.stat().st_mode) for path in (work.directory / "out/project").iterdir()
    }
    assert modes == {"job.py": 0o640, "tool.py": 0o750}


class Losing(LocalStore):
    """A store of which somebody removes each layer as soon as it is read."""

    def pieces(self, key: str, start: int = 0) -> Iterator[bytes]:
        yield from super().pieces(key, start)
        if key.startswith("layers/"):
            (Path(unquote(self.url.removeprefix("file://"))) / key).unlink()


def test_a_layer_that_is_removed_while_it_is_read_is_named_and_not_the_directory(
    tmp_path: Path, cache: Cache
) -> None:
    store = Losing(tmp_path / "store")
    found = [install(tmp_path / "site", "one", FILES)]
    stored = build(plan_with(tmp_path, found, sites=[tmp_path / "site"]), store)

    with pytest.raises(DigestMismatchError, match=r"layers/.*\.zip in file://.*No such file"):
        unpack(store, stored, cache, tmp_path / "new")


def _words(*words: str) -> list[str]:
    import sys  # noqa: PLC0415 - for this alone

    return [sys.executable, "-m", "raybundle", *words]


@pytest.mark.slow
def test_bad_input_is_refused_with_its_exit_code(tmp_path: Path) -> None:
    work = make_workplace(tmp_path / "work")
    (work.directory / "job.py").write_text("")
    (work.directory / "full").mkdir()
    (work.directory / "full/file").touch()
    digest = work.build("job.py")

    found = {
        words: (done.returncode, done.stderr.partition("\n")[0])
        for words in (
            ("pull", "fedcba9876", "out"),
            ("pull", digest, "full"),
            ("pull", digest, "job.py"),
            ("pull", digest, "/proc/new"),
        )
        for done in [work.raybundle(*words)]
    }

    assert [code for code, _ in found.values()] == [4, 2, 2, 3], found
    texts = [text for _, text in found.values()]
    assert texts[1:] == [
        "error: full is not empty",
        "error: job.py is not a directory",
        "error: cannot write /proc/new: No such file or directory",
    ]


def test_the_library_says_what_it_wrote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import raybundle  # noqa: PLC0415 - loads the whole library

    work = make_workplace(tmp_path / "work")
    (work.directory / "job.py").write_text("")
    monkeypatch.setenv("HOME", work.environ["HOME"])
    store = str(tmp_path / "store")
    digest = raybundle.build(work.directory / "job.py", store=store).digest

    pulled = raybundle.pull(digest, tmp_path / "out", store=store)

    assert (pulled.digest, pulled.directory, pulled.files) == (digest, tmp_path / "out", 1)
    with pytest.raises(UsageError, match="is not empty"):
        raybundle.pull(digest, tmp_path / "out", store=store)


@pytest.mark.slow
def test_an_interrupt_in_the_middle_leaves_nothing(tmp_path: Path) -> None:
    work = make_workplace(tmp_path / "work")
    (work.directory / "job.py").write_text("")
    (work.directory / "pyproject.toml").write_text('[tool.raybundle]\ninclude = ["data/*"]\n')
    (work.directory / "data").mkdir()
    for number in range(4000):
        (work.directory / f"data/{number}.txt").write_text(str(number))
    digest = work.build("job.py")
    out = work.directory / "out"

    with work.started("--json", "pull", digest, "out") as running:
        while not any(out.glob(".raybundle-*/project/data/1*")):
            assert running.process.poll() is None, json.loads(running.stdout.read_text())
            time.sleep(0.001)
        os.kill(running.process.pid, signal.SIGINT)
        code, said, _ = running.end()

    assert (code, said, out.exists()) == (130, b"", False)
