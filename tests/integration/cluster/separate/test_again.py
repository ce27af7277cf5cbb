"""A past run again, with nothing left of it but the store."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from raybundle.publish.content.nodes import NODE_CACHE
from tests.support.own_wheels import make_seasons, make_small_environment
from tests.support.ray_head import ray_head
from tests.support.small_project import tree
from tests.support.workplace import make_workplace, reports

if TYPE_CHECKING:
    from tests.support.s3_server import S3Server

pytestmark = [pytest.mark.ray, pytest.mark.slow]

JOB = """\
import hashlib, json, os, re, sys
import ray, seasons
from own import part

def seen():
    files = {m.__name__: m.__file__ for m in (seasons, part)}
    digests = {name: hashlib.sha256(open(file, "rb").read()).hexdigest() for name, file in files.items()}
    path = [re.sub("/links/[0-9a-f]+", "/links", entry) for entry in sys.path]
    return {"files": files, "digests": digests, "path": path}

@ray.remote
def task():
    return seen()

print("REPORT", json.dumps([seen(), *ray.get([task.remote() for _ in range(3)])]))
print("OUTPUT", part.answer(), seasons.now(), sys.argv[1:], os.environ["SEED"])
"""
"""The name of the folder with links to Ray stands for the node's own installation, not for the run."""


def test_a_run_is_repeated_on_a_new_cluster_when_tree_environment_caches_and_cluster_are_gone(
    tmp_path: Path, s3: S3Server
) -> None:
    store = s3.prefix()
    place = tmp_path / "first"
    place.mkdir()
    python = make_small_environment(place / "env", make_seasons(place, "1.0", "summer", 2 << 20))
    work = make_workplace(place / "work", RAYBUNDLE_STORE=store, **s3.environ)
    source = {"job.py": JOB, "own/part.py": f"def answer():\n    return {str(tmp_path)!r}\n"}
    tree(work.directory, source)
    with ray_head(env=s3.environ) as head:
        options = ("--python", str(python), "--env", "SEED=7")
        first = work.raybundle("--json", "--address", head.address, "submit", *options, "job.py", "a b")
    assert first.returncode == 0, first.stderr
    before = json.loads(first.stdout)
    shutil.rmtree(place)
    node_tree = Path(NODE_CACHE) / "trees" / before["bundle"].removeprefix("sha256:")
    subprocess.run(["chmod", "-R", "u+w", node_tree], check=True)
    shutil.rmtree(node_tree)

    elsewhere = make_workplace(tmp_path / "second" / "work", **s3.environ)
    with ray_head(env=s3.environ) as head:
        where = ("--store", store, "--address", head.address)
        again = elsewhere.raybundle("--json", *where, "rerun", before["submission_id"])
    assert again.returncode == 0, again.stderr
    after = json.loads(again.stdout)

    assert after["bundle"] == before["bundle"]
    assert [line for line in again.stderr.splitlines() if line.startswith("OUTPUT")] == [
        line for line in first.stderr.splitlines() if line.startswith("OUTPUT")
    ]
    [seen], [seen_again] = reports(first.stderr), reports(again.stderr)
    assert seen_again == seen
    assert len({json.dumps(each["digests"]) for each in seen}) == 1
    assert list(elsewhere.directory.iterdir()) == []
