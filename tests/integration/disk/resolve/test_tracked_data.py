"""`data = "tracked"` and `--working-dir`: the data that git does not ignore travels, the rest stays."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from raybundle.resolve.files import tracked
from raybundle.resolve.files.named import search
from tests.support.bundled import Bundler
from tests.support.small_project import tree
from tests.support.workplace import make_workplace

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from tests.support.workplace import Workplace

DATA = {
    "tables/a.csv": "a",
    "tables/deep/b.csv": "b",
    "notes.txt": "notes",
    "settings/.hidden.toml": "hidden",
}
JOB = f"""
from pathlib import Path
names = {[name.encode().hex() for name in DATA]}
print([Path(bytes.fromhex(name).decode()).read_text() for name in names])
"""
"""Reads them by names that nobody can evaluate without running it."""
FILES = {
    "job.py": JOB,
    "other.py": "",
    **DATA,
    "out/large.bin": "ignored",
    ".gitignore": "out/\n",
}
TRACKED = '[tool.raybundle]\ndata = "tracked"\n'


def git(project: Path, *words: str) -> None:
    subprocess.run(
        ["git", "-c", "init.defaultBranch=main", *words], cwd=project, check=True, capture_output=True
    )


def paths(bundler: Bundler) -> set[str]:
    return {str(file.path) for file in bundler.plan().files}


@pytest.mark.parametrize("with_git", [True, False])
def test_the_data_of_a_project_travels_and_its_other_code_does_not(tmp_path: Path, with_git: bool) -> None:
    environment = {".venv/pyvenv.cfg": "", ".venv/x": ""}
    project = tree(tmp_path / "p", {**FILES, "pyproject.toml": TRACKED, **environment})
    if with_git:
        git(project, "init")
    bundler = Bundler(project, tmp_path)
    beside = {"pyproject.toml", *(environment if with_git else {"out/large.bin"})}

    assert {path.removeprefix("project/") for path in paths(bundler)} == {"job.py", *DATA, *beside}
    assert bundler.run().stdout == bundler.here()


def test_without_the_setting_only_what_code_names_travels(tmp_path: Path) -> None:
    bundler = Bundler(tree(tmp_path / "p", FILES), tmp_path)

    assert paths(bundler) == {"project/job.py"}


def test_exclude_and_secrets_come_before(tmp_path: Path) -> None:
    settings = f'{TRACKED}exclude = ["tables/deep/**"]\n'
    files = {**FILES, "pyproject.toml": settings, "id_rsa": "key", ".env": "A=1"}
    bundler = Bundler(tree(tmp_path / "p", files), tmp_path)
    git(bundler.project, "init")

    told = "\n".join(bundler.told())
    assert not {"project/tables/deep/b.csv", "project/id_rsa", "project/.env"} & paths(bundler)
    assert "id_rsa is left out: its name is that of a secret" in told
    assert ".env is left out: it may hold secrets" in told


def test_more_than_ray_takes_leaves_the_large_files_until_they_are_excluded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "MOST_TRACKED", 200)
    monkeypatch.setattr(search, "SIZE_LIMIT", 100)
    files = {**FILES, "pyproject.toml": TRACKED, "tables/large.csv": "x" * 201}
    bundler = Bundler(tree(tmp_path / "p", files), tmp_path)
    git(bundler.project, "init")

    [told] = bundler.told()
    found = paths(bundler)
    (bundler.project / "pyproject.toml").write_text(f'{TRACKED}exclude = ["tables/large.csv"]\n')

    assert "1 files over 100 bytes are left out" in told
    assert "tables/large.csv" in told
    assert "project/tables/a.csv" in found
    assert "project/tables/large.csv" not in found
    assert bundler.told() == []
    assert bundler.run().stdout == bundler.here()


def test_a_file_that_was_too_large_travels_once_it_is_small(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "MOST_TRACKED", 200)
    monkeypatch.setattr(search, "SIZE_LIMIT", 100)
    files = {**FILES, "pyproject.toml": TRACKED, "tables/large.csv": "x" * 201}
    bundler = Bundler(tree(tmp_path / "p", files), tmp_path)
    git(bundler.project, "init")
    for file in bundler.project.rglob("*.*"):
        os.utime(file, (1, 1))
    before = paths(bundler)
    with (bundler.project / "tables/large.csv").open("w") as stream:
        stream.write("small")

    assert paths(bundler) - before == {"project/tables/large.csv"}


def test_a_repository_that_git_cannot_read_is_an_error_with_a_way_out(tmp_path: Path) -> None:
    files = {**FILES, "pyproject.toml": TRACKED, ".git/HEAD": "broken"}
    bundler = Bundler(tree(tmp_path / "p", files), tmp_path)

    [told] = bundler.told()
    (bundler.project / "pyproject.toml").write_text('[tool.raybundle]\ndata = "needed"\n')

    assert "git cannot list the files of" in told
    assert 'set `data = "needed"`' in told
    assert paths(bundler) == {"project/job.py"}


def test_a_file_that_goes_while_it_is_looked_at_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundler = Bundler(tree(tmp_path / "p", {**FILES, "pyproject.toml": TRACKED}), tmp_path)
    gone = str(bundler.project / "tables/gone.tmp")
    listed = tracked.tracked_data
    monkeypatch.setattr(tracked, "tracked_data", lambda *given: (*listed(*given), gone))

    assert "project/tables/a.csv" in paths(bundler)


def test_a_new_data_file_is_noticed_by_the_next_plan(tmp_path: Path) -> None:
    bundler = Bundler(tree(tmp_path / "p", {**FILES, "pyproject.toml": TRACKED}), tmp_path)
    git(bundler.project, "init")
    before = paths(bundler)
    (bundler.project / "tables/new.csv").write_text("new")

    assert paths(bundler) - before == {"project/tables/new.csv"}


@pytest.fixture
def work(tmp_path: Path) -> Workplace:
    work = make_workplace(tmp_path / "work")
    tree(work.directory / "app", FILES)
    git(work.directory / "app", "init")
    return work


def planned(work: Workplace, *words: str) -> Collection[str]:
    done = work.raybundle("--json", "plan", *words)
    assert done.returncode == 0, done.stderr
    return {each["path"] for each in json.loads(done.stdout)["files"]}


def test_working_dir_keeps_its_meaning_for_data(work: Workplace) -> None:
    assert "project/tables/a.csv" in planned(work, "--working-dir", "app", "job.py")


def test_excludes_of_the_runtime_env_keep_data_back(work: Workplace) -> None:
    environment = json.dumps({"working_dir": "app", "excludes": ["deep/", "*.txt"]})

    found = planned(work, "--runtime-env-json", environment, "job.py")

    assert set(found) - {"project/pyproject.toml"} == {
        "project/job.py",
        "project/tables/a.csv",
        "project/settings/.hidden.toml",
    }


def test_the_project_decides_before_working_dir(work: Workplace) -> None:
    (work.directory / "app/pyproject.toml").write_text('[tool.raybundle]\ndata = "needed"\n')

    assert "project/tables/a.csv" not in planned(work, "--working-dir", "app", "job.py")


def test_one_line_says_how_much_travels(work: Workplace) -> None:
    done = work.raybundle("build", "--working-dir", "app", "job.py")

    assert done.stderr.count("data: 5 files, 13 B, that git does not ignore") == 1
    assert "warning" not in done.stderr


def test_another_word_is_refused(tmp_path: Path) -> None:
    bundler = Bundler(tree(tmp_path / "p", {"job.py": ""}), tmp_path)

    assert bundler.told(data="all") == ["`data` in flag cannot be 'all' | write 'needed' or 'tracked'"]
