"""Finds the file that a user may have meant."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_SUFFIXES = (".py", ".ipynb")


def nearest(name: str, directory: Path) -> str:
    """Returns the end of a hint that names the file in `directory` most like `name`; else nothing."""
    import difflib  # noqa: PLC0415 - start-up: only an error asks for it

    base, _, _ = name.rpartition("/")
    folder = directory / base
    if not folder.is_dir():
        return ""
    names = [each.name for each in folder.iterdir() if each.suffix in _SUFFIXES]
    found = difflib.get_close_matches(name.rpartition("/")[2], names, n=1)
    return "".join(
        f"; did you mean `{base}/{each}`?" if base else f"; did you mean `{each}`?" for each in found
    )
