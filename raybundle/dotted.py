"""Finds the ancestors of a dotted name, and the absolute name for a relative one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def with_ancestors(name: str) -> Iterator[str]:
    """Yields the packages of `name`, the outermost first, and then `name` itself."""
    position = name.find(".")
    while position != -1:
        yield name[:position]
        position = name.find(".", position + 1)
    yield name


def absolute(name: str, package: str | None) -> str | None:
    """Returns the absolute name; None if `name` points above the top package (`importlib.util.resolve_name`).

    Args:
        name: absolute, or relative to `package` with leading dots.
        package: the importing package; None for a module that is not in a package.
    """
    if not name.startswith("."):
        return name
    rest = name.lstrip(".")
    parts = package.split(".") if package else []
    kept = len(parts) - (len(name) - len(rest)) + 1
    if kept < 1:
        return None
    return ".".join([*parts[:kept], rest] if rest else parts[:kept])
