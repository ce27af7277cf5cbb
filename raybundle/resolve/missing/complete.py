"""Refuses a resolution in which imports resolve nowhere, or whose distributions cannot travel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raybundle.errors import BundleError, Place, UnresolvedImportError
from raybundle.resolve.driver.layout import renamed_packages
from raybundle.resolve.find.directories import Directories
from raybundle.resolve.missing.absent import hint_of_missing
from raybundle.resolve.missing.elsewhere import roots_hint
from raybundle.resolve.walk.warnings import PY_MODULES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from raybundle.model import Missing, Resolution, Warning
    from raybundle.resolve.missing.elsewhere import Remedy


def require_complete(resolution: Resolution, remedy: Remedy | None = None) -> None:
    """Refuses a resolution in which imports resolve nowhere, or whose distributions cannot travel.

    The hint names the roots of `remedy`, with which more imports resolve.

    Raises:
        UnresolvedImportError: lists all that is absent, with file and line.
        BundleError: the same, if only distributions are at fault.
    """
    lines = [*_missing(resolution), *(_obstacle(each, resolution) for each in resolution.obstacles)]
    hints = list(dict.fromkeys(each.hint for each in resolution.obstacles if each.hint))
    if resolution.missing:
        hints[:0] = _hints(resolution, remedy)
    if lines:
        kind = UnresolvedImportError if resolution.missing else BundleError
        places = [
            Place(str(each.file), each.line, f"cannot find `{each.name}`") for each in resolution.missing
        ]
        raise kind("\n".join(lines), hint="\n".join(hints), places=places)


def _missing(resolution: Resolution) -> Iterator[str]:
    """Yields a line for each package that is absent: its first import, and how many there are."""
    groups: dict[str, list[Missing]] = {}
    for each in resolution.missing:
        groups.setdefault(each.absent, []).append(each)
    for first, *others in groups.values():
        places = {(each.file, each.line) for each in others} - {(first.file, first.line)}
        more = f" and {len(places)} more place{'s' if len(places) > 1 else ''}" if places else ""
        yield f"cannot find `{first.name}`, imported at {_place(first.file, first.line, resolution)}{more}"


def _obstacle(each: Warning, resolution: Resolution) -> str:
    if each.file is None:
        return each.text
    how = "given" if each.text == PY_MODULES else "imported"
    return f"{each.text}, {how} at {_place(each.file, each.line, resolution)}"


def _hints(resolution: Resolution, remedy: Remedy | None) -> Iterator[str]:
    settled = remedy.settled if remedy else frozenset()
    if remedy and settled:
        yield roots_hint(remedy, resolution.project)
    left = [each for each in resolution.missing if each.name not in settled]
    renamed = renamed_packages(str(resolution.project), Directories()) if left else {}
    for name in sorted({each.name.partition(".")[0] for each in left} & renamed.keys()):
        folder, setting = renamed[name]
        yield (
            f"{setting} of pyproject.toml installs `{folder}` as `{name}`: rename the folder to `{name}`, or "
            "install the project without --editable"
        )
    left = [each for each in left if each.name.partition(".")[0] not in renamed]
    if left:
        yield hint_of_missing(left, resolution.interpreter)


def _place(file: Path, line: int | None, resolution: Resolution) -> str:
    project = resolution.project
    return f"{file.relative_to(project) if file.is_relative_to(project) else file}:{line}"
