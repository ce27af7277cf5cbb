"""A submitter or a collector of the soak in tests/integration/disk/submit/test_gc_soak.py, for some seconds.

`python -m tests.support.soak submitter|collector NUMBER STORE WORK SECONDS` prints what it did as JSON.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import sys
import time
from collections import Counter
from datetime import timedelta
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

from raybundle.cache.documents import Cache
from raybundle.cluster.access import make_access
from raybundle.cluster.jobs import JobsClient
from raybundle.errors import BundleError, ObjectMissingError, RaybundleError, StoreError
from raybundle.publish.bundles import build
from raybundle.publish.content.objects import open_shelf
from raybundle.publish.content.verifying import verify_bundle
from raybundle.publish.gc.collect import collect
from raybundle.publish.gc.reach import Policy
from raybundle.publish.keeping import recheck
from raybundle.publish.layout import name_key
from raybundle.publish.names import record_name
from raybundle.publish.runs.records import record_end
from raybundle.store import Store, open_store
from raybundle.submission.deliver import Cluster
from raybundle.submission.options import JobOptions
from raybundle.submission.submit import prepare_run, submit
from tests.support.fake_dashboard import FakeDashboard
from tests.support.installed import install
from tests.support.layered import plan_with

if TYPE_CHECKING:
    from raybundle.model import Digest
    from raybundle.planning import Plan

TRIES = 5
"""Attempts to verify a bundle."""
NAMES = ("one", "two", "three", "four")
"""Distributions, of which each tree has some: the trees of all submitters overlap."""


def plans(work: Path, number: int) -> list[Plan]:
    """Returns the plans of ten trees. Two submitters have the same bundles; all have the same layers."""
    pair = f"pair{number // 2}"
    installed = {
        name: install(work / "site", name, {f"{name}.py": name.encode() * 1000}) for name in (*NAMES, pair)
    }
    chosen = [*combinations(NAMES, 1), *combinations(NAMES, 2)]
    return [
        plan_with(work, [installed[name] for name in (*names, pair)], sites=[work / "site"])
        for names in chosen
    ]


class Submitter:
    """Builds and submits overlapping trees, and verifies each run that was reported good."""

    def __init__(self, number: int, store: Store, work: Path, client: JobsClient) -> None:
        self._number, self._store = number, store
        self._shelf = open_shelf(store, Cache(work / "verifying"))
        self._cluster = Cluster(client, shares_disk=True)
        self._plans = plans(work, number)
        self._chance = random.Random(number)  # noqa: S311 - of a test
        self.did: Counter[str] = Counter()
        self.faults: list[str] = []

    def turn(self) -> None:
        planned = self._chance.choice(self._plans)
        try:
            stored = build(planned, self._store)
            if planned is self._plans[0] and self._chance.random() < 0.3:
                version = record_name(self._store, f"name-{self._number}", stored.digest)
                recheck(self._store, stored, name_key(f"name-{self._number}", version))
                self.did["named"] += 1
                self._verify(stored.digest, "named")
                return
            options = JobOptions()
            run = prepare_run(stored, self._cluster, options)
            done = submit(run, stored, self._store, self._cluster, options)
        except RaybundleError as error:
            self.did[f"refused: {type(error).__name__}"] += 1
            return
        self.did["submitted"] += 1
        self._verify(stored.digest, f"run {run.id}")
        time.sleep(self._chance.choice((0, 0.05, 0.3)))
        self._verify(stored.digest, f"run {run.id}, later")
        if planned is not self._plans[0] or self._chance.random() < 0.9:  # it may be forgotten from now on
            record_end(self._store, done.run, "SUCCEEDED", 0)

    def _verify(self, digest: Digest, what: str) -> None:
        for tries in range(TRIES):
            try:
                found = verify_bundle(self._shelf, digest)
            except ObjectMissingError as error:  # noqa: PERF203 - each waits for a server
                self.faults.append(f"{what}: {error}")
                return
            except StoreError as error:  # a busy server says nothing about the bundle
                self.did["no answer"] += 1
                if tries == TRIES - 1:
                    self.faults.append(f"{what}: {error}")
            else:
                self.faults += [f"{what}: {each.key} is {each.state}" for each in found.faults]
                return


def wait_for_all(folder: Path) -> None:
    """Waits until all submitters have their plans."""
    while not all((each / "ready").exists() for each in folder.glob("submitter-*")):
        time.sleep(0.05)


def run_submitter(number: int, store: Store, work: Path, seconds: float) -> dict[str, object]:
    with FakeDashboard() as dashboard:
        client = JobsClient(make_access(dashboard.address, {}))
        with contextlib.closing(client):
            submitter = Submitter(number, store, work, client)
            (work / "ready").touch()
            wait_for_all(work.parent)
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                submitter.turn()
    return {"did": dict(submitter.did), "faults": submitter.faults}


def run_collector(store: Store, seconds: float) -> dict[str, object]:
    did: Counter[str] = Counter()
    end = time.monotonic() + seconds
    policy = Policy(timedelta(0), forget=timedelta(0))
    while time.monotonic() < end:
        try:
            found = collect(store, policy, delete=True)
        except (StoreError, BundleError) as error:
            did[f"stopped: {type(error).__name__}"] += 1
            continue
        did["collected"] += 1
        did.update({each.kind: each.units for each in found.amounts})
        did["spared"] += found.spared
    return {"did": dict(did), "faults": []}


def main(role: str, number: str, url: str, work: str, seconds: str) -> None:
    store = open_store(url, os.environ)
    if role == "collector":
        wait_for_all(Path(work).parent)
        print(json.dumps(run_collector(store, float(seconds))))  # noqa: T201
    else:
        print(json.dumps(run_submitter(int(number), store, Path(work), float(seconds))))  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
