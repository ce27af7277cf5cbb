"""`bisect --here` ends in exactly the differences that matter, from the store alone."""

from __future__ import annotations

import json
import math
import shutil
import signal
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from raybundle.cache.documents import Cache
from raybundle.cluster.embedded.processes import find_process
from raybundle.errors import (
    ClusterError,
    ClusterUnreachableError,
    DamagedCacheError,
    JobLostError,
    JobStoppedError,
)
from raybundle.model import ArchivePath, Digest
from raybundle.pipeline.bisecting.bisect import How, Ran, bisect
from raybundle.pipeline.bisecting.runners import _Silent
from raybundle.publish.bundles import find_bundle
from raybundle.publish.content.objects import open_shelf
from raybundle.store import open_store
from tests.support.booting import install, make_venv
from tests.support.small_project import tree
from tests.support.workplace import Workplace, make_workplace

if TYPE_CHECKING:
    from pathlib import Path

    from raybundle.publish.content.objects import Shelf
    from raybundle.submission.options import JobOptions

FILES = 40
CHANGED = ArchivePath("project/pkg/m2.py")
LARGE = 300_000
"""Repetitions in a file that is an object of its own."""
SETTINGS = '[tool.raybundle]\ninclude = ["big.bin"]\n'
RUNS = """\
import os
with open(os.environ["RUNS"], "a") as stream:
    stream.write("run\\n")
"""
JUDGE = """\
from pkg import m1, m2
if m1.x != m2.x:
    import hang
assert m1.x == 0
"""
HANG = """\
import os, signal, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
with open(os.environ["RUNS"], "a") as stream:
    stream.write(f"{os.getpid()} hangs\\n")
time.sleep(600)
"""


@pytest.fixture
def work(tmp_path: Path) -> Workplace:
    """A project of 40 modules; its runs are counted."""
    made = make_workplace(
        tmp_path / "work",
        VIRTUAL_ENV=sys.prefix,
        RAYBUNDLE_STORE=str(tmp_path / "store"),
        RUNS=str(tmp_path / "runs"),
    )
    imports = "".join(f"from pkg import m{number}\n" for number in range(FILES))
    tree(
        made.directory,
        {
            "pyproject.toml": SETTINGS,
            "big.bin": "good" * LARGE,
            "job.py": RUNS + imports + "import judge\n",
            "judge.py": "",
        },
    )
    write(made, dict.fromkeys(range(FILES), 0))
    return made


def write(work: Workplace, values: dict[int, int]) -> None:
    files = {f"pkg/m{number}.py": f"x = {value}\n" for number, value in values.items()}
    tree(work.directory, {"pyproject.toml": SETTINGS, **files})


def found(work: Workplace, *words: str) -> Any:
    """Returns the document of a bisection, while the project is gone."""
    work.directory.rename(work.directory.with_name("gone"))
    work.directory.mkdir()
    done = work.raybundle("--json", "bisect", "--here", *words)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def promised(document: Any) -> int:
    """Returns the most runs for one or two culprits; a half counts as a whole."""
    return 2 * math.ceil(math.log2(document["differences"])) + len(document["culprits"])


@pytest.mark.slow
def test_one_changed_file_of_forty(work: Workplace) -> None:
    (work.directory / "judge.py").write_text("from pkg import m23\nassert m23.x == 0\n")
    good = work.build("job.py")
    write(work, dict.fromkeys(range(1, FILES), 1))
    (work.directory / "big.bin").write_text("bad" * LARGE * 2)
    bad = work.build("job.py")

    document = found(work, good, bad)

    assert document["culprits"] == [{"kind": "file", "name": "project/pkg/m23.py"}]
    assert (document["differences"], document["runs"]) == (FILES, len(document["tried"]))
    assert document["runs"] <= promised(document)


@pytest.mark.slow
def test_two_changes_that_are_bad_only_together_and_an_interrupted_call_that_goes_on(
    work: Workplace, tmp_path: Path
) -> None:
    code = "from pkg import m3, m31\nassert not (m3.x and m31.x)\n"
    (work.directory / "judge.py").write_text(code)
    good = work.build("job.py")
    write(work, dict.fromkeys(range(FILES), 1))
    bad = work.build("job.py")
    with work.started("bisect", "--here", good, bad) as running:
        running.wait_for("of 40 differences", running.stderr)
    before = (tmp_path / "runs").read_text().count("run")

    document = found(work, good, bad)

    names = [each["name"] for each in document["culprits"]]
    assert names == ["project/pkg/m3.py", "project/pkg/m31.py"]
    assert document["runs"] <= promised(document)
    assert 3 <= before <= 4
    assert (tmp_path / "runs").read_text().count("run") in {document["runs"] + 2, document["runs"] + 3}


@dataclass
class Scripted:
    """A runner of good ends; a mixture has a fault, or is bad if it has the changed file."""

    shelf: Shelf
    good: Digest
    bad: Digest
    fault: BaseException | None = None
    ended: bool = False

    def __call__(self, digest: Digest, options: JobOptions) -> Ran:  # noqa: ARG002 - a Runner
        if self.fault is not None and digest not in (self.good, self.bad):
            raise self.fault
        return Ran(int(self.changed(digest) == self.changed(self.bad)), b"")

    def changed(self, digest: Digest) -> str:
        files = {each.path: each.sha256 for each in find_bundle(self.shelf.store, digest).manifest.files}
        return files[CHANGED]

    def stop(self) -> None:
        self.ended = True


@pytest.mark.slow
def test_what_says_nothing_about_a_mixture_ends_the_search_and_is_not_remembered(
    work: Workplace, tmp_path: Path
) -> None:
    good = Digest(work.build("job.py"))
    write(work, {1: 1, 2: 1, 3: 1})
    bad = Digest(work.build("job.py"))
    shelf = open_shelf(open_store(str(tmp_path / "store"), {}), Cache(tmp_path / "cache"))
    how = How({"XDG_STATE_HOME": str(tmp_path / "state")}, _Silent())
    faults = (
        ClusterUnreachableError("no route"),
        ClusterError("refused", status=403),
        JobLostError("forgotten"),
        JobStoppedError("by a colleague"),
        DamagedCacheError("torn"),
        KeyboardInterrupt(),
    )
    for fault in faults:
        runner = Scripted(shelf, good, bad, fault)
        with pytest.raises(type(fault)):
            bisect(shelf, good, bad, runner, how)
        assert runner.ended

    found = bisect(shelf, good, bad, Scripted(shelf, good, bad), how)

    assert [each.name for each in found.culprits] == [CHANGED]


@pytest.mark.slow
@pytest.mark.parametrize("at_once", ["1", "2"])
def test_an_interrupt_ends_the_programs_that_run(work: Workplace, tmp_path: Path, at_once: str) -> None:
    tree(work.directory, {"judge.py": JUDGE, "hang.py": HANG})
    good = work.build("job.py")
    write(work, {1: 1, 2: 1})
    bad = work.build("job.py")
    (tmp_path / "runs").touch()
    with work.started("bisect", "--here", "--jobs", at_once, good, bad) as running:
        running.wait_for("hangs", tmp_path / "runs")
        running.process.send_signal(signal.SIGINT)
        code, _, _ = running.end()

    pids = [int(line.split()[0]) for line in (tmp_path / "runs").read_text().splitlines() if "hangs" in line]
    assert code == 130
    assert [find_process(pid) for pid in pids] == [None] * len(pids)


@pytest.mark.slow
def test_one_distribution_bumped_among_twelve_found_by_a_command_on_the_log(tmp_path: Path) -> None:
    environment = tmp_path / "environment"
    make_venv(environment, sys._base_executable)  # type: ignore[attr-defined]
    [site] = environment.glob("lib/python3*/site-packages")
    names = [f"lib{number}" for number in range(12)]
    work = make_workplace(
        tmp_path / "work", VIRTUAL_ENV=str(environment), RAYBUNDLE_STORE=str(tmp_path / "store")
    )
    imports = "".join(f"import {name}\n" for name in names)
    tree(work.directory, {"job.py": f"{imports}print('loss', 1 if lib8.VERSION == '2.0' else 0)\n"})
    digests = []
    for version in ("1.0", "2.0"):
        for name in names:
            shutil.rmtree(site / name, ignore_errors=True)
            shutil.rmtree(site / f"{name}-1.0.dist-info", ignore_errors=True)
            install(site, name, version)
        digests.append(work.build("job.py"))

    document = found(work, *digests, "--", "grep", "-q", "loss 0")

    assert document["culprits"] == [{"kind": "distribution", "name": "lib8"}]
    assert document["differences"] == len(names)
    assert document["runs"] <= promised(document)


@pytest.mark.slow
def test_ends_that_do_not_behave_are_refused(work: Workplace) -> None:
    first = work.build("job.py")
    write(work, {0: 1})
    second = work.build("job.py")

    same = work.raybundle("bisect", "--here", first, first)
    fine = work.raybundle("bisect", "--here", first, second)
    missing = work.raybundle("bisect", "--here", first, "fedcba98")

    assert [each.returncode for each in (same, fine, missing)] == [2, 2, 4]
    assert f"error: {second} is good, and not bad: exit code 0" in fine.stderr
