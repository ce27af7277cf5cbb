"""Bundles: `plan`, `why`, `trace`, `build`, `show`, `export`, and the `settings` that they heed."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from raybundle.api.keywords import (
    BuildKeywords,
    BundleKeywords,
    ExportKeywords,
    PathText,
    RuntimeEnvKeywords,
    StoreKeywords,
    TraceKeywords,
    plain,
    require,
    takes,
)
from raybundle.api.reading import given_in, heard_of, request_of
from raybundle.errors import UsageError
from raybundle.functions.loaded import found_elsewhere, other_files, other_versions
from raybundle.pipeline.comparing import compare as compared
from raybundle.pipeline.comparing import find_baseline
from raybundle.pipeline.exporting import export_bundle
from raybundle.pipeline.kuberay import Start, Wanted
from raybundle.pipeline.reasoning import explain
from raybundle.pipeline.tracing import record
from raybundle.planning import checked_plan
from raybundle.publish.bundles import build_target, find_bundle, open_configured
from raybundle.reporting.sbom import sbom as parts_of
from raybundle.request import prepare
from raybundle.resolve.driver.project import parse_directory

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from raybundle.config import Setting
    from raybundle.model import Warning
    from raybundle.pipeline.comparing import Comparison
    from raybundle.pipeline.kuberay import Export
    from raybundle.pipeline.reasoning import Why
    from raybundle.pipeline.tracing import Trace
    from raybundle.planning import Plan
    from raybundle.publish.stored import Stored


@takes(BundleKeywords)
def plan(target: PathText, arguments: Sequence[str] = (), **options: Unpack[BundleKeywords]) -> Plan:
    """Returns the bundle of a target, which is not stored.

    Args:
        target: a script, a directory with a `__main__.py`, a notebook, the name of a console script of the
            project, or, with `module=True`, the name of a module.
        arguments: of the job; files of the project that they name travel.
        options: as `raybundle.api.keywords.BundleKeywords` lists them.

    Raises:
        UsageError: an argument or a setting is wrong.
        BundleError: the target cannot be bundled.
    """
    request, _ = request_of(target, arguments, options)
    return checked_plan(prepare(request), heard_of(options), strict=options.get("strict", False))


@takes(BuildKeywords)
def build(target: PathText, arguments: Sequence[str] = (), **options: Unpack[BuildKeywords]) -> Stored:
    """Returns the bundle of a target, once it is in the store.

    Args:
        target: as for `plan`.
        arguments: as for `plan`.
        options: as `raybundle.api.keywords.BuildKeywords` lists them.

    Raises:
        UsageError: an argument or a setting is wrong.
        BundleError: the target cannot be bundled.
        StoreError: the store cannot be used.
    """
    request, _ = request_of(target, arguments, options)
    _, stored, _ = build_target(request, heard_of(options), strict=options.get("strict", False))
    return stored


@takes(BundleKeywords)
def compare(
    targets: Sequence[PathText], against: str, **options: Unpack[BundleKeywords]
) -> tuple[Comparison, ...]:
    """Returns, for each target, its bundle now and how it differs from a commit or from a stored bundle.

    Args:
        targets: each as for `plan`.
        against: a revision of the project's repository, or a bundle of the store.
        options: as `raybundle.api.keywords.BundleKeywords` lists them.

    Raises:
        UsageError: an argument or a setting is wrong, or `against` is nothing that there is.
        BundleError: a target cannot be bundled now.
    """
    require("targets", targets, Sequence[PathText])
    require("against", against, str)
    requests = [request_of(each, (), options)[0] for each in targets]
    if not requests:
        raise UsageError("`targets` is empty")
    baseline = find_baseline(against, requests)
    return tuple(compared(each, baseline, given_in(options).settings) for each in requests)


@takes(BundleKeywords)
def why(target: PathText, word: str, **options: Unpack[BundleKeywords]) -> Why:
    """Returns why something is in the bundle of a target, or the nearest reason why it is not.

    Args:
        target: as for `plan`.
        word: a module, a prefix such as `pkg.*`, a file or a distribution.
        options: as `raybundle.api.keywords.BundleKeywords` lists them.

    Raises:
        UsageError: an argument or a setting is wrong.
        BundleError: the target cannot be resolved.
    """
    require("word", word, str)
    request, _ = request_of(target, (), options)
    return explain(request, word)


@takes(TraceKeywords)
def trace(target: PathText, arguments: Sequence[str] = (), **options: Unpack[TraceKeywords]) -> Trace:
    """Runs a target here, and returns what it imported and opened, once that is in the project's lock file.

    Args:
        target: as for `plan`.
        arguments: of the run.
        options: as `raybundle.api.keywords.TraceKeywords` lists them.

    Raises:
        UsageError: an argument or a setting is wrong.
        BundleError: the run showed nothing, or the target cannot be resolved.
    """
    request, _ = request_of(target, arguments, options)
    keep, strict = bool(options.get("keep")), bool(options.get("strict"))
    return record(request, heard_of(options), keep=keep, strict=strict)


@takes(StoreKeywords)
def show(ref: str, **options: Unpack[StoreKeywords]) -> Stored:
    """Returns a bundle of the store.

    Args:
        ref: the bundle's digest, the start of it, a name, or the id of a run.
        options: as `raybundle.api.keywords.StoreKeywords` lists them.

    Raises:
        UsageError: an argument or a setting is wrong.
        StoreError: the store has no such bundle, or cannot be used.
    """
    require("ref", ref, str)
    stored = find_bundle(open_configured(given_in(options).settings(), os.environ), ref)
    heard_of(options).warnings(stored.warnings)
    return stored


@takes(StoreKeywords)
def sbom(ref: str, **options: Unpack[StoreKeywords]) -> dict[str, Any]:
    """Returns the parts list of a bundle of the store, as a CycloneDX document.

    Args:
        ref: as for `show`.
        options: as `raybundle.api.keywords.StoreKeywords` lists them.

    Raises:
        UsageError: an argument or a setting is wrong, or cyclonedx-python-lib is not installed.
        StoreError: the store has no such bundle, or cannot be used.
    """
    require("ref", ref, str)
    store = open_configured(given_in(options).settings(), os.environ)
    return parts_of(store, find_bundle(store, ref))


@takes(ExportKeywords)
def export(ref: str, arguments: Sequence[str] = (), **options: Unpack[ExportKeywords]) -> Export:
    """Returns the `runtime_env` and the entrypoint with which plain Ray runs a bundle of the store.

    Args:
        ref: as for `show`.
        arguments: of the job.
        options: as `raybundle.api.keywords.ExportKeywords` lists them.

    Raises:
        UsageError: an argument or a setting is wrong, or nodes cannot read from the store.
        StoreError: the store has no such bundle, or cannot be used.
    """
    require("ref", ref, str)
    require("arguments", arguments, Sequence[str])
    start = Start(parse_directory(options.get("cwd") or ""), tuple(arguments))
    given = {each.name: plain(options.get(each.name)) for each in fields(Wanted)}
    wanted = Wanted(**{name: value for name, value in given.items() if value is not None})
    return export_bundle(
        ref, given_in(options).settings(), os.environ, start, heard_of(options), wanted=wanted
    )


@takes(StoreKeywords)
def settings(**options: Unpack[StoreKeywords]) -> dict[str, Setting]:
    """Returns the settings that are set, each with its value and where it comes from; nothing is hidden.

    Args:
        options: as `raybundle.api.keywords.StoreKeywords` lists them.

    Raises:
        UsageError: a setting is wrong.
    """
    return dict(given_in(options).settings().found)


@takes(RuntimeEnvKeywords)
def runtime_env(target: PathText | None = None, **options: Unpack[RuntimeEnvKeywords]) -> dict[str, Any]:
    """Returns the `runtime_env` by which workers of a driver outside the Jobs API have a bundle.

    Modules that this process has from elsewhere than its workers are warned about, with Python's `warnings`
    unless `notify` takes them.

    Args:
        target: as for `plan`; it is built. None with `ref`.
        options: as `raybundle.api.keywords.RuntimeEnvKeywords` lists them.

    Raises:
        UsageError: an argument or a setting is wrong, or nodes cannot read from the store.
        BundleError: the target cannot be bundled.
        StoreError: the store has no such bundle, or cannot be used.
    """
    ref, heard = options.get("ref"), heard_of(options)
    differing: tuple[Warning, ...] | None = None
    if (target is None) == (ref is None):
        raise UsageError("a runtime_env is of a target or of a `ref`: give one of them")
    settings = given_in(options).settings()
    if target is not None:
        request, _ = request_of(target, (), options)
        settings = request.settings
        planned, stored, _ = build_target(request, heard, strict=bool(options.get("strict")))
        ref, differing = stored.digest, found_elsewhere(planned.resolution)
    found = export_bundle(str(ref), settings, os.environ, Start("", ()), heard, wanted=Wanted())
    if differing is None:
        differing = other_files(found.bundle, found.manifest)
    for each in (*differing, *other_versions(found.manifest)):
        if options.get("notify"):
            heard.warnings([each])
        else:
            warnings.warn(f"{each.text} (hint: {each.hint})", stacklevel=3)
    return dict(found.runtime_env)
