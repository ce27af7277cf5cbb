"""What `path --plain` takes Ray to send of a directory is what Ray itself would put into its archive."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ray._private.runtime_env.packaging import _dir_travel, _get_excludes

from raybundle.pipeline.viewing.skeleton import sent_files
from tests.support.small_project import tree

if TYPE_CHECKING:
    from pathlib import Path

EXCLUDES = ["scratch", "*_old.py"]


def sent_by_ray(directory: Path) -> list[str]:
    """Returns the Python files that Ray's own walk hands to what packs them."""
    found: list[Path] = []
    excludes = [_get_excludes(directory, [".git", ".venv", "venv", "__pycache__", *EXCLUDES])]
    _dir_travel(directory, excludes, found.append, include_gitignore=True)
    return sorted(str(each.relative_to(directory)) for each in found if each.suffix == ".py")


def test_the_same_files_count_as_for_ray(tmp_path: Path) -> None:
    project = tmp_path / "project"
    names = (
        *("job.py", "made/a_pb2.py", "made/kept.py", "pkg/__init__.py", "pkg/secret.py", "pkg/job_old.py"),
        *("scratch/try.py", ".venv/lib/x.py", "venv/y.py", "deep/venv/z.py", "inner/mod.py", "no_ray/n.py"),
        *("name with space/m.py", "über/m.py", "pkg/__pycache__/c.py"),
    )
    tree(project, dict.fromkeys(names, ""))
    (project / ".gitignore").write_text("made/*\n!made/kept.py\n")
    (project / "pkg" / ".gitignore").write_text("secret.py\n")
    (project / ".rayignore").write_text("no_ray/\n")
    (project / "inner" / ".git").mkdir()  # a repository below

    sent = sent_files(str(project), EXCLUDES, os.environ)

    assert sent == sent_by_ray(project)
    assert "made/kept.py" in sent
    assert "inner/mod.py" in sent
