"""`bisect` runs mixtures as jobs of a cluster."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support.small_project import tree

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.cluster.conftest import Embedded


@pytest.mark.ray
@pytest.mark.slow
def test_a_culprit_is_found_by_jobs_that_run_at_the_same_time(embedded: Embedded, tmp_path: Path) -> None:
    work = embedded.workplace(tmp_path / "work")
    tree(work.directory, {"job.py": "import one, two, three\nassert two.x < 2\n"})
    digests = []
    for value in (1, 2):
        tree(work.directory, {f"{name}.py": f"x = {value}\n" for name in ("one", "two", "three")})
        digests.append(work.build("job.py"))

    done = work.raybundle("--json", "bisect", "--jobs", "2", *digests)

    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["culprits"] == [{"kind": "file", "name": "project/two.py"}]
    assert document["runs"] <= 3
