"""`bisect` runs mixtures as jobs of a cluster."""

from __future__ import annotations

import json
import re
import signal
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


@pytest.mark.ray
@pytest.mark.slow
def test_a_run_is_tried_with_its_options_or_not_at_all(embedded: Embedded, tmp_path: Path) -> None:
    work = embedded.workplace(tmp_path / "work")
    settings = '[tool.raybundle]\ninclude = ["good", "bad"]\n'
    files = {"pyproject.toml": settings, "good/there.txt": "1", "bad/other.txt": "1"}
    tree(work.directory, {**files, "job.py": "open('there.txt')\n"})
    runs = [
        json.loads(work.raybundle("--json", "submit", "--cwd", cwd, "job.py").stdout)["submission_id"]
        for cwd in ("good", "bad")
    ]
    tree(work.directory, {"job.py": "raise SystemExit(3)\n"})
    word = "--password=0b7c5f0e6a1d4c93"
    secret = json.loads(work.raybundle("--json", "submit", "job.py", word).stdout)["submission_id"]

    found = work.raybundle("--json", "bisect", *runs)
    hidden = work.raybundle("bisect", runs[0], secret)
    [bundle] = re.findall(r"^hint: name its bundle (\S+) instead", hidden.stderr, re.MULTILINE)
    named = work.raybundle("--json", "bisect", runs[0], bundle)

    assert json.loads(found.stdout)["culprits"] == [{"kind": "option", "name": "cwd"}]
    assert hidden.returncode == 2
    assert f"error: argument 1 of run {secret} is not recorded" in hidden.stderr
    assert json.loads(named.stdout)["culprits"] == [{"kind": "file", "name": "project/job.py"}]


@pytest.mark.ray
@pytest.mark.slow
def test_an_interrupt_stops_the_job_that_runs(embedded: Embedded, tmp_path: Path) -> None:
    work = embedded.workplace(tmp_path / "work")
    begun = tmp_path / "begun"
    begun.touch()
    waits = f"open({str(begun)!r}, 'w').write('begun')\ntime.sleep(600)\n"
    code = f"import sys, time\nimport one, two\nif one.x == two.x:\n    sys.exit(one.x)\n{waits}"
    tree(work.directory, {"job.py": code})
    digests = []
    for value in (0, 1):
        tree(work.directory, {f"{name}.py": f"x = {value}\n" for name in ("one", "two")})
        digests.append(work.build("job.py"))

    with work.started("bisect", *digests) as running:
        running.wait_for("begun", begun)
        running.process.send_signal(signal.SIGINT)
        exit_code, _, said = running.end()

    [stopped] = re.findall(r"^job (\S+) is STOPPED$", said, re.MULTILINE)
    assert exit_code == 130
    assert work.raybundle("status", stopped).stdout == "STOPPED\n"
