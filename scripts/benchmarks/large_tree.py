"""`resolve` of 300 modules inside a repository of 20,000."""

from __future__ import annotations

import json
import shutil
import sys
from typing import TYPE_CHECKING, Any

from measure import Took, median, timed

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PACKAGES, MODULES_EACH = 200, 100
REACHED_PACKAGES, REACHED_EACH = 10, 29
"""Each with its `__init__`: 300 modules, and the driver."""

BODY = """
import json
import os.path
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass
class Record:
    name: str
    values: list


def load(path):
    if not os.path.exists(path):
        return []
    with open(path) as stream:
        return [Record(each["name"], each["values"]) for each in json.load(stream)]


def total(records: "Iterable[Record]"):
    result = {}
    for record in records:
        result[record.name] = result.get(record.name, 0) + sum(record.values)
    return result
"""


def measure(work: Path, environ: Mapping[str, str], rounds: int) -> dict[str, Any]:
    project = work / "repository"
    make_tree(project)
    cache = work / "cache"
    cold, warm = [], []
    for _ in range(rounds):
        shutil.rmtree(cache, ignore_errors=True)
        cold.append(_plan(project, {**environ, "XDG_CACHE_HOME": str(cache)}))
        warm.append(_plan(project, {**environ, "XDG_CACHE_HOME": str(cache)}))
    return {
        "modules": len(json.loads(cold[0].stdout)["modules"]) - 1,
        "modules_in_repository": PACKAGES * MODULES_EACH,
        **_figures("cold", cold),
        **_figures("warm", warm),
    }


def make_tree(project: Path) -> None:
    """Packages of modules; each reached package imports the next, each of its modules is imported by it."""
    project.mkdir()
    (project / "pyproject.toml").write_text('[project]\nname = "large"\nversion = "1"\n')
    (project / "job.py").write_text("import package_0\n")
    for number in range(PACKAGES):
        package = project / f"package_{number}"
        package.mkdir()
        reached = [f"from . import module_{each}\n" for each in range(REACHED_EACH)]
        following = f"import package_{number + 1}\n" if number + 1 < REACHED_PACKAGES else ""
        (package / "__init__.py").write_text("".join(reached) + following)
        for each in range(MODULES_EACH - 1):
            (package / f"module_{each}.py").write_text(f'"""Module {number}.{each}."""\n{BODY}')


def _plan(project: Path, environ: Mapping[str, str]) -> Took:
    return timed([sys.executable, "-m", "raybundle", "--json", "plan", "job.py"], environ, project)


def _figures(word: str, plans: list[Took]) -> dict[str, float]:
    return {
        f"{word}_resolve_s": median(json.loads(plan.stdout)["timings"]["resolve"] for plan in plans),
        f"{word}_command_s": median(plan.wall for plan in plans),
        f"{word}_command_cpu_s": median(plan.cpu for plan in plans),
    }
