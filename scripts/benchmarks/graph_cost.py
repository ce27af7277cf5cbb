"""The effective import graph cold and warm, beside `ruff analyze graph` and modulegraph on the same trees."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from measure import Took, median, timed
from repository import ROOTS, Plan, make_repository

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

WHOLE = Plan(18_990)
"""20,000 modules with the packages; the drivers reach 318 and 12,978 of them."""
FEW, MANY = Plan(1_910, large=0), Plan(47_500, large=0)
"""2,000 and 50,000 modules with the packages."""

MODULEGRAPH = """
import sys, threading
from modulegraph.modulegraph import ModuleGraph

def work():
    graph = ModuleGraph(path=[*sys.argv[2:], *sys.path])
    graph.run_script(sys.argv[1])
    print(sum(str(getattr(node, "filename", "")).startswith(sys.argv[2]) for node in graph.nodes()))

sys.setrecursionlimit(10**6)
threading.stack_size(2**29)
thread = threading.Thread(target=work)
thread.start()
thread.join()
"""
"""It goes from module to module by recursion: with Python's own limit it ends in a RecursionError."""

MODULEGRAPH_LIMIT = 300.0
"""Seconds after which it is given up."""


def measure(work: Path, environ: Mapping[str, str], rounds: int) -> dict[str, Any]:
    """Medians of `rounds`, in each of which every command runs once, so that all see the same machine."""
    trees = _Trees(work, dict(environ), {})
    trees.make("whole", WHOLE)
    trees.make("few", FEW)
    trees.make("many", MANY)
    runs: dict[str, list[Took]] = {}
    for _ in range(rounds):
        for name, run in trees.commands().items():
            runs.setdefault(name, []).append(run())
    return {**trees.sizes, **_figures(runs), **_modulegraph(trees)}


@dataclass(slots=True)
class _Trees:
    work: Path
    environ: dict[str, str]
    sizes: dict[str, int] = field(default_factory=dict)

    def make(self, name: str, plan: Plan) -> None:
        self.sizes[f"{name}_modules"] = make_repository(self.work / name, plan)

    def commands(self) -> dict[str, Callable[[], Took]]:
        """What one round runs, in this order; a cold one comes before its warm one."""
        whole = self.work / "whole"
        ruff = [shutil.which("ruff") or "ruff", "analyze", "graph", "--preview", "."]
        start = [sys.executable, "-m", "raybundle", "--version"]
        commands: dict[str, Callable[[], Took]] = {
            "start": lambda: timed(start, self.environ, whole),
            "ruff": lambda: timed(ruff, {**self.environ, "RUFF_NO_CACHE": "true"}, whole),
        }
        for tree, driver in (("whole", "small"), ("whole", "large"), ("few", "small"), ("many", "small")):
            name = driver if tree == "whole" else tree
            commands[f"{name}_cold"] = lambda tree=tree, driver=driver: self._plan(tree, driver, cold=True)  # type: ignore[misc]
            commands[f"{name}_warm"] = lambda tree=tree, driver=driver: self._plan(tree, driver, cold=False)  # type: ignore[misc]
        return commands

    def _plan(self, tree: str, driver: str, *, cold: bool) -> Took:
        cache = self.work / "graph-cache"
        if cold:
            shutil.rmtree(cache, ignore_errors=True)
        command = [sys.executable, "-m", "raybundle", "--json", "plan", f"{driver}.py"]
        return timed(command, {**self.environ, "XDG_CACHE_HOME": str(cache)}, self.work / tree)


def _figures(runs: dict[str, list[Took]]) -> dict[str, Any]:
    """Seconds that `plan` says it resolved; seconds and CPU of whole commands; ratios by round."""
    figures: dict[str, Any] = {}
    for name, tooks in runs.items():
        figures[f"{name}_command_s"] = median(took.wall for took in tooks)
        figures[f"{name}_command_cpu_s"] = median(took.cpu for took in tooks)
        if name not in {"start", "ruff"}:
            figures[f"{name}_resolve_s"] = median(map(_resolve, tooks))
            figures[f"{name}_peak_mib"] = median(took.peak for took in tooks)
    for name, above, below in (
        ("large_cold_by_ruff", "large_cold", "ruff"),
        ("many_by_few_cold", "many_cold", "few_cold"),
        ("many_by_few_warm", "many_warm", "few_warm"),
    ):
        pairs = zip(runs[above], runs[below], strict=True)
        figures[name] = median(_seconds(first) / _seconds(second) for first, second in pairs)
    for name in ("small_warm", "large_warm"):
        figures[f"{name}_modules"] = len(json.loads(runs[name][0].stdout)["modules"])
    return figures


def _resolve(took: Took) -> float:
    return float(json.loads(took.stdout)["timings"]["resolve"])


def _seconds(took: Took) -> float:
    """The resolve stage of `plan`; of another command, all of it."""
    return _resolve(took) if '"timings"' in took.stdout else took.wall


def _modulegraph(trees: _Trees) -> dict[str, Any]:
    if find_spec("modulegraph") is None:
        return {"modulegraph": "not installed"}
    roots = [str(trees.work / "whole")]
    roots += [f"{roots[0]}/libs/lib_{number}/src" for number in range(1, ROOTS)]
    figures: dict[str, Any] = {}
    for driver in ("small", "large"):
        command = [sys.executable, "-W", "ignore", "-c", MODULEGRAPH, f"{driver}.py", *roots]
        try:
            begin = time.perf_counter()
            ran = subprocess.run(
                command, cwd=roots[0], timeout=MODULEGRAPH_LIMIT, capture_output=True, check=True
            )
            figures[f"modulegraph_{driver}_s"] = round(time.perf_counter() - begin, 2)
            figures[f"modulegraph_{driver}_modules"] = int(ran.stdout or -1)
        except subprocess.TimeoutExpired:
            figures[f"modulegraph_{driver}"] = f"no answer in {MODULEGRAPH_LIMIT:.0f} s"
        except subprocess.CalledProcessError as error:
            figures[f"modulegraph_{driver}"] = error.stderr.decode().strip().rpartition("\n")[2]
    return figures
