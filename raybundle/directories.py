"""Finds a user's directories."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def user_directory(environ: Mapping[str, str], variable: str, default: str) -> Path:
    """Returns the directory in `variable`, or else `default` in the home directory.

    A relative path in the variable is ignored (XDG Base Directory Specification).
    """
    named = environ.get(variable, "")
    return Path(named) if named.startswith("/") else Path(environ.get("HOME", "~")).expanduser() / default
