"""What `diff` and `verify` cost beyond the download, for 1,000 files in an S3 store on loopback."""

from __future__ import annotations

import os
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import raybundle
from raybundle.store import open_store
from tests.support.s3_server import s3_server

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from raybundle.store.base import Store

MODULES, CHANGED, LINES = 1_000, 100, 60


def measure(work: Path, environ: Mapping[str, str], rounds: int) -> dict[str, Any]:
    """Returns the seconds and the CPU of each round."""
    spent: dict[str, list[float]] = defaultdict(list)
    with s3_server() as server:
        os.environ.update({**environ, **server.environ})
        url = server.prefix()
        digests = [_build(work / "project", url, number) for number in range(2)]
        store = open_store(url, server.environ)
        keys = [key for digest in digests for key in _objects(store, digest)]
        for _ in range(rounds):
            _timed(spent, "download of both", lambda: _read(store, keys))
            _timed(spent, "diff", lambda: _diff(digests, url))
            _timed(spent, "download of one", lambda: _read(store, _objects(store, digests[0])))
            _timed(spent, "verify", lambda: _verify(digests[0], url))
    return spent


def _build(project: Path, url: str, number: int) -> str:
    project.mkdir(exist_ok=True)
    names = [f"module_{each:04}" for each in range(MODULES - 1)]
    (project / "job.py").write_text("".join(f"import {name}\n" for name in names))
    for each, name in enumerate(names):
        changed = number if each < CHANGED else 0
        lines = [f"def function_{line}():\n    return {changed}\n" for line in range(LINES)]
        (project / f"{name}.py").write_text("".join(lines))
    return raybundle.build(project / "job.py", store=url).digest


def _objects(store: Store, digest: str) -> list[str]:
    return store.keys(f"bundles/{digest.removeprefix('sha256:')}/")


def _read(store: Store, keys: list[str]) -> None:
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda key: sum(map(len, store.pieces(key))), keys))


def _diff(digests: list[str], url: str) -> None:
    assert len(raybundle.diff(*digests, store=url).files) == CHANGED


def _verify(digest: str, url: str) -> None:
    assert raybundle.verify(digest, store=url).ok


def _timed(spent: dict[str, list[float]], name: str, work: Callable[[], None]) -> None:
    begin, worked = time.perf_counter(), time.process_time()
    work()
    spent[name].append(round(time.perf_counter() - begin, 3))
    spent[f"{name}, CPU"].append(round(time.process_time() - worked, 3))
