"""Drops the warnings that `include`, a traced run, or the calls of a function settle."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from raybundle.resolve.evaluate.name_values import ANY
from raybundle.resolve.find.finder import FirstParty
from raybundle.resolve.walk.warnings import HIDES, PICKLE_UNREAD, UNKNOWN_INSIDE

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from raybundle.model import Unknown, Warning
    from raybundle.resolve.walk.reached import Closure


def drop_settled(
    warnings: Iterable[Warning], closure: Closure, included: Collection[str], traced: Collection[str]
) -> Iterator[Warning]:
    """Yields `warnings` without those that the files of `include` or the traced modules settle."""
    imports_known = {
        each.found.file
        for name, each in closure.reached.items()
        if isinstance(each.found, FirstParty) and (each.found.file in included or name in traced)
    }
    declared = _only_declared(closure)
    commented = {(each.file, each.line) for each in closure.edges if each.rule == "comment"}
    sources = any(file.endswith(".py") for file in included)
    known = {
        (each.file, each.line, f"cannot know what `{each.text}` imports")
        for each in closure.unknown
        if (each.file, each.line) in commented
        or (str(each.file), each.line) in closure.settled
        or _is_declared(each, declared, sources=sources)
    }
    for warning in warnings:
        file = str(warning.file)
        if (
            (warning.file, warning.line, warning.text) in known
            or (warning.text.endswith(UNKNOWN_INSIDE) and file in imports_known)
            or (warning.text.startswith(PICKLE_UNREAD) and (sources or declared))
            or (HIDES in warning.text and file in included)
        ):
            continue
        yield warning


def _only_declared(closure: Closure) -> set[str]:
    """Returns the modules that only `include` adds: the user knows of an import that is not visible."""
    rules: dict[str, set[str]] = {}
    for edge in closure.edges:
        rules.setdefault(edge.imported, set()).add(edge.rule)
    return {name for name, found in rules.items() if found == {"include"}}


def _is_declared(unknown: Unknown, declared: Iterable[str], *, sources: bool) -> bool:
    """Returns whether `unknown` may import a declared module. A file run by its path has no pattern."""
    if not unknown.pattern:
        return sources
    form = re.escape(unknown.pattern).replace(re.escape(ANY), ".+")
    return any(re.fullmatch(form, name) for name in declared)
