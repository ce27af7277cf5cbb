"""Arithmetic on dotted names: ancestors, and what a relative one means."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def with_ancestors(name: str) -> Iterator[str]:
    """Yield the packages of `name`, the outermost first, and `name` itself."""
    position = name.find(".")
    while position != -1:
        yield name[:position]
        position = name.find(".", position + 1)
    yield name


def absolute(name: str, package: str | None) -> str | None:
    """Return `name` without leading dots; None if it is above the top (`importlib.util.resolve_name`)."""
    if not name.startswith("."):
        return name
    rest = name.lstrip(".")
    parts = package.split(".") if package else []
    kept = len(parts) - (len(name) - len(rest)) + 1
    if kept < 1:
        return None
    return ".".join([*parts[:kept], rest] if rest else parts[:kept])
