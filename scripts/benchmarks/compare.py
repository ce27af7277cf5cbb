"""Measures another commit and this tree in turn, each installed into an environment of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ROOT = Path(__file__).resolve().parents[2]
EXTRAS = "ray,report,s3"

Figures = dict[str, float]
"""Numbers by group and name, such as `job.ratio`."""


@dataclass(frozen=True, slots=True)
class Compared:
    """A figure of both sides, and the ratios of its pairs, one for each round."""

    name: str
    before: float
    now: float
    ratios: tuple[float, ...]

    @property
    def line(self) -> str:
        """Medians of both, the ratio's median, its least and its greatest."""
        spread = f"{min(self.ratios):.2f} to {max(self.ratios):.2f}"
        return (
            f"  {self.name:<36} {self.before:>10.4g} {self.now:>10.4g} {median(self.ratios):>7.2f}  {spread}"
        )


def compare(base: str, words: Sequence[str], rounds: int, work: Path) -> list[Compared]:
    """Returns the figures of both sides.

    Args:
        base: a commit.
        words: further arguments for the benchmarks, such as `--only job`.
        rounds: pairs; every other one begins with this tree.
        work: an empty directory.
    """
    pythons = [_install(tree, work) for tree in (_checked_out(base, work), _copied(work))]
    found: tuple[list[Figures], list[Figures]] = ([], [])
    for number in range(rounds):
        for side in (0, 1) if number % 2 == 0 else (1, 0):
            found[side].append(_measured(pythons[side], words, work / "result.json"))
    return list(_compared(*found))


def _checked_out(base: str, work: Path) -> Path:
    tree = work / "base"
    archive = subprocess.run(["git", "-C", ROOT, "archive", base], check=True, stdout=subprocess.PIPE).stdout
    tree.mkdir()
    subprocess.run(["tar", "-x", "-C", tree], input=archive, check=True)
    return tree


def _copied(work: Path) -> Path:
    """Copies the tracked files as they are now, changed or not."""
    tree = work / "now"
    listed = subprocess.run(["git", "-C", ROOT, "ls-files", "-z"], check=True, stdout=subprocess.PIPE).stdout
    for name in filter(None, listed.decode().split("\0")):
        if (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, tree / name)
    return tree


def _install(tree: Path, work: Path) -> Path:
    """Installs a tree with byte-code, as users have it, and returns its interpreter."""
    environment = work / f"env-{tree.name}"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    python = environment / "bin/python"
    constraints = str(tree / "scripts/constraints.txt")
    options = ["--quiet", "--compile-bytecode", "--python", str(python), "-c", constraints, "--group", "dev"]
    subprocess.run(["uv", "pip", "install", *options, f".[{EXTRAS}]"], cwd=tree, check=True)
    return python


def _measured(python: Path, words: Sequence[str], output: Path) -> Figures:
    environ = {
        **os.environ,
        "PATH": f"{python.parent}:{os.environ['PATH']}",
        "VIRTUAL_ENV": str(python.parents[1]),
    }
    command = [
        str(python),
        str(ROOT / "scripts/benchmarks"),
        *words,
        "--rounds",
        "1",
        "--output",
        str(output),
    ]
    subprocess.run(command, env=environ, check=True, stdout=subprocess.DEVNULL, cwd=output.parent)
    return dict(_numbers(json.loads(output.read_text())["results"]))


def _numbers(results: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, float]]:
    for group, figures in results.items():
        for name, value in figures.items():
            each = median(value) if isinstance(value, list) and value else value
            if isinstance(each, int | float) and not isinstance(each, bool):
                yield f"{group}.{name}", float(each)


def _compared(before: list[Figures], now: list[Figures]) -> Iterator[Compared]:
    for name in before[0]:
        pairs = [
            (old[name], new[name])
            for old, new in zip(before, now, strict=True)
            if old.get(name) and name in new
        ]
        if pairs:
            ratios = tuple(new / old for old, new in pairs)
            yield Compared(name, median(old for old, _ in pairs), median(new for _, new in pairs), ratios)
