"""What `report` costs for 20 and 5,000 modules, up to the first paint; `plan --against` for 12 targets."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from measure import Took, median, timed
from repository import Plan, make_repository, name_of

from tests.support.browser import browser_tab

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.support.browser import Tab

PLAN = Plan(5_000, small=20, large=4_980)
REPOSITORY = Plan(5_000, small=300, large=300)
"""For `plan --against`: each target reaches 300 of 5,000 modules."""
TARGETS = 12
"""Entry points that `plan --against` compares; half of them reach the module that was changed."""
PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
GIT = ("-c", "user.name=bench", "-c", "user.email=bench@localhost", "-c", "init.defaultBranch=main")


def measure(work: Path, environ: Mapping[str, str], rounds: int) -> dict[str, Any]:
    """Medians of `rounds`; the cache is warm, and nothing changes between the rounds."""
    project = work / "report"
    make_repository(project, PLAN)
    figures: dict[str, Any] = {}
    with browser_tab(work / "browser") as tab:
        for name in ("small", "large"):
            page = work / f"{name}.html"
            tooks = [
                _run(environ, project, "report", f"{name}.py", "-o", str(page)) for _ in range(rounds + 1)
            ]
            figures |= _of_commands(f"{name}_report", tooks[1:])
            figures[f"{name}_mb"] = round(page.stat().st_size / 1e6, 2)
            figures[f"{name}_paint_s"] = median(_first_paint(tab, page) for _ in range(rounds))
    project = work / "against"
    make_repository(project, REPOSITORY)
    targets = _make_targets(project)
    words = ("plan", "--against", "HEAD", *targets)
    tooks = [_run(environ, project, *words) for _ in range(rounds + 1)]
    assert f"{TARGETS // 2} of {TARGETS} bundles differ" in tooks[0].stdout, tooks[0].stdout
    return {**figures, "against_first_s": round(tooks[0].wall, 4), **_of_commands("against", tooks[1:])}


def _run(environ: Mapping[str, str], project: Path, *words: str) -> Took:
    return timed([sys.executable, "-m", "raybundle", *words], environ, project)


def _of_commands(name: str, tooks: list[Took]) -> dict[str, float]:
    return {
        f"{name}_s": median(each.wall for each in tooks),
        f"{name}_cpu_s": median(each.cpu for each in tooks),
    }


def _first_paint(tab: Tab, page: Path) -> float:
    tab.open(page)
    return float(tab.wait_for(PAINT)) / 1000


def _make_targets(project: Path) -> list[str]:
    """Returns new drivers of a committed project: every second one reaches a module that is changed since."""
    names = [f"entry_{number}.py" for number in range(TARGETS)]
    for number, name in enumerate(names):
        among = REPOSITORY.ranges[number % 2]
        (project / name).write_text(f"import {name_of(among.start)}\n\nNUMBER = {number}\n")
    for words in (("init", "-q"), ("add", "-A"), ("commit", "-qm", "all")):
        subprocess.run(["git", *GIT, *words], cwd=project, check=True)
    [changed] = (each for each in project.rglob(f"*{name_of(0).rpartition('.')[2]}.py"))
    changed.write_text(changed.read_text() + "\n# changed\n")
    return names


if __name__ == "__main__":
    raise SystemExit(f"{Path(__file__).name} is a part of scripts/bench")
