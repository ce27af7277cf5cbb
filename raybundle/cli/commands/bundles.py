"""`build`, `show` and `export`: bundles in the store."""

from __future__ import annotations

import json
import os
from dataclasses import fields
from typing import TYPE_CHECKING

from raybundle.cli.output.documents import manifest_document, warning_document
from raybundle.cli.output.history import record_document, record_lines
from raybundle.cli.output.overview import ANY
from raybundle.cli.request import read_request, settings_of
from raybundle.formats.amounts import size_text
from raybundle.pipeline.exporting import export_bundle
from raybundle.pipeline.kuberay import Start, Wanted
from raybundle.pipeline.past.runs import find_record
from raybundle.publish.bundles import build_target, bytes_of, find_bundle, open_configured
from raybundle.publish.trust.keys import trusted_keys
from raybundle.publish.trust.signatures import list_signatures, manifest_of
from raybundle.resolve.driver.project import parse_directory

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Sequence

    from raybundle.cli.output.console import Console
    from raybundle.publish.stored import Stored
    from raybundle.publish.trust.signatures import Signature
    from raybundle.store.base import Store


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
    settings = settings_of(arguments)
    store = open_configured(settings, os.environ)
    if arguments.sbom:
        return _show_sbom(store, arguments.ref, console)
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
    keys = trusted_keys(settings) if settings.items("trusted-keys") else ()
    signatures = list_signatures(store, stored.digest, manifest_of(stored), keys)
    if console.json_mode:
        console.document(
            {
                "bundle": stored.digest,
                "store": store.url,
                "manifest": json.loads(manifest_of(stored)),
                **manifest_document(stored.manifest),
                "bytes": bytes_of(store, stored),
                "signatures": [{"key": each.key_id, "state": each.state} for each in signatures],
            }
        )
        return 0
    for line in _lines(stored, signatures):
        console.data(line)
    return 0


def _show_sbom(store: Store, ref: str, console: Console) -> int:
    from raybundle.reporting.sbom import sbom

    stored = find_bundle(store, ref)
    document = sbom(store, stored)
    if console.json_mode:
        console.document({"bundle": stored.digest, "store": store.url, "sbom": document})
    else:
        console.data(json.dumps(document, indent=2, ensure_ascii=False))
    return 0


def _lines(stored: Stored, signatures: Sequence[Signature]) -> Iterator[str]:
    manifest, summary = stored.manifest, manifest_document(stored.manifest)
    yield f"bundle   {stored.digest}"
    for each in signatures:
        yield f"signed   by key {each.key_id[:16]} ({each.state})"
    yield f"python   {manifest.python.text}"
    yield f"path     {', '.join(manifest.path)}"
    yield f"files    {summary['files']} ({size_text(summary['bytes'])})"
    for file in manifest.files:
        yield f"  {'x' if file.executable else '-'} {file.size:>9} {file.sha256[:12]} {file.path}"
    for item in manifest.provided:
        yield f"  cluster provides {item.name} {item.version or ANY}"


def export(arguments: argparse.Namespace, console: Console) -> int:
    """Prints the `runtime_env` of a bundle for plain Ray, or a resource of KubeRay; notes go to stderr."""
    start = Start(parse_directory(arguments.cwd or ""), tuple(arguments.rest))
    wanted = Wanted(**{each.name: getattr(arguments, each.name) for each in fields(Wanted)})
    found = export_bundle(arguments.ref, settings_of(arguments), os.environ, start, console, wanted=wanted)
    if console.json_mode:
        shown = ("bundle", "runtime_env", "entrypoint", "resource")
        console.document({name: getattr(found, name) for name in shown})
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
