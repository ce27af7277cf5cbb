"""`pull`, `verify`, `check` and `store probe`: what a store has and does, and what it should."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from raybundle.cli.output.changes import change_lines, changes_document
from raybundle.cli.output.table import rows_of
from raybundle.cli.request import given_of, settings_of
from raybundle.errors import BundleError, StoreError
from raybundle.formats.amounts import counted, size_text
from raybundle.pipeline import verifying
from raybundle.publish.content.checking import lines_of
from raybundle.publish.content.pulling import pull as pulled

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

    from raybundle.cli.output.console import Console
    from raybundle.pipeline.changes import Changes


def pull(arguments: argparse.Namespace, console: Console) -> int:
    """Unpacks a bundle and prints its digest."""
    settings, directory = settings_of(arguments), Path(arguments.directory)
    found = pulled(arguments.ref, directory, settings, os.environ, console, layers=arguments.layers)
    if console.json_mode:
        console.document(
            {
                "bundle": found.digest,
                "directory": str(found.directory.absolute()),
                "files": found.files,
                "bytes": found.bytes,
            }
        )
        return 0
    console.data(found.digest)
    console.note(f"{counted(found.files, 'file')} ({size_text(found.bytes)}) in {directory}")
    return 0


def verify(arguments: argparse.Namespace, console: Console) -> int:
    """Reads everything that a bundle reaches; the exit code is 3 if something is wrong."""
    found = verifying.verify(arguments.ref, given_of(arguments), rebuild=arguments.rebuild)
    code = 0 if found.ok else BundleError.exit_code
    parts, changes = found.verified.parts, found.changes
    if console.json_mode:
        console.document(
            {
                "bundle": found.digest,
                "store": found.store,
                "ok": found.ok,
                "bytes": found.verified.bytes,
                "objects": [
                    {"key": each.key, "state": each.state, "bytes": each.bytes, "fault": each.fault}
                    for each in parts
                ],
                "rebuilt": None if changes is None else changes_document(changes),
            }
        )
        return code
    for each in parts:
        if each.state != "ok":
            console.data(f"{each.state}  {each.key}: {each.fault}")
    for line in () if changes is None else _rebuilt(changes):
        console.data(line)
    console.note(f"{found.digest}: {counted(len(parts), 'object')}, {size_text(found.verified.bytes)} read")
    return code


def _rebuilt(changes: Changes) -> Iterator[str]:
    if changes.differs:
        yield f"differs  the working tree gives {changes.after.digest}"
        yield from change_lines(changes)


def check(arguments: argparse.Namespace, console: Console) -> int:
    """Walks the store; the exit code is 4 if a rule is broken."""
    url, found = verifying.check(settings_of(arguments), os.environ, read_data=arguments.read_data)
    code = StoreError.exit_code if found.faults else 0
    if console.json_mode:
        console.document(
            {
                "store": url,
                "ok": not found.faults,
                "objects": found.objects,
                "bytes": found.bytes,
                "read_bytes": found.read_bytes,
                "findings": [each._asdict() for each in found.findings],
            }
        )
        return code
    for line in lines_of(found):
        console.data(line)
    console.note(f"{url}: {counted(found.objects, 'object')}, {size_text(found.bytes)}")
    return code


def store(arguments: argparse.Namespace, console: Console) -> int:
    """Tries what the store does; the exit code is 4 if it lacks a property."""
    if arguments.url is not None:
        arguments.store = arguments.url
    found = verifying.probe(settings_of(arguments), os.environ)
    code = 0 if found.ok else StoreError.exit_code
    if console.json_mode:
        properties = [
            {"name": each.name, "holds": each.holds, "found": each.found, "follows": each.follows or None}
            for each in found.properties
        ]
        console.document(
            {"store": found.store, "ok": found.ok, "properties": properties, "left": list(found.left)}
        )
        return code
    rows = [(each.name, "yes" if each.holds else "no", each.found) for each in found.properties]
    for line in rows_of(("PROPERTY", "HOLDS", "FOUND"), rows):
        console.data(line)
    for each in found.properties:
        if not each.holds:
            console.data(f"without `{each.name}`: {each.follows}")
    for key in found.left:
        console.data(f"left: {key}")
    console.note(found.store)
    return code


COMMANDS: dict[str, Callable[[argparse.Namespace, Console], int]] = {
    "pull": pull,
    "verify": verify,
    "check": check,
    "store": store,
}
