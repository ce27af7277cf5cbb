"""Pasted command lines on the real command line: built, answered and followed, and run on a cluster."""

from __future__ import annotations

import json
import shlex
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.pasted import FILES, follow
from tests.support.small_project import tree
from tests.support.workplace import Workplace, make_workplace, reports

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.cluster.conftest import Embedded


@pytest.fixture
def work(tmp_path: Path) -> Workplace:
    made = make_workplace(tmp_path / "work")
    tree(made.directory, FILES)
    return made


def plan(work: Workplace, *words: str) -> dict[str, Any]:
    done = work.raybundle("plan", "--json", *words)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def answer(work: Workplace, *words: str) -> str:
    done = work.raybundle(*words)
    assert (done.returncode, done.stdout) == (2, "")
    return done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("typed", "files"),
    [
        ('"python prepare.py && python job.py"', {"prepare.py", "job.py", "beside.py"}),
        ('"cd scripts && python train.py --lr 1"', {"scripts/train.py", "scripts/beside.py"}),
        ("both.sh 3", {"both.sh", "prepare.py", "job.py", "beside.py"}),
        ("bash jobs/here.sh", {"jobs/here.sh", "jobs/own.py", "jobs/beside_own.py"}),
        ("jobs/up.sh 3", {"jobs/up.sh", "scripts/train.py", "scripts/beside.py"}),
        ('"python $PWD/job.py"', {"job.py", "beside.py"}),
        ('"python ${ROOT:-.}/job.py"', {"job.py", "beside.py"}),
        ("PYTHONPATH=scripts python -P job.py", {"job.py", "scripts/beside.py"}),
        ("python -m pytest tests/test_x.py::TestX", {"tests/__init__.py", "tests/test_x.py", "beside.py"}),
        ("python -m coverage run scripts/train.py x", {"scripts/train.py", "scripts/beside.py"}),
        ("python -c 'import beside; print(beside.NAME)' a", {"beside.py"}),
        ("papermill nb.ipynb out.ipynb -p a 1", {"beside.py"}),
    ],
    ids=str,
)
def test_the_driver_of_an_answer_is_built_with_what_it_starts(
    work: Workplace, typed: str, files: set[str]
) -> None:
    hint = answer(work, "plan", "--", *shlex.split(typed))

    found = plan(work, *shlex.split(follow(hint, work.directory))[2:])
    assert {f"project/{name}" for name in files} <= {each["path"] for each in found["files"]}


def test_a_driver_beside_its_script_belongs_to_the_project_of_the_command(work: Workplace) -> None:
    (work.directory / "pyproject.toml").unlink()
    hint = answer(work, "plan", "--", *shlex.split("torchrun scripts/train.py --config configs/base.yaml"))
    line = follow(hint, work.directory)
    (work.directory / "scripts/run_torchrun.py").write_text("import runpy\n")  # torch is not installed here

    found = plan(work, *shlex.split(line)[2:])
    assert {"project/configs/base.yaml", "project/scripts/train.py", "project/scripts/beside.py"} <= {
        each["path"] for each in found["files"]
    }


OTHERS = [
    ("markdown-it x.md", "`markdown-it` is a program of markdown-it-py", "markdown-it-py"),
    ("python -m markdown_it.cli.parse x.md", "`-m markdown_it.cli.parse` is not a module", "markdown-it-py"),
    ("echo two words", "`echo` is a program of this machine", None),
]


@pytest.mark.slow
@pytest.mark.parametrize(("typed", "text", "distribution"), OTHERS, ids=[row[0] for row in OTHERS])
def test_programs_that_are_not_the_projects_are_answered_with_a_driver(
    work: Workplace, typed: str, text: str, distribution: str | None
) -> None:
    hint = answer(work, "submit", "--", *shlex.split(typed))

    assert text in hint
    found = plan(work, follow(hint, work.directory))
    assert (distribution is None) or distribution in {each["name"] for each in found["distributions"]}


def test_a_script_that_is_not_there_is_answered_with_the_nearest_one(work: Workplace) -> None:
    for words in (["jbo.py"], ["--", "python", "jbo.py", "--x"]):
        assert "the target jbo.py does not exist" in answer(work, "plan", *words)
        assert "did you mean `job.py`?" in answer(work, "plan", *words)
    assert "did you mean `scripts/train.py`?" in answer(work, "plan", "scripts/tarin.py")


@pytest.mark.slow
def test_plan_build_and_why_take_a_whole_command_line(work: Workplace) -> None:
    digest = plan(work, "job.py")["bundle"]
    pasted = ["--", "SEED=1", "uv", "run", "python", "job.py", "--x", "1"]

    assert plan(work, *pasted)["bundle"] == digest
    assert plan(work, "python job.py --x 1")["bundle"] == digest
    assert work.build(*pasted) == digest
    assert "imports beside" in work.raybundle("why", *pasted, "beside").stdout
    assert "`--x` comes after the target" in answer(work, "plan", "job.py", "--x", "1")


def test_an_answer_shows_neither_options_nor_secrets(work: Workplace) -> None:
    hidden = answer(work, "submit", "--metadata-json", '{"a": "hidden"}', "--", "sudo", "python", "job.py")
    assert "type `raybundle submit … job.py`" in hidden
    assert "hidden" not in hidden
    for typed in (["API_TOKEN=abcdefghij", "python", "job.py"], ["API_TOKEN=abcdefghij python job.py | cat"]):
        refused = answer(work, "submit", "--", *typed)
        assert "`env` holds what looks like a secret in API_TOKEN" in refused
        assert "abcdefghij" not in refused


def test_a_variable_that_the_bundle_owns_is_refused_as_with_env(work: Workplace) -> None:
    assert "`env` sets RAYBUNDLE_TREE" in answer(work, "submit", "--", "RAYBUNDLE_TREE=x", "python", "job.py")
    assert work.raybundle("local", "status").stdout == "not running\n"


@pytest.mark.ray
def test_pasted_lines_run_on_a_cluster(embedded: Embedded, tmp_path: Path) -> None:
    work = embedded.workplace(tmp_path / "work")
    tree(work.directory, FILES)
    rows: list[tuple[str, list[Any]]] = [
        (
            "SEED='$3' uv run python -u job.py '$HOME' '`id`' 'a  b' ''",
            ["top", "$3", ["$HOME", "`id`", "a  b", ""]],
        ),
        ('"bash -c \'SEED=1 python -m pkg.mod \\"c d\\"\'"', ["top", "1", ["c d"]]),
    ]
    for typed, expected in rows:
        done = work.raybundle("submit", "--", *shlex.split(typed))
        assert reports(done.stdout) == [expected], done.stderr


ANSWERS = [
    ('"cd scripts && SEED=2 python train.py \\"a  b\\" | cat"', [["scripts", "2", ["a  b"]]]),
    ("both.sh 3", [["top", None, []], ["top", None, ["3"]]]),
    ("bash jobs/here.sh", [["jobs", None, []]]),
    ("jobs/up.sh 3", [["scripts", None, ["3"]]]),
    ("python -m coverage run scripts/train.py x", [["scripts", None, ["x"]]]),
    ("python -m cProfile scripts/train.py x", [["scripts", None, ["x"]]]),
    ("PYTHONPATH=scripts python -m pkg.mod y", [["top", None, ["y"]]]),
    ("python -c 'import job' z", [["top", None, ["z"]]]),
]


AT_ONCE = 3
"""Jobs that are on their way: each starts a supervisor and a driver, and mostly waits."""


@pytest.fixture(scope="module")
def answered(
    embedded: Embedded, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[subprocess.CompletedProcess[str]]]]:
    """Follows each answer and runs what it says, a few at a time."""

    def run(typed: str) -> subprocess.CompletedProcess[str]:
        work = embedded.workplace(tmp_path_factory.mktemp("answered") / "work")
        tree(work.directory, FILES)
        line = follow(answer(work, "submit", "--", *shlex.split(typed)), work.directory)
        return work.raybundle(*shlex.split(line)[1:])

    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {typed: pool.submit(run, typed) for typed, _ in ANSWERS}


@pytest.mark.ray
@pytest.mark.parametrize(("typed", "expected"), ANSWERS, ids=[row[0] for row in ANSWERS])
def test_what_an_answer_says_runs_on_a_cluster(
    answered: dict[str, Future[subprocess.CompletedProcess[str]]], typed: str, expected: list[Any]
) -> None:
    done = answered[typed].result()

    assert reports(done.stdout) == expected, done.stderr


@pytest.mark.ray
def test_tests_of_the_project_run_on_a_cluster(embedded: Embedded, tmp_path: Path) -> None:
    work = embedded.workplace(tmp_path / "work")
    tree(work.directory, FILES)

    for typed, expected in (("python -m unittest tests.test_x", "Ran 1 test"), ("pytest tests", "1 passed")):
        line = follow(answer(work, "submit", "--", *shlex.split(typed)), work.directory)
        done = work.raybundle(*shlex.split(line)[1:])
        assert (done.returncode, expected in done.stdout) == (0, True), done.stdout + done.stderr
