"""`bundles`, `tag` and `runs`: what a store has, under which names, and what ran."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from raybundle.cli.job import connecting_of
from raybundle.cli.output.history import row_document, run_rows
from raybundle.cli.output.table import rows_of
from raybundle.cli.request import settings_of
from raybundle.formats.amounts import counted
from raybundle.pipeline.past.runs import history, since
from raybundle.publish.bundles import open_configured
from raybundle.publish.catalogue import list_bundles, tag_bundle
from raybundle.publish.runs.listing import Wanted

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from raybundle.cli.output.console import Console
    from raybundle.publish.catalogue import Listed

_HEADER = ("BUNDLE", "CREATED", "TARGET", "PYTHON", "FILES", "LAYERS", "NAMES")
_SHOWN = len("sha256:") + 12
"""Characters of a digest in the table: more than a REF needs."""


def bundles(arguments: argparse.Namespace, console: Console) -> int:
    """Lists the bundles of the store, the oldest first; a name that points to one has a `*`."""
    store = open_configured(settings_of(arguments), os.environ)
    found = list_bundles(store)
    if console.json_mode:
        console.document({"store": store.url, "bundles": [_document(each) for each in found]})
        return 0
    for line in rows_of(_HEADER, [_row(each) for each in found]):
        console.data(line)
    console.note(f"{counted(len(found), 'bundle')} in {store.url}")
    return 0


def tag(arguments: argparse.Namespace, console: Console) -> int:
    """Makes a name point to a bundle."""
    store = open_configured(settings_of(arguments), os.environ)
    digest, version = tag_bundle(store, arguments.ref, arguments.tag, console.warn)
    if console.json_mode:
        console.document({"bundle": digest, "store": store.url, "name": arguments.tag, "version": version})
        return 0
    console.note(f"{arguments.tag} is {arguments.tag}@{version}, {digest}")
    return 0


def runs(arguments: argparse.Namespace, console: Console) -> int:
    """Lists the runs of the store, the oldest first."""
    wanted = Wanted(
        arguments.of_name, arguments.status, arguments.user, since(arguments.since), arguments.bundle
    )
    connecting = connecting_of(arguments, settings_of(arguments), console)
    store, rows = history(connecting, wanted, console, refreshed=arguments.refresh)
    if console.json_mode:
        console.document({"store": store.url, "runs": [row_document(row) for row in rows]})
        return 0
    for line in run_rows(rows):
        console.data(line)
    console.note(f"{counted(len(rows), 'run')} in {store.url}")
    return 0


def _row(bundle: Listed) -> tuple[str, ...]:
    created = bundle.created.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    names = " ".join(f"{each.name}@{each.version}{'*' if each.current else ''}" for each in bundle.names)
    return (
        bundle.digest[:_SHOWN],
        created,
        bundle.target or "damaged",
        bundle.python or "-",
        str(bundle.files),
        str(bundle.layers),
        names or "-",
    )


def _document(bundle: Listed) -> dict[str, Any]:
    return {
        "bundle": bundle.digest,
        "created": bundle.created.isoformat(timespec="seconds"),
        "names": [
            {"name": each.name, "version": each.version, "current": each.current} for each in bundle.names
        ],
        "target": bundle.target,
        "python": bundle.python,
        "files": bundle.files,
        "layers": bundle.layers,
    }


COMMANDS: dict[str, Callable[[argparse.Namespace, Console], int]] = {
    "bundles": bundles,
    "tag": tag,
    "runs": runs,
}
