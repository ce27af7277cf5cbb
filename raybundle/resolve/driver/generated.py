"""Scripts that are made for targets which are none: a notebook, a console script, a function."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from raybundle.model import NAMED

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from raybundle.model import Absent, DataFile, Edge, Missing, Module, Opened, Resolution, Unknown, Warning
    from raybundle.resolve.facts import Facts
    from raybundle.resolve.scan.scanner import Scanner

    Placed = TypeVar("Placed", Edge, Missing, Opened, Unknown, Warning)


@dataclass(frozen=True, slots=True)
class Generated:
    """A script that is on no disk, and what it was made of."""

    file: Path
    """Where it would lie: this decides its place in the archive and the directory that Python puts first."""
    content: bytes
    origin: Path
    lines: tuple[int, ...]
    """For each line of the script, the line of `origin` that it comes from."""
    warnings: tuple[Warning, ...] = ()
    files: tuple[Path, ...] = ()
    """For each line of the script, the file that it comes from; empty if that is always `origin`."""

    def place(self, line: int) -> tuple[Path, int]:
        """Returns file and line that a line of the script comes from."""
        return self.files[line - 1] if self.files else self.origin, self.lines[line - 1]


def relocated(resolution: Resolution, made: Generated) -> Resolution:
    """Returns `resolution` in which all that is said of the script is said of what it was made of."""
    return replace(
        resolution,
        modules=tuple(_module(each, made) for each in resolution.modules),
        edges=tuple(_placed(each, made) for each in resolution.edges),
        missing=tuple(_placed(each, made) for each in resolution.missing),
        not_found=tuple(_placed(each, made) for each in resolution.not_found),
        absent=tuple(_absent(each, made) for each in resolution.absent),
        data=tuple(_data(each, made, resolution.project) for each in resolution.data),
        unknown=tuple(_placed(each, made) for each in resolution.unknown),
        opened=tuple(_placed(each, made) for each in resolution.opened),
        warnings=(*made.warnings, *(_placed(each, made) for each in resolution.warnings)),
        obstacles=tuple(_placed(each, made) for each in resolution.obstacles),
    )


def _module(module: Module, made: Generated) -> Module:
    return replace(module, file=made.origin, content=made.content) if module.file == made.file else module


def _data(data: DataFile, made: Generated, project: Path) -> DataFile:
    """Returns a file whose reason names a line of the script with that of what it was made of."""
    if not data.is_named or not made.file.is_relative_to(project):
        return data
    start = f"named at {made.file.relative_to(project)}:"
    line = data.reason.removeprefix(start).removesuffix(NAMED)
    if not data.reason.startswith(start) or not line.isdigit():
        return data
    file, number = made.place(int(line))
    origin = file.relative_to(project) if file.is_relative_to(project) else file
    return replace(data, reason=f"named at {origin}:{number}{NAMED}")


def _absent(group: Absent, made: Generated) -> Absent:
    places = [
        made.place(int(line)) if file == made.file else (file, line)
        for file, line in zip(group.files, group.lines, strict=True)
    ]
    files, lines = tuple(file for file, _ in places), tuple(str(line) for _, line in places)
    return replace(group, files=files, lines=lines)


def _placed(value: Placed, made: Generated) -> Placed:
    if value.file != made.file:
        return value
    file, line = made.place(value.line) if value.line else (made.origin, value.line)
    return replace(value, file=file, line=line)


def facts_of(scanner: Scanner, made: Generated | None) -> Callable[[str], Facts]:
    """Returns what gives the facts of a file; those of a made script from its content."""
    if made is None:
        return scanner.facts
    from raybundle.resolve.scan.scan import scan  # noqa: PLC0415 - a warm start scans nothing

    return lambda file: (
        scan(made.content, file, scanner.environment) if file == str(made.file) else scanner.facts(file)
    )


def source_of(scanner: Scanner, made: Generated | None) -> Callable[[str], bytes]:
    """Returns what gives the bytes of a file, or those of a made script."""
    return lambda file: made.content if made is not None and file == str(made.file) else scanner.read(file)


def mentions_of(scanner: Scanner, made: Generated | None) -> Callable[[str, str], bool]:
    """Returns what claims that the source of a file has a word."""
    source = source_of(scanner, made)
    return lambda file, word: re.search(rb"\b" + re.escape(word.encode()) + rb"\b", source(file)) is not None
