"""Tells in a line each which installed plugins and extras are not bundled, and how to bundle one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from raybundle.formats.lists import first_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from raybundle.model import Resolution

_SHOWN = 5
"""Distributions that a line names; `plan --json` has all."""


def notes_of_staying(resolution: Resolution) -> Iterator[str]:
    """Yields the lines; only extras of distributions that first-party code imports itself count."""
    direct = {each.name for each in resolution.distributions if each.modules}
    extras = [each for each in resolution.optional if each.required_by.partition("[")[0] in direct]
    for kind, found in (("plugins", resolution.plugins), ("extras", extras)):
        if found:
            named = first_of([f"{each.name} for {each.required_by}" for each in found], _SHOWN)
            example = json.dumps([found[0].name])
            yield (
                f"installed {kind} that are not bundled: {named}; `include = {example}` in [tool.raybundle] "
                "bundles one"
            )
