"""`plan` and `why`: what would be built, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raybundle.cli.output.documents import plan_document
from raybundle.cli.output.overview import Overview, markdown_lines, text_lines
from raybundle.cli.request import form_of, read_request
from raybundle.planning import checked_plan
from raybundle.request import prepare

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from raybundle.cli.output.console import Console
    from raybundle.planning import Plan
    from raybundle.request import Request


def plan_target(arguments: argparse.Namespace, console: Console) -> int:
    """Shows the bundle of a target, which is not stored."""
    form = form_of(arguments, console)
    request = read_request(arguments, console, runs=False)
    console.warnings(request.warnings)
    overview = _overview(checked_plan(prepare(request), console, strict=arguments.strict), request)
    if form == "json":
        console.document(plan_document(overview))
        return 0
    for line in markdown_lines(overview) if form == "markdown" else text_lines(overview):
        console.data(line)
    return 0


def _overview(planned: Plan, request: Request) -> Overview:
    from raybundle.explain.left_behind import left_behind
    from raybundle.explain.sizes import by_package, by_root, widenings
    from raybundle.resolve.files.git_ignored import git_ignored

    resolution = planned.resolution
    sizes = {file.path: len(file.data) for file in planned.files}
    modules = [each.file for each in resolution.modules if each.file is not None]
    files = [*modules, *(each.file for each in resolution.data)]
    return Overview(
        planned,
        by_root(resolution, sizes),
        by_package(resolution, sizes),
        widenings(resolution, sizes),
        git_ignored(files, request.environ),
        left_behind(resolution.project, set(map(str, files)), request.environ),
    )


def why(arguments: argparse.Namespace, console: Console) -> int:
    """Shows the import chain that brings something in, or the nearest reason why it is not in."""
    from raybundle.cli.commands.why import show_why

    return show_why(arguments, console)


COMMANDS: dict[str, Callable[[argparse.Namespace, Console], int]] = {"plan": plan_target, "why": why}
