"""`report RUN`: the page has the stages of a job that ran."""

from __future__ import annotations

import json
import re
import socket
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.cluster.conftest import Embedded


@pytest.mark.ray
def test_the_page_of_a_run_says_how_long_each_stage_took_and_how_it_ended(
    embedded: Embedded, tmp_path: Path
) -> None:
    work = embedded.workplace(tmp_path / "work", RAYBUNDLE_STORE=str(tmp_path / "store"))
    (work.directory / "job.py").write_text(
        "import ray\nimport time\n\n\n@ray.remote\ndef nap():\n    time.sleep(2)\n\n\nray.get(nap.remote())\n"
    )
    submitted = work.raybundle("--json", "submit", "job.py")
    assert submitted.returncode == 0, submitted.stderr
    run = json.loads(submitted.stdout)["submission_id"]
    (work.directory / "job.py").unlink()

    done = work.raybundle("report", run, "-o", "run.html")
    asked = work.raybundle("report", run, "--nodes", "-o", "nodes.html")

    assert done.returncode == 0, done.stderr
    assert asked.returncode == 0, asked.stderr
    assert '<th scope="col">driver, tasks on ' in (work.directory / "nodes.html").read_text("utf-8")
    page = (work.directory / "run.html").read_text("utf-8")
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page)
    assert found
    stages = {name: seconds for name, _, seconds, _ in json.loads(found[1])["stages"]}
    host = socket.gethostname().partition(".")[0]
    parts = {f"{host}: environment", "first task"}
    assert set(stages) == {"resolve", "build", "upload", "submit", "queue", "run"} | parts
    assert stages["run"] >= 2
    assert stages[f"{host}: environment"] > 0
    assert 0 < stages["first task"] <= stages["run"] - 2
    assert '<b class="added">SUCCEEDED</b>' in page
