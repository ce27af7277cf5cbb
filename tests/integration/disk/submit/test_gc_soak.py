"""Eight processes submit overlapping trees while two collectors with a grace of 0 remove and forget."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from raybundle.publish.content.checking import check_store
from raybundle.publish.content.objects import open_shelf
from raybundle.publish.gc.collect import collect
from raybundle.publish.gc.reach import Policy
from raybundle.publish.putting import prepare
from raybundle.store import open_store

if TYPE_CHECKING:
    from collections.abc import Mapping

    from raybundle.cache.documents import Cache
    from tests.support.s3_server import S3Server

ROOT = Path(__file__).parents[4]
SUBMITTERS, COLLECTORS = 8, 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("where", "seconds"),
    [
        ("local", 10),
        pytest.param("local", 300, marks=pytest.mark.wide),
        pytest.param("s3", 300, marks=pytest.mark.wide),
    ],
)
def test_every_run_that_was_reported_good_verifies_while_others_collect(
    request: pytest.FixtureRequest, tmp_path: Path, cache: Cache, where: str, seconds: int
) -> None:
    environ: Mapping[str, str] = {}
    url = str(tmp_path / "store")
    if where == "s3":
        server: S3Server = request.getfixturevalue("s3")
        url, environ = server.prefix(), server.environ
    store = open_store(url, environ)
    prepare(store)
    roles = [("submitter", each) for each in range(SUBMITTERS)] + [
        ("collector", each) for each in range(COLLECTORS)
    ]
    for role, number in roles:
        (tmp_path / f"{role}-{number}").mkdir()
    started = []
    for role, number in roles:
        work = tmp_path / f"{role}-{number}"
        words = [
            sys.executable,
            "-m",
            "tests.support.soak",
            role,
            str(number),
            store.url,
            str(work),
            str(seconds),
        ]
        started.append(
            subprocess.Popen(
                words,
                cwd=ROOT,
                env={**os.environ, **environ, "HOME": str(work), "XDG_CACHE_HOME": str(work / "cache")},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    ended = [(*each.communicate(), each.returncode) for each in started]

    assert [(said, code) for _, said, code in ended if code] == []
    found = [json.loads(out) for out, _, _ in ended]
    assert [fault for each in found for fault in each["faults"]] == []
    did = [each["did"] for each in found]
    sys.stdout.write(f"{json.dumps(did)}\n")  # to be written down: docs/benchmarks.md
    assert sum(each.get("submitted", 0) for each in did) >= SUBMITTERS, did
    assert sum(each.get("collected", 0) for each in did) >= COLLECTORS, did
    assert sum(each.get("bundles", 0) for each in did), did

    assert sum(each.get("runs", 0) for each in did), did
    collect(store, Policy(timedelta(0), forget=timedelta(0)), delete=True)
    assert check_store(open_shelf(store, cache), read_data=True).faults == ()
