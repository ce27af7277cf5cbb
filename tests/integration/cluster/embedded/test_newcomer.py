"""The project of a newcomer runs at its first submission, with no setting and its source gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.jobs import make_environment

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.cluster.conftest import Embedded

PRINTED = {"train.py": "REPORT Aarhus=9.0", "notebooks/tons.ipynb": "TONS 60 4.5 Aarhus=1"}
OPTIONS = {"train.py": ((), ("--remote",)), "notebooks/tons.ipynb": (("--cwd", "notebooks"), ())}
"""Of `run`: before the digest, and after it. A submitted notebook starts in its directory by itself."""


@pytest.mark.ray
@pytest.mark.slow
def test_a_newcomers_script_and_notebook_run_from_their_bundles(embedded: Embedded, tmp_path: Path) -> None:
    work = embedded.workplace(tmp_path / "work", "newcomer")
    project = work.directory.resolve()
    python = make_environment(tmp_path / "env", [project])
    python_option = ("--python", str(python))
    built = {target: work.raybundle("build", *python_option, target, cwd=project) for target in PRINTED}
    project.rename(tmp_path / "gone")
    project.mkdir()

    for target, build in built.items():
        assert (build.returncode, "warning" in build.stderr) == (0, False), build.stderr
        before, after = OPTIONS[target]
        done = work.raybundle("run", *before, build.stdout.strip(), *after, cwd=project)
        assert done.returncode == 0, done.stdout + done.stderr
        assert PRINTED[target] in done.stdout
