"""Puts what `path` found into text that fits a terminal, or into a document."""

from __future__ import annotations

import shutil
import sys
from collections import defaultdict
from itertools import cycle
from typing import TYPE_CHECKING, Any

from raybundle.formats.lists import first_of
from raybundle.pipeline.viewing.wording import (
    NAMES,
    SHOWN,
    answer_of,
    by_processes,
    columns_of,
    rows_of,
    who,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from raybundle.pipeline.viewing.values import Entry, PathView, Process

_NARROWEST = 24
"""Characters of a column below which paths are not side by side."""
_UNCUT = 200
"""Width where the output is not a terminal."""


def view_lines(view: PathView, typed: str) -> Iterator[str]:
    """Yields the answer, then what fails, the paths side by side, and what shapes them.

    Args:
        view: what was found.
        typed: the target as the user wrote it.
    """
    yield answer_of(view)
    for failing in (view.failing, view.failing_outside):
        for processes, names in by_processes(failing):
            yield f"  no import in {who(processes)}: {first_of(names, SHOWN)}"
    for each in view.silent:
        yield f"  {NAMES[each.kind]} on {each.where}: {each.fault}"
    if view.plain and view.failing and typed:
        yield f"next: `raybundle submit {typed}` bundles them"
    if columns := columns_of(view):
        yield ""
        yield from _side_by_side(columns)
    if view.answered:
        yield from _shadowed(view)
        yield from _conflicts(view)
        yield from _shaping(view)


def _side_by_side(columns: Sequence[tuple[str, tuple[Entry, ...]]]) -> Iterator[str]:
    """Yields a row for each kind of entry, in order; what not every path has is marked with `*`."""
    rows = [(origin, list(map(_text, cells))) for origin, cells in rows_of([path for _, path in columns])]
    first = max(len(origin) for origin, _ in rows) + 2
    terminal = sys.stdout is not None and sys.stdout.isatty()
    width = shutil.get_terminal_size().columns if terminal else _UNCUT
    free = cycle("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    letters = [title if title in ("here", "boot") else next(free) for title, _ in columns]
    for letter, (title, _) in zip(letters, columns, strict=True):
        if letter != title:
            yield _cut(f"{letter} = {title}", width, tail=False)
    room = (width - first) // len(columns) - 2
    if room < _NARROWEST:
        for index, letter in enumerate(letters):
            yield letter
            yield from (
                f"  {mark_of(cells)}{origin:<{first}}{_cut(cells[index], width - first - 3)}"
                for origin, cells in rows
                if cells[index]
            )
        return
    widest = [max(len(cells[index]) for _, cells in rows) for index in range(len(columns))]
    widths = [max(4, min(room, wide)) for wide in widest]
    heads = "  ".join(letter.ljust(wide) for letter, wide in zip(letters, widths, strict=True))
    yield f"{'':{first}}{heads}".rstrip()
    for origin, cells in rows:
        shown = "  ".join(
            _cut(cell or "-", wide).ljust(wide) for cell, wide in zip(cells, widths, strict=True)
        )
        yield f"{mark_of(cells)}{origin:<{first - 1}}{shown}".rstrip()


def mark_of(cells: Sequence[str]) -> str:
    """Returns what a row begins with: a mark if not every path has the entry."""
    return " " if all(cells) else "*"


def _text(places: Sequence[str]) -> str:
    """Returns the first place of a kind, and how many more there are."""
    if not places:
        return ""
    first = places[0] or "(set on each node)"
    return first if len(places) == 1 else f"{first} and {len(places) - 1} more"


def _cut(text: str, room: int, *, tail: bool = True) -> str:
    """Returns the end of a path, which tells more than its start; or the start of a text."""
    if len(text) <= room:
        return text
    return f"…{text[len(text) - room + 1 :]}" if tail else f"{text[: room - 1]}…"


def _shadowed(view: PathView) -> Iterator[str]:
    seen: dict[tuple[str, str, tuple[str, ...]], list[Process]] = defaultdict(list)
    for each in view.answered:
        for name, found in (each.modules or {}).items():
            if found.others and found.file:
                seen[name, found.file, found.others].append(each)
    if seen:
        yield "\nshadowed modules"
    for (name, file, others), processes in seen.items():
        yield f"  {name}: {file} hides {first_of(others, SHOWN)} in {who(processes)}"


def _conflicts(view: PathView) -> Iterator[str]:
    if view.conflicts:
        yield "\ndistributions that differ from here"
    for each in view.conflicts:
        there = "; ".join(
            f"{version or 'not installed'} in {first_of(processes, SHOWN)}"
            for version, processes in each.there.items()
        )
        yield f"  {each.name} {each.here}: {there}"


def _shaping(view: PathView) -> Iterator[str]:
    """Yields what shapes imports on nodes, what several nodes have in one line."""
    nodes: dict[tuple[str, str], list[str]] = defaultdict(list)
    for each in view.shaping:
        nodes[each.source, each.what].append(each.where)
    every = {each.where for each in view.shaping}
    if nodes:
        sets = "what shapes imports on nodes"
        yield f"\n{sets}" if view.plain else f"\n{sets}; the boot sets aside variables, .pth and site files"
    for (source, what), places in sorted(nodes.items()):
        where = "all nodes" if len(places) == len(every) else first_of(places, SHOWN)
        yield f"  {where}: {source}: {what}"


def module_lines(view: PathView, name: str) -> Iterator[str]:
    """Yields which file each process would import for one module, and why."""
    if view.fault is not None:
        yield answer_of(view)
        return
    files: dict[tuple[str, str], list[Process]] = defaultdict(list)
    for each in view.answered:
        found = (each.modules or {})[name]
        if found.file is None:
            files["no file", "no entry of the path has it"].append(each)
        else:
            hides = f"; hides {first_of(found.others, SHOWN)}" if found.others else ""
            files[found.file, f"{found.origin}: {found.entry or 'not on the path'}{hides}"].append(each)
    if name in view.files:
        yield f"{view.files[name]}\n  here"
    for (file, why), processes in files.items():
        yield f"{file}\n  in {who(processes)}\n  because of {why}"
    for each in view.silent:
        yield f"{NAMES[each.kind]} on {each.where}: {each.fault}"


def view_document(view: PathView) -> dict[str, Any]:
    """Returns the document of `path --json`."""
    return {
        "ok": view.ok,
        "plain": view.plain,
        "fault": view.fault,
        "here": _path(view.here),
        "boot": _path(view.boot),
        "processes": [_process(each, view) for each in view.processes],
        "failing": [
            {"module": name, "processes": [each.name for each in processes]}
            for failing in (view.failing, view.failing_outside)
            for name, processes in failing.items()
        ],
        "conflicts": [
            {
                "distribution": each.name,
                "here": each.here,
                "there": [
                    {"version": version or None, "processes": list(processes)}
                    for version, processes in each.there.items()
                ],
            }
            for each in view.conflicts
        ],
        "shaping": [{"node": each.where, "source": each.source, "what": each.what} for each in view.shaping],
    }


def _process(each: Process, view: PathView) -> dict[str, Any]:
    return {
        "process": each.kind,
        "node": each.where,
        "fault": each.fault,
        "python": each.python or None,
        "as_boot": each not in view.astray if view.boot and each.fault is None else None,
        "path": _path(each.path),
        "modules": [
            {
                "name": name,
                "file": found.file,
                "entry": found.entry,
                "origin": found.origin,
                "others": list(found.others),
            }
            for name, found in (each.modules or {}).items()
        ],
    }


def _path(entries: Iterable[Entry]) -> list[dict[str, Any]]:
    return [{"path": each.path or None, "origin": each.origin} for each in entries]
