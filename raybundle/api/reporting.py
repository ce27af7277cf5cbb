"""`report`: a bundle or a run as one page for a browser."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from raybundle.api.keywords import PathText, ReportKeywords, require, takes
from raybundle.api.reading import connecting_of, given_in, heard_of, request_of
from raybundle.errors import UsageError
from raybundle.pipeline.viewing.story import view_stored, view_target
from raybundle.reporting.report import Wanted, report_stored, report_target

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from raybundle.reporting.report import Report


@takes(ReportKeywords)
def report(target: PathText | None, output: PathText, **options: Unpack[ReportKeywords]) -> Report:
    """Writes a target, a bundle of the store or a run as one page for a browser.

    Args:
        target: as for `plan`; None with `ref`.
        output: the file to write; one that is there is replaced.
        options: as `raybundle.api.keywords.ReportKeywords` lists them.

    Raises:
        UsageError: an argument or a setting is wrong, or the library that draws is not installed.
        BundleError: the target cannot be bundled.
        StoreError: the store has no such bundle, or cannot be used.
        ClusterError: the cluster cannot be reached, with `nodes`.
    """
    require("output", output, PathText)
    ref, heard = options.get("ref"), heard_of(options)
    wanted = Wanted(Path(os.fspath(output)), options.get("against"), os.environ)
    nodes = bool(options.get("nodes"))
    if (target is None) == (ref is None):
        raise UsageError("a report is of a target or of a `ref`: give one of them")
    if target is None:
        settings = given_in(options).settings()
        if nodes:
            view = view_stored(str(ref), connecting_of(options, settings, heard), heard, None)
            wanted = replace(wanted, view=view)
        return report_stored(str(ref), wanted, settings, heard)
    request, environment = request_of(target, (), options)
    strict = bool(options.get("strict"))
    if nodes:
        connecting = connecting_of(options, request.settings, heard)
        view = view_target(request, environment, connecting, heard, None, strict=strict)
        wanted = replace(wanted, view=view)
    return report_target(request, wanted, given_in(options).settings, heard, strict=strict)
