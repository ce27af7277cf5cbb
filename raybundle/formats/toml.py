"""Reads TOML files with the parser of this Python, and reports damaged ones."""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from raybundle.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def loads(text: str) -> dict[str, Any]:
    """Parses `text`; raises ValueError if it is not TOML."""
    if sys.version_info >= (3, 11):
        import tomllib  # noqa: PLC0415 - 10 ms that a project without a file does not need
    else:
        import tomli as tomllib  # noqa: PLC0415
    return tomllib.loads(text)


parse = lru_cache(maxsize=8)(loads)
"""Like `loads`, for small files that several steps read. Callers must not change the document."""


def read_toml(file: Path) -> Mapping[str, Any]:
    """Returns the document in `file`; an empty one if the file does not exist.

    Raises:
        UsageError: the file cannot be read or is not TOML.
    """
    try:
        return parse(file.read_text("utf-8")) if file.exists() else {}
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read {file}: {error}") from error


def table_of(document: Mapping[str, Any], file: Path, *keys: str) -> dict[str, Any]:
    """Returns a copy of the table at `keys` in a document; an empty one if a key is absent.

    Raises:
        UsageError: the value of one of the keys is not a table.
    """
    found: Any = document
    for number, key in enumerate(keys, 1):
        found = found.get(key, {})
        if not isinstance(found, dict):
            raise UsageError(f"`{'.'.join(keys[:number])}` in {file} must be a table, and is {found!r}")
    return dict(found)


def value_at(document: object, keys: str) -> Any:
    """Returns the value at `keys`, such as `tool.uv`; None if a key is absent or is not in a table."""
    for key in keys.split("."):
        document = document.get(key) if isinstance(document, dict) else None
    return document
