"""Moves a kept answer to where its project and environment are now, such as another checkout."""

from __future__ import annotations

import base64
import json
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from raybundle.model import Interpreter

_PLAIN = re.compile(r"(?:/[\w.@+-]+)+", re.ASCII)
"""A path that no shell, no JSON and no message writes in another way."""
_BEFORE, _AFTER = r"(?<![\w./@+-])", r"(?![\w.@+-])"
"""What must not be beside a path: it would be part of another one."""
_UP = "../"
_TABLES = ("files", "asked", "directories", "sites", "data")
"""Of what was consulted, by path; `links` lead somewhere besides."""
_YOUNG = 4
"""Index in a row of a table: then the content counts, and not the identity."""


@dataclass(frozen=True, slots=True)
class Places:
    """The directories that may be elsewhere for the same question, and those that may not."""

    bases: tuple[str, ...]
    """The project and the interpreter's environment, neither of which has the other."""
    path: tuple[str, ...]
    """The interpreter's path."""

    def hide(self, text: str) -> str:
        """Returns a text with symbols, which no JSON has in it, for the bases."""
        return (
            self._pattern.sub(lambda found: f"\0{self.bases.index(found[0])}", text) if self.bases else text
        )

    def show(self, text: str) -> str:
        """Returns a text with the bases for their symbols."""
        return re.sub("\0([0-9])", lambda found: self.bases[int(found[1])], text)

    @property
    def order(self) -> list[int]:
        """How bases and path are sorted: answers are in order, and must not change it when they move."""
        all_paths = (*self.bases, *self.path)
        return sorted(range(len(all_paths)), key=all_paths.__getitem__)

    def fixed(self, path: str) -> bool:
        """Whether a path without symbols belongs to the interpreter wherever the bases are."""
        return any(path == entry or path.startswith(f"{entry}/") for entry in self.path)

    def changed(self, there: Sequence[str]) -> tuple[str, ...]:
        """Returns the bases that are elsewhere, and where they were."""
        return tuple({*self.bases} ^ {*there})

    @property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile(f"{_BEFORE}(?:{'|'.join(map(re.escape, self.bases))}){_AFTER}")


def places_of(project: Path, interpreter: Interpreter) -> Places:
    """Returns the places of a question.

    What cannot move: a path that is not plain, an environment that is a link, and what modules of a directory
    around it may be found in.
    """
    path, root = interpreter.path, str(project)
    environment = os.path.dirname(os.path.dirname(interpreter.executable))  # noqa: PTH120 - a link that stays
    nested = os.path.commonpath([environment or "/", root]) in (environment, root)
    lone = not nested and os.path.realpath(environment) == environment
    bases = tuple(base for base in ((root, environment) if lone else (root,)) if _may_move(base, path))
    return Places(bases if root in bases else (), path)


def _may_move(base: str, path: Sequence[str]) -> bool:
    around = (base.startswith(f"{entry.rstrip('/')}/") for entry in path)
    return _PLAIN.fullmatch(base) is not None and not any(around)


def moved(document: dict[str, Any], here: Places) -> dict[str, Any] | None:
    """Returns the document of an answer as it would be here; None if it may depend on where it was made.

    What it consulted must be compared by content, and no file may name a base that has changed.
    """
    before = Places(tuple(document["places"]), here.path)
    if not here.bases or len(before.bases) != len(here.bases):
        return None
    text = before.hide(json.dumps([document["cwd"], document["answer"]["texts"], document["consulted"]]))
    changed = here.changed(before.bases)
    if _UP in text or any(each in text for each in changed) or _in_bytes(document, changed):
        return None
    if not all(path[:1] == "\0" or here.fixed(path) for path in _paths(json.loads(text, strict=False)[2])):
        return None
    cwd, texts, consulted = json.loads(here.show(text))
    for table in _TABLES:
        for path, row in consulted[table].items():
            if any(path == base or path.startswith(f"{base}/") for base in changed):
                row[_YOUNG] = 1
    answer = {**document["answer"], "texts": texts}
    return {"cwd": cwd, "consulted": consulted, "answer": answer, "places": list(here.bases)}


def _in_bytes(document: dict[str, Any], bases: Sequence[str]) -> bool:
    """Returns whether made files, which an answer has as bytes, name a base."""
    tables = [each for each in document["answer"]["fields"].values() if isinstance(each, dict)]
    columns = [column for table in tables for kind, column in table.values() if kind == "bytes"]
    made = [base64.b64decode(each) for column in columns for each in column if each]
    return any(os.fsencode(base) in each for each in made for base in bases)


def _paths(consulted: dict[str, Any]) -> list[str]:
    found = [path for table in (*_TABLES, "links") for path in consulted[table]]
    return [*found, *(destination for destination, _ in consulted["links"].values())]
