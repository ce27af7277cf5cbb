"""A path that two installed distributions have with the same bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.bundled import Bundler
from tests.support.own_wheels import make_small_environment, make_wheel
from tests.support.small_project import tree

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.slow
def test_a_file_that_two_wheels_have_alike_travels_without_a_word(tmp_path: Path) -> None:
    shared = {"vendor/__init__.py": b"NAME = 'done'\n"}
    wheels = [
        make_wheel(tmp_path, name, "1.0", {f"{name}.py": b"import vendor\n", **shared})
        for name in ("left", "right")
    ]
    python = make_small_environment(tmp_path / "env", *wheels)
    job = "import left, right, vendor\n\nprint(vendor.NAME)\n"
    bundler = Bundler(tree(tmp_path / "project", {"job.py": job}), tmp_path, python)
    done = bundler.run()

    assert bundler.told() == []
    assert (done.stdout, done.returncode) == ("done\n", 0), done.stderr
