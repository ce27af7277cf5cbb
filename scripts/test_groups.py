"""Runs the tests in groups, on several sides: `test_groups.py [--fast] [--sides N] [pytest arguments]`.

A group is a folder of tests, in a process of its own: its tests share what they set up, such as a cluster.
The last run, kept in .venv/tests, decides the order: groups that failed start first, then the longest.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

from tests.support.durations import VARIABLE  # noqa: E402 - found by the line above

if TYPE_CHECKING:
    from collections.abc import Iterable

TESTS = REPOSITORY / "tests"
CLUSTERS = tuple(TESTS / "integration" / name for name in ("nodes", "cluster", "airflow"))
ALONE = TESTS / "integration/cluster/separate"
"""Each file of it starts clusters that no other file uses: a group each."""
MIXED = TESTS / "integration/cluster/embedded"
"""Some of its tests start no cluster."""
EARLY = frozenset(
    {
        *("unit", "property", "docs"),
        *("disk", "bundle", "cache", "distributions", "explain", "roots", "submit"),
        *("embedded", "tokens"),
    }
)
"""Folders whose tests need no environment and no program but .venv: they start while the others are made."""
KEPT = Path(sys.prefix) / "tests"
"""The output, the failures and the durations of each group."""
APART = {
    MIXED: ("canary", "exit_codes", "fault_table", "history", "ray_options", "schemas", "submit"),
    TESTS / "integration/nodes": ("jobs", "layers_faults", "layers_nodes"),
    TESTS / "integration/disk/resolve": (
        *("absent_imports", "config_files", "data_files", "named_directories", "named_files"),
        *("never_silent", "pickles", "references", "rules", "tracked_data"),
    ),
}
"""Half of the files of a folder: a group, with a cluster of its own if need be, for the sake of time."""
UNKNOWN_SECONDS = {
    "nodes": 600.0,
    "embedded": 600.0,
    "resolve": 230.0,
    "node": 180.0,
    "submit": 150.0,
    "store": 130.0,
    "tokens": 110.0,
    "separate": 100.0,
    "airflow": 100.0,
    "explain": 90.0,
    "cli": 90.0,
    "field": 80.0,
    "bundle": 70.0,
}
"""What a group is taken to need until it has run once: seconds of one side, by folder."""
SLOWEST = 10
NOTHING_SELECTED = 5
"""The exit code of pytest for a group of which the arguments leave no test."""


@dataclass(frozen=True, slots=True)
class Group:
    """Files of tests that run in one process."""

    name: str
    files: tuple[Path, ...]

    @property
    def needs_cluster(self) -> bool:
        return any(self.files[0].is_relative_to(each) for each in CLUSTERS)

    @property
    def is_early(self) -> bool:
        return self.files[0].parent.name in EARLY

    @property
    def is_fast(self) -> bool:
        return not self.needs_cluster or self.files[0].parent == MIXED

    @property
    def output(self) -> Path:
        return KEPT / f"{self.name}.log"

    @property
    def cache(self) -> Path:
        return KEPT / f"{self.name}.cache"

    @property
    def log(self) -> Path:
        return KEPT / f"{self.name}.json"

    @property
    def durations(self) -> dict[str, float]:
        """Seconds by file, as far as they are known."""
        known = json_in(self.log)
        return {name: known[name] for name in self.names if name in known}

    @property
    def names(self) -> list[str]:
        return [str(file.relative_to(REPOSITORY)) for file in self.files]

    @property
    def has_failed(self) -> bool:
        return json_in(self.cache / "v/cache/lastfailed") != {}

    @property
    def seconds(self) -> float:
        folder = self.files[0].parent.name
        return sum(self.durations.values()) or UNKNOWN_SECONDS.get(folder, len(self.files))


def json_in(file: Path) -> dict[str, float]:
    try:
        found: dict[str, float] = json.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    return found


def find_groups() -> list[Group]:
    folders: dict[str, list[Path]] = {}
    for file in sorted(TESTS.glob("**/test_*.py")):
        if TESTS / "projects" in file.parents:
            continue
        base = file.with_suffix("") if file.parent == ALONE else file.parent
        if file.stem.removeprefix("test_") in APART.get(base, ()):
            base /= "apart"
        folders.setdefault("-".join(base.relative_to(TESTS).parts), []).append(file)
    return [Group(name, tuple(files)) for name, files in folders.items()]


def run(group: Group, arguments: Iterable[str]) -> int:
    own = ["--ff", "-o", f"cache_dir={group.cache}"]
    argv = [sys.executable, "-m", "pytest", "-q", *own, *arguments, *group.names]
    environ = {**os.environ, VARIABLE: str(group.log)}
    with group.output.open("wb") as output:
        done = subprocess.run(argv, cwd=REPOSITORY, env=environ, stdout=output, stderr=output, check=False)
    return 0 if done.returncode == NOTHING_SELECTED else done.returncode


def environments(descriptor: int | None) -> Future[bool]:
    """Returns whether what tests need besides .venv was made: known once who makes it has closed the pipe."""
    made: Future[bool] = Future()

    def read(pipe: int) -> None:
        with os.fdopen(pipe, encoding="utf-8") as said:
            made.set_result(said.read() == "made\n")

    if descriptor is None:
        made.set_result(True)
    else:
        threading.Thread(target=read, args=(descriptor,), daemon=True).start()
    return made


class Sides:
    """Each side takes one group after the other, and prints what the group said."""

    def __init__(self, groups: list[Group], arguments: list[str], made: Future[bool]) -> None:
        self._waiting = [*groups]
        self._arguments = arguments
        self._made = made
        self._lock = threading.Lock()
        self.failed: list[Group] = []

    def run(self, count: int) -> None:
        """Runs all groups on `count` sides, and on one more those without a cluster: clusters mostly wait."""
        sides = [threading.Thread(target=self._side, args=(number,)) for number in range(count + 1)]
        for side in sides:
            side.start()
        for side in sides:
            side.join()

    def _side(self, number: int) -> None:
        while group := self._next(number):
            code = self._run(group)
            with self._lock:
                print(f"--- {group.name}\n{group.output.read_text('utf-8', 'replace')}", flush=True)
                self.failed += [group] * bool(code)

    def _run(self, group: Group) -> int:
        if group.is_early or self._made.result():
            return run(group, self._arguments)
        group.output.write_text(f"ERROR {group.name}: its environments were not made, see above\n", "utf-8")
        return 1

    def _next(self, side: int) -> Group | None:
        """Takes a group for a side: the first none with a cluster, the second only if no other waits."""
        with self._lock:
            waiting = [each for each in self._waiting if side > 0 or not each.needs_cluster]
            found = [each for each in waiting if each.is_early or self._made.done()] or waiting
            first = min(found, key=lambda each: side == 1 and each.needs_cluster, default=None)
            self._waiting = [each for each in self._waiting if each is not first]
            return first


def arguments() -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("--fast", action="store_true", help="what needs no cluster and is not marked slow")
    parser.add_argument(
        "--sides", type=int, help="how many run clusters, by default 3, or one per CPU; one more runs none"
    )
    parser.add_argument(
        "--made", type=int, help="a pipe that says `made` and ends: all environments are there"
    )
    return parser.parse_known_args()


def summary(groups: list[Group], failed: list[Group], took: float) -> str:
    seconds = [item for group in groups for item in group.durations.items()]
    slowest = sorted(seconds, key=lambda item: -item[1])[:SLOWEST]
    lines = ["the slowest files:", *(f"{each:7.1f} s  {file}" for file, each in slowest)]
    words = [line for group in failed for line in group.output.read_text("utf-8", "replace").splitlines()]
    lines += [line for line in words if line.startswith(("FAILED ", "ERROR "))]
    said = f"{len(failed)} of {len(groups)} groups failed" if failed else f"all {len(groups)} groups passed"
    return "\n".join([*lines, f"{said} in {took:.0f} s"])


def main() -> int:
    options, more = arguments()
    KEPT.mkdir(exist_ok=True)
    groups = [group for group in find_groups() if group.is_fast or not options.fast]
    groups.sort(key=lambda group: (not group.has_failed, -group.seconds))
    if options.fast:
        more += ["-m", "not ray and not nodes and not slow and not wide"]
    sides, start = Sides(groups, more, environments(options.made)), time.monotonic()
    sides.run(options.sides or (os.cpu_count() or 1 if options.fast else 3))
    print(summary(groups, sides.failed, time.monotonic() - start))
    return 1 if sides.failed else 0


if __name__ == "__main__":
    sys.exit(main())
