"""`plan` and `why`: what would be built, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raybundle.cli.output.documents import plan_document
from raybundle.cli.output.overview import Overview, markdown_lines, text_lines, tracked_line
from raybundle.cli.request import environment_of, form_of, make_request, read_command
from raybundle.errors import BundleError
from raybundle.pipeline import plan

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from raybundle.cli.output.console import Console
    from raybundle.pipeline import Plan, Request


def plan_target(arguments: argparse.Namespace, console: Console) -> int:
    """Shows the bundle of a target, which is not stored."""
    form = form_of(arguments, console)
    environment = environment_of(arguments)
    command = read_command(arguments, console, environment.project, runs=False)
    request = make_request(arguments, command, environment)
    console.warnings(environment.warnings)
    overview = _overview(checked_plan(request, console, strict=arguments.strict), request)
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
    """Shows the imports by which something is in, else the nearest reason why it is not."""
    from raybundle.cli.commands.why import explain

    return explain(arguments, console)


def checked_plan(request: Request, console: Console, *, strict: bool) -> Plan:
    """Returns the plan of a request once its warnings were shown.

    Raises:
        BundleError: there are warnings, and `strict` makes them errors.
    """
    planned = plan(request)
    warnings = planned.resolution.warnings
    console.warnings(warnings)
    if tracked := tracked_line(planned):
        console.note(tracked)
    if strict and warnings:
        raise BundleError(f"{len(warnings)} warnings, and --strict makes them errors")
    return planned


COMMANDS: dict[str, Callable[[argparse.Namespace, Console], int]] = {"plan": plan_target, "why": why}
