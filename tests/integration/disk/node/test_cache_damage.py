"""What is changed, cut or removed in a node's cache is as before when the next job starts there."""

from __future__ import annotations

import fcntl
import itertools
import json
import marshal
import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import mkdtemp
from types import CodeType
from typing import TYPE_CHECKING

import pytest

from tests.integration.disk.node.test_boot_layers import PATH
from tests.support.booting import last_json, make_interpreter, unpack, with_cache_at
from tests.support.lacking import lacking
from tests.support.unpacked_layers import deliver, make_layer, with_byte_code

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tests.support.booting import Unpacked
from tests.support.unpacked_layers import HandMade

pytestmark = pytest.mark.slow

DRIVER = {"RAY_JOB_CONFIG_JSON_ENV_VAR": "{}"}
LIB = {
    "lib/__init__.py": "X = 'right lib'\n",
    "lib/more.py": "Y = 'right more'\n",
    "lib/data.bin": "right data",
}
JOB = """
import json, os, sys
import pkg, lib, lib.more, other, needed, ray, single
folder = os.path.dirname(lib.__file__)
data = [open(os.path.join(place, "data.bin")).read() for place in (folder, os.path.dirname(pkg.__file__))]
seen = [lib.X, lib.more.Y, other.Z, pkg.__doc__, single.ONE, needed.VERSION, *data]
seen.append(sorted(os.listdir(folder)))
print(json.dumps(seen))
sys.stdout.flush()
if "wait" in sys.argv:
    sys.stdin.read()
"""
PARTS = ("trees", "layers", "environments", "links", "boot")
ELSEWHERE = "elsewhere"
"""A file outside the cache that links lead to."""
TAG = sys.implementation.cache_tag
PLACES = {
    "tree": [
        "trees/*/project/job.py",
        "trees/*/project/pkg/data.bin",
        f"trees/*/project/pkg/__pycache__/*.{TAG}.pyc",
        "trees/*/manifest.json",
        "trees/*/absent",
        "trees/*/record",
        "trees/*.files",
    ],
    "layer": [
        "layers/*/lib/more.py",
        "layers/*/lib/data.bin",
        f"layers/*/lib/__pycache__/more.{TAG}.pyc",
        f"layers/*/__pycache__/other.{TAG}.pyc",
        "layers/*.files",
    ],
    "environment": [
        "environments/*/lib/more.py",
        f"environments/*/lib/__pycache__/more.{TAG}.pyc",
        "environments/*/lib-1.0.dist-info/METADATA",
        "environments/*.files",
        "environments/*.layers",
    ],
    "links": ["links/.*/needed", f"links/.*/__pycache__/single.{TAG}.pyc", "links/.*.files"],
    "boot": [
        "boot/*/sitecustomize.py",
        "boot/*/raybundle_boot.py",
        f"boot/*/__pycache__/raybundle_boot.{TAG}.pyc",
        f"boot/*/__pycache__/raybundle_check.{TAG}.pyc",
        "boot/*.files",
    ],
}
"""Each kind of file of the cache, by what it is part of."""


def rewrite(file: Path, data: bytes) -> None:
    """Writes to a file in place, as root can, and sets its old times again."""
    status = file.stat()
    file.chmod(0o600)
    file.write_bytes(data)
    file.chmod(status.st_mode & 0o777)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))


def flip(file: Path) -> None:
    data = file.read_bytes()
    flipped = data.replace(b"right", b"wrong")
    middle = len(data) // 2
    rewrite(
        file, flipped if flipped != data else data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
    )


def put_directory(file: Path) -> None:
    file.unlink()
    file.mkdir()


def put_link(file: Path) -> None:
    file.unlink()
    elsewhere = next(parent for parent in file.parents if parent.name == "cache") / ELSEWHERE
    elsewhere.write_text("text")
    elsewhere.chmod(0o640)
    file.symlink_to(elsewhere)


DAMAGES: dict[str, Callable[[Path], None]] = {
    "flip": flip,
    "empty": lambda file: rewrite(file, b""),
    "cut": lambda file: rewrite(file, file.read_bytes()[:-1]),
    "append": lambda file: rewrite(file, file.read_bytes() + b"\n"),
    "delete": lambda file: file.unlink(),
    "put a directory there": put_directory,
    "put a link there": put_link,
}


def do(damage: str, file: Path) -> None:
    """Damages a file; a link can only be removed or replaced."""
    if file.is_symlink() and not damage.startswith("put"):
        damage = "delete"
    DAMAGES[damage](file)


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter with a single module that Ray requires and that has no byte-code."""
    python = make_interpreter(tmp_path_factory.mktemp("python") / "env", sys.executable)
    [site] = python.parent.parent.glob("lib/python3*/site-packages")
    (site / "single.py").write_text("ONE = 'right single'\n")
    with (site / "needed-1.5.dist-info/RECORD").open("a") as record:
        record.write("single.py,,\n")
    return python


def made(directory: Path, python: Path, more: Sequence[HandMade] = ()) -> Unpacked:
    """A node that is about to run a project with a layer that has byte-code, and one that it compiles."""
    lib = with_byte_code(
        make_layer("lib", {**LIB, "lib-1.0.dist-info/METADATA": "Name: lib\n"}),
        python,
        {name: text for name, text in LIB.items() if name.endswith(".py")},
    )
    layers = [lib, make_layer("other", {"other.py": "Z = 'right other'\n"}), *more]
    files = {
        "project/job.py": JOB,
        "project/pkg/__init__.py": "'right project'\n",
        "project/pkg/data.bin": "right file",
    }
    node = unpack(directory, files, path=PATH, layers=[layer.entry for layer in layers])
    cache = directory.parent / "cache"
    cache.mkdir(exist_ok=True)
    return deliver(with_cache_at(node, cache), layers, {"gone": "gone 1.0"})


@pytest.fixture
def node(tmp_path: Path, python: Path) -> Unpacked:
    """A node that has run the job."""
    node = made(tmp_path / "job", python)
    last_json(node.driver(python, "job.py"))
    return node


def verified_paths(node: Unpacked) -> list[Path]:
    """Everything in the cache except locks and scratches, which reapers remove at any time."""
    found = (path for part in PARTS for path in (node.private / part).rglob("*"))
    return sorted(path for path in found if path.suffix != ".lock" and path.name != "lock")


def content_of(node: Unpacked) -> dict[str, bytes | str]:
    """What the cache holds; of records, which name inodes and times, only that there is one."""
    found: dict[str, bytes | str] = {}
    for path in verified_paths(node):
        name = str(path.relative_to(node.private))
        if path.is_symlink():
            found[name] = str(path.readlink())
        elif path.is_dir():
            found[name] = oct(path.stat().st_mode)
        elif path.suffix == ".pyc":
            found[name] = repr(consts_of(marshal.loads(path.read_bytes()[16:])))  # noqa: S302 - the boot's own
        else:
            found[name] = "record" if name.endswith((".files", ".layers", "/record")) else path.read_bytes()
    return found


def consts_of(code: CodeType) -> list[object]:
    """What byte-code consists of; compiling again may give other bytes for the same."""
    return [
        code.co_code,
        *(consts_of(each) if isinstance(each, CodeType) else each for each in code.co_consts),
    ]


def identities(node: Unpacked) -> dict[str, tuple[int, ...]]:
    """What tells that a file was written again: its inode and times."""
    status = {path: path.lstat() for path in verified_paths(node)}
    return {
        str(path): (each.st_ino, each.st_mtime_ns, each.st_ctime_ns)
        for path, each in status.items()
        if not path.is_dir()
    }


def place_of(node: Unpacked, pattern: str) -> Path:
    [file] = [path for path in node.private.glob(pattern) if ".evicted" not in str(path)][:1]
    return file


def rounds(damages: Sequence[str]) -> Iterator[list[tuple[str, str]]]:
    """Yields places with damages, one of each part at once, until each place had each damage."""
    pairs = [list(itertools.product(patterns, damages)) for patterns in PLACES.values()]
    for row in itertools.zip_longest(*pairs):
        yield [pair for pair in row if pair is not None]


def assert_mended(node: Unpacked, python: Path, damaged: Sequence[tuple[str, str]]) -> None:
    """The next job sees what the first one saw, with the cache as it was; one more changes nothing."""
    before = content_of(node)
    seen = last_json(node.driver(python, "job.py"))
    for pattern, damage in damaged:
        do(damage, place_of(node, pattern))

    done = node.driver(python, "job.py")

    assert (done.returncode, last_json(done)) == (0, seen), (damaged, done.stderr)
    assert content_of(node) == before, damaged
    settled = identities(node)
    assert last_json(node.driver(python, "job.py")) == seen
    assert identities(node) == settled, damaged
    elsewhere = node.private.parent / ELSEWHERE
    if elsewhere.exists():
        assert (elsewhere.read_text(), elsewhere.stat().st_mode & 0o777) == ("text", 0o640), damaged


@pytest.mark.parametrize("number", range(4))
def test_the_next_job_has_any_damaged_file_as_it_was(node: Unpacked, python: Path, number: int) -> None:
    """A quarter of each: `test_the_next_job_mends_every_kind_of_file_alone` does all of them."""
    damages = ["flip", "empty", "append", "delete"]
    damages = damages[number:] + damages[:number]
    [*first] = itertools.islice(rounds(damages), 0, None, 4)

    for damaged in first:
        assert_mended(node, python, damaged)


@pytest.mark.wide
@pytest.mark.parametrize("damage", DAMAGES)
def test_the_next_job_mends_every_kind_of_file_alone(node: Unpacked, python: Path, damage: str) -> None:
    for pattern in itertools.chain.from_iterable(PLACES.values()):
        assert_mended(node, python, [(pattern, damage)])


def test_a_cleaner_that_honours_locks_leaves_the_cache_of_a_running_job(tmp_path: Path, python: Path) -> None:
    """`systemd-tmpfiles` skips a directory that it cannot lock exclusively (tmpfiles.d(5))."""
    node = made(tmp_path / "job", python)
    process = subprocess.Popen(
        [python, "job.py", "wait"], cwd=node.scratch, env={**node.environ, **DRIVER}, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    process.stdout.readline()
    descriptor = os.open(node.private, os.O_RDONLY)

    with pytest.raises(BlockingIOError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    process.communicate("")
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(descriptor)


@pytest.mark.parametrize(
    "gone", ["trees/*", "layers/*", "environments/*", "links/.*", "boot/*", "trees", "."]
)
def test_a_directory_that_a_cleaner_removes_while_a_job_runs_is_there_for_the_next(
    node: Unpacked, python: Path, gone: str
) -> None:
    expected = last_json(node.driver(python, "job.py"))
    process = subprocess.Popen(
        [python, "job.py", "wait"], cwd=node.scratch, env={**node.environ, **DRIVER}, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    process.stdout.readline()
    for path in [node.private] if gone == "." else list(node.private.glob(gone)):
        if path.is_dir():
            shutil.rmtree(path)

    assert last_json(node.driver(python, "job.py")) == expected

    process.communicate("")


STRANGER = 4402
TRIES = f"""
import json, os, sys
own, *paths = sys.argv[1:]
os.setgroups([]), os.setgid({STRANGER}), os.setuid({STRANGER})
tries = {{
    "read": lambda path: os.close(os.open(path, os.O_RDONLY)),
    "write": lambda path: os.close(os.open(path, os.O_WRONLY | os.O_APPEND)),
    "list": os.listdir,
    "status": os.stat,
    "add": lambda path: os.mkdir(path + "/added"),
    "mode": lambda path: os.chmod(path, 0o777),
    "times": os.utime,
    "link": lambda path: os.link(path, own + "/link"),
    "take": lambda path: os.rename(path, own + "/taken"),
    "give": lambda path: os.rename(own + "/mine", path),
    "remove": os.unlink,
    "remove folder": os.rmdir,
}}
open(own + "/mine", "w").close()
done = []
for path in paths:
    for name, attempt in tries.items():
        try:
            attempt(path)
        except OSError:
            continue
        done.append([name, path])
print(json.dumps(done))
"""
"""What another user of the node tries with each path; prints what could be done."""


@pytest.fixture
def shared(python: Path) -> Iterator[tuple[Unpacked, Path]]:
    """A node whose cache is in a directory for all users, as /tmp is, and a directory of the other user."""
    if os.geteuid() != 0:
        lacking("only root can become another user")
    base = Path(mkdtemp(dir="/tmp"))
    base.chmod(0o755)
    node = made(base / "job", python)
    node.private.parent.chmod(0o1777)
    own = base / "own"
    own.mkdir()
    os.chown(own, STRANGER, STRANGER)
    yield node, own
    while base.exists():  # the reaper of the scratch may still work
        shutil.rmtree(base, ignore_errors=True)


def test_another_user_of_the_node_reads_and_changes_nothing_of_the_cache(
    shared: tuple[Unpacked, Path], python: Path
) -> None:
    node, own = shared
    seen = last_json(node.driver(python, "job.py"))
    before = identities(node)
    paths = [node.private, *node.private.rglob("*")]

    tried = subprocess.run(
        [sys.executable, "-c", TRIES, own, *paths], capture_output=True, text=True, check=True
    )

    assert json.loads(tried.stdout) == [["status", str(node.private)]]
    assert len(paths) > 40
    assert identities(node) == before
    assert last_json(node.driver(python, "job.py")) == seen


@pytest.mark.parametrize("planted", ["directory", "link", "file", "link to ours"])
def test_what_another_user_has_put_in_the_place_of_the_cache_is_refused(
    shared: tuple[Unpacked, Path], python: Path, planted: str
) -> None:
    node, own = shared
    ours = own.parent / "ours"
    ours.mkdir(mode=0o700)
    match planted:
        case "directory":
            node.private.mkdir(mode=0o700)
        case "file":
            node.private.touch()
        case _:
            node.private.symlink_to(own if planted == "link" else ours)
    os.chown(node.private, STRANGER, STRANGER, follow_symlinks=False)

    done = node.driver(python, "job.py")

    assert (done.returncode, done.stdout) == (78, ""), done.stderr
    assert f"file {node.private}: expected a directory of user 0 with mode 0700, found another" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert list(own.iterdir()) == list(ours.iterdir()) == []
