"""`gc`: what in a store nothing leads to."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from raybundle.cli.output.table import rows_of
from raybundle.cli.request import settings_of
from raybundle.formats.amounts import counted, size_text
from raybundle.pipeline.verifying import gc as collected

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from raybundle.cli.output.console import Console
    from raybundle.publish.gc.collect import Collected

_HEADER = ("KIND", "NUMBER", "OBJECTS", "SIZE")


def gc(arguments: argparse.Namespace, console: Console) -> int:
    """Shows what nothing leads to, or removes it."""
    found = collected(
        settings_of(arguments),
        os.environ,
        delete=arguments.delete,
        grace=arguments.grace,
        forget=arguments.forget_runs_older_than,
        keep_runs=arguments.keep_runs,
    )
    if console.json_mode:
        console.document(_document(found))
        return 0
    some = [each for each in found.amounts if each.units]
    cells = [(each.kind, f"{each.units:,}", f"{each.objects:,}", size_text(each.bytes)) for each in some]
    for line in rows_of(_HEADER, cells) if cells else ():
        console.data(line)
    for key in found.unknown:
        console.warn(f"{key} in {found.store} is not an object of a store of format 1: it stays")
    console.note(_summary(found))
    return 0


def _summary(found: Collected) -> str:
    objects = sum(each.objects for each in found.amounts)
    amount = f"{counted(objects, 'object')} ({size_text(sum(each.bytes for each in found.amounts))})"
    total = f"{counted(found.objects, 'object')} ({size_text(found.bytes)}) of {found.store}"
    if found.deleted:
        spared = f"; {counted(found.spared, 'object')} came into use meanwhile" if found.spared else ""
        return f"removed {amount} of the {total}{spared}"
    return f"{amount} of the {total} can be removed" + ("; `--delete` removes them" if objects else "")


def _document(found: Collected) -> dict[str, Any]:
    return {
        "store": found.store,
        "deleted": found.deleted,
        "objects": found.objects,
        "bytes": found.bytes,
        "removed": {
            each.kind: {"number": each.units, "objects": each.objects, "bytes": each.bytes}
            for each in found.amounts
        },
        "bundles": list(found.bundles),
        "runs": list(found.runs),
        "spared": found.spared,
        "unknown": list(found.unknown),
    }


COMMANDS: dict[str, Callable[[argparse.Namespace, Console], int]] = {"gc": gc}
