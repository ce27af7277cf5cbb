"""Symbolic links into folders beside the project: followed within its repository, refused beyond it."""

from __future__ import annotations

import json
import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.small_project import tree
from tests.support.workplace import Workplace, make_workplace

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any


@pytest.fixture
def work(tmp_path: Path) -> Workplace:
    """A repository with a project in it that links to what lies beside it."""
    made = make_workplace(tmp_path / "work")
    files = {
        "proj/job.py": "from common import c\nprint(c())\n",
        "shared/common/__init__.py": "def c(): return 1\n",
    }
    tree(made.directory / "all", {**files, "proj/pyproject.toml": "", "mnt/d.csv": "a,b\n"})
    (made.directory / "all/proj/common").symlink_to("../shared/common")
    (made.directory / "all/proj/data").symlink_to("../mnt")
    return made


def repository(work: Workplace) -> Path:
    subprocess.run(["git", "init", "--quiet", work.directory / "all"], check=True)
    return work.directory / "all/proj"


def planned(work: Workplace, project: Path, *words: str) -> dict[str, Any]:
    """Plans with warnings as errors."""
    done = work.raybundle("--json", "plan", "--strict", *words, cwd=project)
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def paths(plan: dict[str, Any]) -> set[str]:
    return {each["path"] for each in plan["files"]}


def refusal(work: Workplace, project: Path, *words: str) -> str:
    done = work.raybundle("plan", *words, cwd=project)
    assert done.returncode == 3, done.stdout + done.stderr
    return done.stderr


def test_links_inside_the_repository_are_followed(work: Workplace) -> None:
    project = repository(work)

    plan = planned(work, project, "--include", "data/*.csv", "job.py")

    assert paths(plan) == {"project/job.py", "project/common/__init__.py", "project/data/d.csv"}
    assert plan["sys_path"] == ["project:.", "stdlib", "ray"]


@pytest.mark.parametrize("pattern", ["data", "data/**", "data/d.csv"])
def test_a_linked_folder_is_included_by_any_pattern(work: Workplace, pattern: str) -> None:
    plan = planned(work, repository(work), "--include", pattern, "job.py")

    assert "project/data/d.csv" in paths(plan)


def test_what_is_linked_travels_as_regular_files(work: Workplace) -> None:
    project = repository(work)
    linked = work.raybundle("--quiet", "build", "--include", "data", "job.py", cwd=project)
    for name, target in {"common": "shared/common", "data": "mnt"}.items():
        (project / name).unlink()
        (work.directory / "all" / target).rename(project / name)

    copied = work.raybundle("--quiet", "build", "--include", "data", "job.py", cwd=project)

    assert linked.returncode == 0, linked.stderr
    assert linked.stdout == copied.stdout


def test_links_of_files_and_of_links_are_followed(work: Workplace) -> None:
    project = repository(work)
    tree(work.directory / "all/shared", {"settings.py": "import more.deep\n", "more/deep.py": ""})
    (project / "settings.py").symlink_to("../shared/settings.py")
    (project / "more").symlink_to("between")
    (project / "between").symlink_to("../shared/more")
    (project / "job.py").write_text("import settings\n")

    plan = planned(work, project, "job.py")

    assert paths(plan) == {"project/job.py", "project/settings.py", "project/more/deep.py"}


def test_a_linked_src_is_a_root_at_its_place_in_the_project(work: Workplace) -> None:
    project = repository(work)
    (project / "src").symlink_to("../shared")
    (project / "common").unlink()

    plan = planned(work, project, "job.py")

    assert paths(plan) == {"project/job.py", "project/src/common/__init__.py"}
    assert plan["sys_path"] == ["project:.", "stdlib", "project:src", "ray"]


def test_links_that_lead_back_end(work: Workplace) -> None:
    project = repository(work)
    (work.directory / "all/shared/common/again").symlink_to("../../proj")
    (work.directory / "all/mnt/up").symlink_to("..")
    (project / "job.py").write_text("import common, pkgutil\nlist(pkgutil.walk_packages(common.__path__))\n")

    plan = planned(work, project, "--include", "data", "job.py")

    assert {"project/common/__init__.py", "project/data/d.csv"} < paths(plan)
    assert len(paths(plan)) < 20


def test_without_a_repository_the_hint_of_the_refusal_settles_it(work: Workplace) -> None:
    project = work.directory / "all/proj"

    said = refusal(work, project, "job.py")
    [root] = re.findall(r"add `(.*)` to `roots`", said)
    (project / "pyproject.toml").write_text(f'[tool.raybundle]\nroots = ["{root}"]\n')

    assert "symbolic links lead out of the project" in said
    assert root == "../shared"
    assert paths(planned(work, project, "job.py")) == {"project/job.py", "project/common/__init__.py"}


def test_a_link_that_leaves_the_repository_is_refused_and_its_hint_settles_it(work: Workplace) -> None:
    project = repository(work)
    (work.directory / "far").mkdir()
    (work.directory / "far/d.csv").write_text("a,b\n")
    (project / "data").unlink()
    (project / "data").symlink_to(work.directory / "far")

    said = refusal(work, project, "--include", "data", "job.py")
    [root] = re.findall(r"add `(.*)` to `roots`", said)
    (project / "pyproject.toml").write_text(f'[tool.raybundle]\nroots = ["{root}"]\n')

    assert root == "../../far"
    assert "project/data/d.csv" in paths(planned(work, project, "--include", "data", "job.py"))


def test_a_linked_src_that_leaves_the_repository_is_refused(work: Workplace) -> None:
    project = repository(work)
    tree(work.directory / "far", {"own.py": ""})
    (project / "src").symlink_to(work.directory / "far")
    (project / "job.py").write_text("import own\n")

    assert "symbolic links lead out of the project" in refusal(work, project, "job.py")


def test_the_repository_s_own_records_are_refused(work: Workplace) -> None:
    project = repository(work)
    (project / "data").unlink()
    (project / "data").symlink_to("../.git")

    said = refusal(work, project, "--include", "data/config", "job.py")
    (project / "data").unlink()
    (project / "data").mkdir()
    (project / "data/config").write_text("copied")

    assert f"{project}/data/config -> {project.parent}/.git/config" in said
    assert said.endswith("hint: copy the file\n")
    assert "project/data/config" in paths(planned(work, project, "--include", "data/config", "job.py"))


def test_a_repository_that_is_gone_is_noticed(work: Workplace) -> None:
    project = repository(work)
    planned(work, project, "job.py")
    (work.directory / "all/.git").rename(work.directory / "all/no-git")

    assert "symbolic links lead out of the project" in refusal(work, project, "job.py")
