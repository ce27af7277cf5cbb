"""Says where a user's directories are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def user_directory(environ: Mapping[str, str], variable: str, default: str) -> Path:
    """Returns a directory of the user; a relative one is no setting (XDG Base Directory Specification)."""
    named = environ.get(variable, "")
    return Path(named) if named.startswith("/") else Path(environ.get("HOME", "~")).expanduser() / default
