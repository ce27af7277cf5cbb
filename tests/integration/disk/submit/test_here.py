"""`run --here` runs a bundle on this machine as a node would: the same path, the same verification."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from raybundle.errors import DigestMismatchError, JobStartError, ObjectMissingError, RaybundleError
from raybundle.pipeline.here import Here, run_stored
from raybundle.publish.bundles import build, find_bundle
from raybundle.publish.content.objects import open_shelf
from raybundle.publish.layout import layer_key
from raybundle.submission.options import JobOptions
from tests.support.installed import install
from tests.support.layered import plan_with
from tests.support.slow import rest_slow
from tests.support.small_project import tree
from tests.support.store_damage import DAMAGES, damage
from tests.support.workplace import Workplace, make_workplace

if TYPE_CHECKING:
    from pathlib import Path

    from raybundle.cache.documents import Cache
    from raybundle.model import Distribution
    from raybundle.publish.stored import Stored
    from raybundle.store import Store

DRIVER = """\
import os, sys
from pkg import part

match sys.argv[1:]:
    case ["wait"]:
        import time
        print("waiting", flush=True)
        try:
            time.sleep(60)
        except KeyboardInterrupt:
            sys.exit(9)
    case ["import"]:
        import nowhere
print(sys.argv[1:], os.getcwd(), part.__file__, [e for e in sys.path if "site-packages" in e])
print(os.environ.get("SEED"), os.environ.get("PYTHONPATH", "").count("/elsewhere"))
sys.exit(7)
"""


@pytest.fixture
def work(tmp_path: Path) -> Workplace:
    """A project whose bundle is called `job`, and which is gone."""
    made = make_workplace(tmp_path / "work", VIRTUAL_ENV=sys.prefix, PYTHONPATH="/elsewhere")
    tree(made.directory, {"job.py": DRIVER, "pkg/part.py": "", "below/data.txt": ""})
    made.build("--name", "job", "job.py")
    made.directory.rename(tmp_path / "gone")
    made.directory.mkdir()
    return made


@pytest.mark.slow
def test_a_program_has_the_path_of_the_bundle_its_arguments_and_its_exit_code(work: Workplace) -> None:
    done = work.raybundle("run", "--here", "--env", "SEED=3", "job", "a b", "$X", "--here")

    arguments, rest = done.stdout.splitlines()[0].split("] ", 1)
    cwd, part, outside = rest.split(" ", 2)
    assert done.returncode == 7, done.stderr
    assert arguments == "['a b', '$X', '--here'"
    assert cwd.startswith(f"/tmp/raybundle-{os.getuid()}/jobs/")
    assert part.startswith(f"/tmp/raybundle-{os.getuid()}/trees/")
    assert (outside, done.stdout.splitlines()[1]) == ("[]", "3 0")


@pytest.mark.slow
def test_an_import_error_is_there_at_once_and_is_the_programs_own(work: Workplace) -> None:
    done = work.raybundle("run", "job", "--here", "import")

    assert done.returncode == 1
    assert "ModuleNotFoundError: No module named 'nowhere'" in done.stderr


def test_a_file_that_no_python_can_compile_stops_neither_build_nor_boot(tmp_path: Path) -> None:
    made = make_workplace(tmp_path / "work", VIRTUAL_ENV=sys.prefix)
    code = "try:\n    import deep\nexcept MemoryError:\n    print('as it is here')\n"
    tree(made.directory, {"job.py": code, "deep.py": f"x = {'-' * 100_000}1\n"})

    built = made.raybundle("build", "--name", "job", "job.py")
    ran = made.raybundle("run", "--here", "job")

    assert built.returncode == 0
    assert re.search(r"warning: cannot parse \S+deep\.py: \S.+; it travels as it is", built.stderr)
    assert (ran.returncode, ran.stdout) == (0, "as it is here\n"), ran.stderr


@pytest.mark.slow
@pytest.mark.parametrize(("file", "number"), [("later.py", 1), ("later/__init__.py", 2)])
def test_each_remedy_for_a_module_that_only_the_run_names_lets_it_run(
    tmp_path: Path, file: str, number: int
) -> None:
    made = make_workplace(tmp_path / "work", VIRTUAL_ENV=sys.prefix)
    ignored = "  # raybundle: ignore\n"
    code = f"import importlib, sys, pkg\nimportlib.import_module(sys.argv[1]){ignored}print('ran')\n"
    tree(made.directory, {"job.py": code, "pkg/__init__.py": "", f"pkg/{file}": ""})
    before = made.raybundle("run", "--here", made.build("job.py"), "pkg.later")

    found = re.search(r'`include = (\[".+?"\])` \(of a package, `(\[".+?"\])`\)', before.stderr)
    assert found, before.stderr
    tree(made.directory, {"pyproject.toml": f"[tool.raybundle]\ninclude = {found[number]}\n"})
    after = made.raybundle("run", "--here", made.build("job.py"), "pkg.later")

    assert (before.returncode, after.returncode, after.stdout) == (1, 0, "ran\n"), after.stderr


@pytest.mark.slow
def test_python_after_two_dashes_runs_on_the_path_of_the_bundle(work: Workplace) -> None:
    code = "from pkg import part; print(part.__name__)"

    ran = work.raybundle("run", "--here", "job", "--", "python", "-c", code)
    other = work.raybundle("run", "--here", "job", "--", "bash")

    assert (ran.returncode, ran.stdout) == (0, "pkg.part\n"), ran.stderr
    assert other.returncode == 2
    assert "`raybundle run --here job -- python` gives a prompt" in other.stderr


@pytest.mark.slow
def test_options_of_a_cluster_are_refused(work: Workplace) -> None:
    done = work.raybundle("run", "--here", "--no-wait", "--retries", "2", "job")

    assert done.returncode == 2
    assert done.stderr.startswith("error: --retries, --no-wait: no job is submitted with --here\n")


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 9), (signal.SIGTERM, 143)])
def test_an_interrupt_reaches_the_program(work: Workplace, number: signal.Signals, code: int) -> None:
    with work.started("run", "--here", "job", "wait") as running:
        running.wait_for("waiting")
        os.kill(running.process.pid, number)
        ended, _, _ = running.end()

    assert ended == code


@pytest.fixture
def two(tmp_path: Path) -> list[Distribution]:
    """Two distributions that no cache has, because their files name this test."""
    own = f"value = {str(tmp_path)!r}\n".encode()
    return [install(tmp_path / "site", name, {f"{name}.py": own}) for name in ("one", "two")]


def put(tmp_path: Path, distributions: list[Distribution], store: Store) -> Stored:
    return build(plan_with(tmp_path, distributions, sites=[tmp_path / "site"]), store)


def here(store: Store, stored: Stored, cache: Cache, *words: str) -> int:
    found = find_bundle(store, stored.digest)
    return run_stored(open_shelf(store, cache), Here(found, JobOptions(), sys.executable, words or None))


def test_layers_come_from_the_store_and_are_verified(
    tmp_path: Path, two: list[Distribution], store: Store, cache: Cache
) -> None:
    stored = put(tmp_path, two, store)
    code = f"import one, two; assert one.value == two.value == {str(tmp_path)!r}"

    assert here(store, stored, cache, "-c", code) == 0
    assert not list((cache.directory / "incoming").iterdir())


@pytest.mark.parametrize("kind", rest_slow(DAMAGES, 1))
@pytest.mark.parametrize("what", ["archive", "layer"])
def test_a_damaged_object_stops_it_before_the_program(  # noqa: PLR0917 - fixtures and two parameters
    tmp_path: Path, two: list[Distribution], store: Store, cache: Cache, what: str, kind: str
) -> None:
    stored = put(tmp_path, two, store)
    first, second = (layer_key(each.digest) for each in stored.manifest.layers)
    damage(store, stored.archive_key if what == "archive" else first, kind, second)

    with pytest.raises(RaybundleError) as refused:
        here(store, stored, cache)

    expected = ObjectMissingError if kind == "deleted" else (DigestMismatchError, JobStartError)
    assert isinstance(refused.value, expected)
    assert refused.value.exit_code in {3, 4, 22}


def test_what_the_boot_refuses_is_an_error_of_the_start(
    tmp_path: Path, two: list[Distribution], store: Store, cache: Cache
) -> None:
    provided = [replace(two[0], provided_by="cluster"), two[1]]

    with pytest.raises(JobStartError, match=r"boot failed: .*: expected one 1.0, found one none"):
        here(store, put(tmp_path, provided, store), cache)


READS = """\
import hashlib, os, blob
data = open("data.bin", "rb").read()
print(len(data), hashlib.sha256(data).hexdigest(), blob.LAST)
if os.access("data.bin", os.W_OK):
    open("data.bin", "r+b").write(b"changed")
"""
INCLUDE = '[tool.raybundle]\ninclude = ["data.bin"]\n'


@pytest.mark.slow
@pytest.mark.parametrize("kind", [*DAMAGES, "none"])
def test_large_files_come_from_the_store_and_are_compared(tmp_path: Path, kind: str) -> None:
    """Data and a module. What the program writes to them stays in its own directory."""
    made = make_workplace(tmp_path / "work", VIRTUAL_ENV=sys.prefix)
    data = os.urandom(2 << 20)
    module = f"# {'x' * (1 << 20)}\nLAST = {str(tmp_path)!r}\n"
    tree(made.directory, {"pyproject.toml": INCLUDE, "job.py": READS, "blob.py": module})
    (made.directory / "data.bin").write_bytes(data)
    made.build("--name", "job", "job.py")
    objects = {each.name: each for each in tmp_path.glob("work-home/.local/share/raybundle/store/data/*")}
    own = objects[hashlib.sha256(data).hexdigest()]
    [other] = [each for each in objects.values() if each != own]
    content = {
        "flipped": b"?" + data[1:], "swapped": other.read_bytes(), "truncated": data[:-1],
    }.get(kind, data)  # fmt: skip
    own.unlink()
    if kind != "deleted":
        own.write_bytes(content)

    ran = [made.raybundle("run", "--here", "job") for _ in range(2 if kind == "none" else 1)]

    if kind == "none":
        assert [each.stdout for each in ran] == [f"{len(data)} {own.name} {tmp_path}\n"] * 2, ran[0].stderr
        assert own.read_bytes() == data
    else:
        assert ran[0].returncode in {3, 4, 22}
        assert ran[0].stdout == ""
        assert own.name in ran[0].stderr
