"""A task that brings a bundle into a job of plain Ray whose entrypoint asks for resources."""

from __future__ import annotations

import json
import shlex
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.small_project import tree

if TYPE_CHECKING:
    from pathlib import Path

    from raybundle.cluster.jobs import JobsClient
    from tests.integration.cluster.conftest import Embedded

pytestmark = [pytest.mark.ray, pytest.mark.slow]
JOB = """
import json, sys
from pathlib import Path
import ray

def work():
    import os, helper
    return helper.WHOSE, os.getcwd()

ray.init(logging_level="error")
good = json.loads(Path(__file__).with_name("runtime_env.json").read_text())
wrong = {**good, "env_vars": {**good["env_vars"], "RAYBUNDLE_DIGEST": "sha256:" + "0" * 64}}
task = ray.remote(max_retries=0, num_cpus=0)(work)
found = []
for runtime_env in (good, wrong):
    try:
        found.append(ray.get(task.options(runtime_env=runtime_env).remote()))
    except Exception as error:
        found.append(str(error))
print("FOUND " + json.dumps(found))
"""


def test_it_runs_from_the_bundle_or_not_at_all(
    embedded: Embedded, client: JobsClient, tmp_path: Path
) -> None:
    work = embedded.workplace(tmp_path / "work")
    tree(work.directory, {"helper.py": "WHOSE = 'bundle'\n", "job.py": "import helper\n"})
    tree(tmp_path / "plain", {"helper.py": "WHOSE = 'driver'\n", "job.py": JOB})
    digest = work.build("job.py")
    exported = work.raybundle("export", "--format", "runtime-env", digest)
    (tmp_path / "plain/runtime_env.json").write_text(exported.stdout)
    name = f"plain-{tmp_path.name}"

    command = shlex.join([sys.executable, f"{tmp_path}/plain/job.py"])
    client.submit(name, {"entrypoint": command, "entrypoint_num_cpus": 1})
    while not client.info(name).ended:
        time.sleep(0.2)

    logs = client.get(f"/api/jobs/{name}/logs")["logs"]
    found = [each.removeprefix("FOUND ") for each in logs.splitlines() if each.startswith("FOUND ")]
    assert len(found) == 1, logs
    (whose, where), refusal = json.loads(found[0])
    assert whose == "bundle"
    assert "/raybundle-" in where
    assert "raybundle: boot failed" in refusal
    assert "0" * 64 in refusal
