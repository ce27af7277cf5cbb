"""A cluster whose raylet names keys: jobs of bundles that one of them has signed run, and no others."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.ray_head import ray_head
from tests.support.signing import base64_of, make_key
from tests.support.small_project import tree
from tests.support.workplace import make_workplace

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.ray, pytest.mark.slow]

JOB = """\
import ray

@ray.remote
def task():
    return "RAN"

print(ray.get(task.remote()))
"""


def test_signed_jobs_run_and_others_are_refused_by_the_client_or_by_the_node(tmp_path: Path) -> None:
    work = make_workplace(tmp_path / "work", VIRTUAL_ENV=sys.prefix)
    tree(work.directory, {"job.py": f"{JOB}# {tmp_path}\n", "pyproject.toml": "[project]\n"})
    (ci, ci_public), (stranger, stranger_public) = (make_key(tmp_path, name) for name in ("ci", "stranger"))
    trusting = {
        name: {"RAYBUNDLE_REQUIRE_SIGNATURE": "true", "RAYBUNDLE_TRUSTED_KEYS": base64_of(public)}
        for name, public in {"ci": ci_public, "stranger": stranger_public}.items()
    }
    with ray_head(env={"RAYBUNDLE_TRUSTED_KEYS": base64_of(ci_public)}) as head:
        submit = ("--address", head.address, "submit", "job.py")

        by_client = work.raybundle(*submit, env=trusting["ci"])
        by_node = work.raybundle(*submit)
        digest = work.build("job.py")
        for key in (ci, stranger):
            assert work.raybundle("sign", "--key", str(key), digest).returncode == 0
        by_node_too = work.raybundle(*submit, env=trusting["stranger"])
        ran = work.raybundle(*submit, env=trusting["ci"])
        again = work.raybundle("--address", head.address, "run", digest, env=trusting["ci"])

    assert (by_client.returncode, by_client.stdout) == (3, "")
    assert f"error: bundle {digest} is not signed\n" in by_client.stderr
    for refused, found in ((by_node, "none"), (by_node_too, "one of key [0-9a-f]{16}")):
        assert (refused.returncode, "RAN" in refused.stdout) == (22, False)
        line = (
            rf"^error: raybundle: boot failed: bundle {digest}: node .+: file .+/manifest\.json: expected a "
        )
        line += rf"signature of a key that this node trusts, found {found}$"
        assert re.search(line, refused.stderr, re.MULTILINE), refused.stderr
    for each in (ran, again):
        assert (each.returncode, "RAN\n" in each.stdout) == (0, True), each.stderr
