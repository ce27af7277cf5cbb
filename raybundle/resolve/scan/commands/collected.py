"""Says which files test runners collect: pytest, and the discovery of unittest."""

from __future__ import annotations

import posixpath
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_TESTS = ("test_*.py", "*_test.py", "conftest.py")
"""What pytest collects in a folder, unless its settings say otherwise."""
HERE = "__file__/"
"""Begins a folder that counts from the file which names it."""
_DISCOVERED = "test*.py"
"""The same for unittest."""


def by_pytest(words: Iterable[str]) -> Iterator[str]:
    """Yields patterns for the files and folders that arguments of pytest name, and each `conftest.py`."""
    named = [word.partition("::")[0].rstrip("/") for word in words if not word.startswith(("-", "/"))]
    for path in named or ["."]:
        folder = posixpath.dirname(path) if path.endswith(".py") else path
        found = [path] if path.endswith(".py") else [f"{folder}/**/{form}" for form in _TESTS]
        yield from map(posixpath.normpath, found)
        while folder not in {"", "."}:
            yield f"{folder}/conftest.py"
            folder = posixpath.dirname(folder)
        yield "conftest.py"


def by_unittest(words: Sequence[str]) -> Iterator[str]:
    """Yields a pattern for the tests that `python -m unittest discover` finds."""
    options = {first: second for first, second in pairwise(words) if first.startswith("-")}
    plain = [
        word for before, word in pairwise(("", *words)) if not word.startswith("-") and before not in options
    ]
    if plain[:1] in (["discover"], []):
        start, pattern = (*plain[1:3], *[""] * 2)[:2]
        start = options.get("-s", options.get("--start-directory", start))
        pattern = options.get("-p", options.get("--pattern", pattern))
        yield from discovered(start, pattern)


def discovered(start: str, pattern: str) -> Iterator[str]:
    """Yields patterns for what unittest finds from a directory on: its packages, and the tests in them."""
    folder = posixpath.normpath(start)
    yield f"{folder}/**/{pattern or _DISCOVERED}"
    yield f"{folder}/**/__init__.py"
