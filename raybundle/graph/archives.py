"""Judges zip archives on the path: modules in them are not found, which matters where one is needed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from raybundle.errors import BundleError
from raybundle.model import Warning

if TYPE_CHECKING:
    from collections.abc import Iterable

    from raybundle.graph.find import Finder
    from raybundle.model import Missing

_HINT = "unpack it and declare the directory in `roots` of [tool.raybundle]"


def archives_on(finder: Finder, missing: Iterable[Missing]) -> list[Warning]:
    """Return a warning for each archive on the path.

    Raises:
        BundleError: an archive holds a module that was found nowhere else.
    """
    warnings = []
    wanted = {each.name.partition(".")[0] for each in missing}
    for entry in finder.path:
        if finder.is_first_party(entry) and Path(entry).is_file():
            needed = sorted(wanted & _top_level_names(entry))
            if needed:
                raise BundleError(f"`{needed[0]}` is in the archive {entry}, which cannot travel", hint=_HINT)
            text = f"{entry} on the path is an archive: modules in it are not looked for"
            warnings.append(Warning(text, Path(entry), None, _HINT))
    return warnings


def _top_level_names(archive: str) -> set[str]:
    import zipfile  # noqa: PLC0415 - start-up: an archive on the path is rare

    try:
        with zipfile.ZipFile(archive) as opened:
            return {name.partition("/")[0].removesuffix(".py") for name in opened.namelist()}
    except (OSError, zipfile.BadZipFile):
        return set()
