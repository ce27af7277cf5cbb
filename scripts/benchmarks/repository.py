"""Writes a repository of any size whose modules are as long, and import as much, as those people install."""

from __future__ import annotations

import random
from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROOTS = 8
EACH = 20
"""Modules of one package."""
PACKAGES_PER_AREA = 10
"""Packages beside each other in one parent; each fourth parent is a namespace package."""
FANOUT = 3
"""Modules that one module is the first to import, so that a range is reached as a whole."""

SHARES = (0.0, 0.05, 0.10, 0.25, 0.50, 0.75, 0.90, 0.95, 0.99, 1.0)
LINES = (0, 1, 11, 48, 131, 348, 759, 1137, 2646, 3000)
IMPORTS = (0, 1, 1, 2, 6, 11, 19, 26, 45, 60)
"""Lines and imports per module at these shares, of 3,000 modules drawn from the site-packages of an
environment with Ray, NumPy and the test tools: 316 lines, 36 bytes per line and 8.5 imports on average."""

STANDARD = (
    "import os",
    "import sys",
    "import json",
    "import logging",
    "import functools",
    "from collections import defaultdict",
    "from dataclasses import dataclass, field",
    "from pathlib import Path",
    "import os.path as osp",
    "import re",
    "import itertools",
    "import warnings",
)
INSTALLED = ("import yaml", "from packaging.version import Version", "import packaging.markers")
NEVER_THERE = ("import ujson_fast", "from cupy_like import array")

PROSE = """
def describe_{n}(value):
    \"\"\"Return a sentence about `value` for the report of a run.

    The sentence names the column, the stage that made it and the number of rows that it was made from, in
    this order. A value that has no name is called by its place, counted from one. Nothing is translated.

    Args:
        value: what a stage returned, or None where the stage was left out. Arrays are described by their
            shape and type, never by what they hold, because a report is kept for longer than the data is.

    Returns:
        One line of text without a line break at its end.

    Examples:
        >>> describe_{n}(None)
        'nothing'
    \"\"\"
    # The order of the cases matters: an array is a sequence too, and a sequence of one value is described
    # as that value. See the notes on reports for the reasons, which are older than this module.
    if value is None:
        return "nothing"
    # What is left has a name, or it is none of ours.
    return getattr(value, "name", "value")
"""

FUNCTIONS = (
    *[PROSE] * 4,  # else the text would hold more code per line than what people write
    '''
def load_{n}(path, *, encoding="utf-8", strict=False):
    """Return the records of ``path`` as a list of mappings.

    Lines that are empty or start with ``#`` are skipped.
    """
    records = []
    with open(path, encoding=encoding) as stream:
        for number, line in enumerate(stream, start=1):
            text = line.strip()
            if not text or text.startswith("#"):
                continue
            key, _, value = text.partition("=")
            if strict and not value:
                raise ValueError(f"{{path}}:{{number}}: no value for {{key!r}}")
            records.append({{"key": key.strip(), "value": value, "line": number}})
    return records
''',
    '''
def merge_{n}(left, right, default=None):
    """Merge two mappings; numbers are added."""
    result = dict(left)
    for name, value in right.items():
        known = result.get(name, default)
        if isinstance(known, (int, float)) and isinstance(value, (int, float)):
            result[name] = known + value * {n}
        elif known is None:
            result[name] = value
        else:
            result[name] = [known, value]
    return {{name: result[name] for name in sorted(result)}}
''',
    '''
class Stage{n}(object):
    """One stage of the pipeline, with its own buffer."""

    name = "stage-{n}"
    limits = (16, 64, {n})

    def __init__(self, source, size=128, on_error=None):
        self.source = source
        self.size = size
        self.buffer = []
        self._on_error = on_error or self.ignore

    def __iter__(self):
        for item in self.source:
            self.buffer.append(item)
            if len(self.buffer) >= self.size:
                yield self.flush()
        if self.buffer:
            yield self.flush()

    def flush(self):
        taken, self.buffer = self.buffer[: self.size], self.buffer[self.size :]
        try:
            return [self.convert(each) for each in taken]
        except (TypeError, ValueError) as error:
            self._on_error(error, taken)
            return []

    @staticmethod
    def convert(item):
        return int(item) if str(item).isdigit() else item

    @property
    def is_empty(self):
        return not self.buffer and self.size > 0

    def ignore(self, error, taken):
        self.last_error = "%s: %d items" % (error, len(taken))
''',
    """
TABLE_{n} = {{
    "alpha": [1, 2, 3, {n}],
    "beta": ("x", "y", None),
    "gamma": {{"low": 0.5, "high": 2.5e3, "unit": "seconds"}},
    "message": "could not convert the value of a column, see the log for its place",
}}
""",
    """
def score_{n}(rows, weights=None, *args, **kwargs):
    # weights are by column; a column without one counts once
    weights = weights or {{}}
    total = 0.0
    for row in rows:
        part = sum(float(value) * weights.get(name, 1.0) for name, value in row.items() if value is not None)
        total += part / max(len(row), 1) - kwargs.get("offset", 0)
    if total < 0 or total != total:
        return None
    return round(total ** 0.5, {n} % 7) if args else total
""",
)


@dataclass(frozen=True, slots=True)
class Plan:
    """How many modules, and how many of them each of the two drivers reaches."""

    modules: int
    small: int = 300
    large: int = 12_300

    @property
    def ranges(self) -> tuple[range, ...]:
        edges = (0, self.small, self.small + self.large, max(self.modules, self.small + self.large))
        return tuple(range(first, last) for first, last in pairwise(edges))


def make_repository(project: Path, plan: Plan) -> int:
    """Write the same files for the same plan, and return how many modules they are."""
    project.mkdir()
    roots = ", ".join(f'"libs/lib_{number}/src"' for number in range(1, ROOTS))
    head = f'[project]\nname = "large"\nversion = "1"\n[tool.raybundle]\nroots = [{roots}]\n'
    (project / "pyproject.toml").write_text(head)
    (project / "small.py").write_text(_driver(plan.ranges[0]))
    (project / "large.py").write_text(_driver(plan.ranges[1]))
    made: set[Path] = set()
    for among in plan.ranges:
        for number in among:
            _write_module(project, number, among, made)
    return len(made) + sum(map(len, plan.ranges)) + 2


def _driver(among: range) -> str:
    return f"import {name_of(among.start)} as first\n\nprint(first.__name__)\n" if among else "print()\n"


def name_of(number: int) -> str:
    package = number // EACH
    return f"area_{package // PACKAGES_PER_AREA}.part_{package}.module_{number}"


def _write_module(project: Path, number: int, among: range, made: set[Path]) -> None:
    *packages, module = name_of(number).split(".")
    area = number // EACH // PACKAGES_PER_AREA
    directory = project / f"libs/lib_{area % ROOTS}/src" if area % ROOTS else project
    for depth, package in enumerate(packages):
        directory /= package
        if directory not in made and (depth or area % 4 != 1):
            directory.mkdir(parents=True, exist_ok=True)
            (directory / "__init__.py").write_text(f'"""Package {package}."""\n')
            made.add(directory)
    chance = random.Random(number)
    (directory / f"{module}.py").write_text("".join(_text(number, among, chance)))


def _text(number: int, among: range, chance: random.Random) -> Iterator[str]:
    length = _drawn(LINES, chance)
    imports = list(_imports(number, among, chance))
    head = f'"""Module {number}."""\n\nfrom __future__ import annotations\n\n'
    written = head + "\n".join(imports) + "\n"
    lines = written.count("\n")
    yield written
    while lines < length:
        text = chance.choice(FUNCTIONS).format(n=chance.randrange(1000))
        lines += text.count("\n")
        yield "\n" + text


def _imports(number: int, among: range, chance: random.Random) -> Iterator[str]:
    """Yield statements: what must be reached through this module, then others in the usual forms."""
    place = number - among.start
    needed = [among.start + place * FANOUT + each for each in range(1, FANOUT + 1)]
    for other in needed:
        if other in among:
            yield _statement(number, other, chance)
    for _ in range(_drawn(IMPORTS, chance)):
        kind = chance.random()
        if kind < 0.45:
            yield chance.choice(STANDARD)
        elif kind < 0.55:
            yield chance.choice(INSTALLED)
        elif kind < 0.60:
            yield f"try:\n    {chance.choice(NEVER_THERE)}\nexcept ImportError:\n    pass"
        elif kind < 0.70:
            name = name_of(chance.choice(among))
            yield f"from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from {name} import load_1"
        elif kind < 0.75:
            yield f"def late_{number}():\n    import {name_of(chance.choice(among))}"
        else:
            yield _statement(number, chance.choice(among), chance)


def _statement(number: int, other: int, chance: random.Random) -> str:
    package, _, module = name_of(other).rpartition(".")
    if number // EACH == other // EACH and chance.random() < 0.7:
        return f"from . import {module}"
    form = chance.randrange(8)
    if form < 4:
        return f"import {package}.{module}"
    return f"from {package} import {module}" if form < 7 else f"from {package}.{module} import *"


def _drawn(values: tuple[int, ...], chance: random.Random) -> int:
    """Return a value whose distribution has `values` at `SHARES`."""
    share = chance.random()
    at = min(bisect_right(SHARES, share), len(SHARES) - 1)
    below, above = SHARES[at - 1], SHARES[at]
    return round(values[at - 1] + (values[at] - values[at - 1]) * (share - below) / (above - below))
