"""`build`, `show` and `export`: bundles in the store."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, fields
from typing import TYPE_CHECKING

from raybundle.bundle.manifest import format_manifest
from raybundle.cli.output.documents import manifest_document, warning_document
from raybundle.cli.output.history import record_document, record_lines
from raybundle.cli.output.overview import ANY
from raybundle.cli.request import read_request, settings_of
from raybundle.formats.amounts import size_text
from raybundle.pipeline.exporting import export_bundle
from raybundle.pipeline.kuberay import Start, Wanted
from raybundle.pipeline.past.runs import find_record
from raybundle.publish.bundles import build_target, bytes_of, find_bundle, open_configured
from raybundle.resolve.driver.project import parse_directory

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from raybundle.cli.output.console import Console


def build(arguments: argparse.Namespace, console: Console) -> int:
    """Builds a bundle into the store and prints its digest."""
    request = read_request(arguments, console, runs=False)
    planned, stored, store = build_target(request, console, strict=arguments.strict)
    if not console.json_mode:
        if stored.name is not None:
            console.note(f"recorded as {stored.name}")
        console.data(stored.digest)
        return 0
    name, _, version = (stored.name or "").rpartition("@")
    console.document(
        {
            "bundle": stored.digest,
            "store": store.url,
            "files": len(planned.files),
            "bytes": planned.bytes,
            "uploaded_bytes": stored.uploaded_bytes,
            "timings": planned.timings.seconds,
            "warnings": [warning_document(warning) for warning in planned.resolution.warnings],
            **({"name": name, "version": int(version)} if stored.name else {}),
        }
    )
    return 0


def show(arguments: argparse.Namespace, console: Console) -> int:
    """Shows what is in a bundle of the store, or what is known of a run."""
    store = open_configured(settings_of(arguments), os.environ)
    record = find_record(store, arguments.ref)
    if record is not None:
        if console.json_mode:
            console.document({"store": store.url, "run": record_document(record)})
        else:
            for line in record_lines(record):
                console.data(line)
        return 0
    stored = find_bundle(store, arguments.ref)
    console.warnings(stored.warnings)
    manifest = stored.manifest
    if console.json_mode:
        console.document(
            {
                "bundle": stored.digest,
                "store": store.url,
                "manifest": json.loads(format_manifest(manifest)),
                **manifest_document(manifest),
                "bytes": bytes_of(store, stored),
            }
        )
        return 0
    summary = manifest_document(manifest)
    console.data(f"bundle   {stored.digest}")
    console.data(f"python   {summary['python']}")
    console.data(f"path     {', '.join(manifest.path)}")
    console.data(f"files    {summary['files']} ({size_text(summary['bytes'])})")
    for file in manifest.files:
        mode = "x" if file.executable else "-"
        console.data(f"  {mode} {file.size:>9} {file.sha256[:12]} {file.path}")
    for item in manifest.provided:
        console.data(f"  cluster provides {item.name} {item.version or ANY}")
    return 0


def export(arguments: argparse.Namespace, console: Console) -> int:
    """Prints the `runtime_env` of a bundle for plain Ray, or a resource of KubeRay; notes go to stderr."""
    start = Start(parse_directory(arguments.cwd or ""), tuple(arguments.rest))
    wanted = Wanted(**{each.name: getattr(arguments, each.name) for each in fields(Wanted)})
    found = export_bundle(arguments.ref, settings_of(arguments), os.environ, start, console, wanted=wanted)
    if console.json_mode:
        console.document(asdict(found))
    elif found.resource is not None:
        console.data(found.resource.removesuffix("\n"))
    else:
        console.data(json.dumps(found.runtime_env))
        console.note(f"entrypoint: {found.entrypoint}")
    return 0


COMMANDS: dict[str, Callable[[argparse.Namespace, Console], int]] = {
    "build": build,
    "show": show,
    "export": export,
}
