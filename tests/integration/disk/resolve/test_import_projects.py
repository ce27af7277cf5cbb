"""Modules that Python finds, and no statement names, travel: the job prints on a node what it prints here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.bundled import Bundler
from tests.support.import_projects import PROJECTS, WORD_FILES, WORDS
from tests.support.small_project import tree

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.slow
@pytest.mark.parametrize("kind", PROJECTS)
def test_a_job_runs_as_here(tmp_path: Path, kind: str) -> None:
    bundler = Bundler(tree(tmp_path / "p", PROJECTS[kind]), tmp_path)
    here = bundler.here()

    done = bundler.run()

    assert (done.returncode, done.stdout) == (0, here), done.stderr


@pytest.mark.parametrize("kind", WORDS)
def test_one_word_is_a_module_where_the_call_says_so(tmp_path: Path, kind: str) -> None:
    job, file = WORDS[kind]
    bundler = Bundler(tree(tmp_path / "p", {**WORD_FILES, "job.py": job}), tmp_path)

    plan = bundler.plan()

    assert f"project/{file}" in {each.path for each in plan.files}
    assert [each for each in plan.resolution.warnings if "cannot know" in each.text] == []
