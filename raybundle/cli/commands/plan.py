"""`plan` and `why`: what would be built, and why."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from raybundle.cli.output.documents import plan_document
from raybundle.cli.output.overview import Overview, markdown_lines, text_lines
from raybundle.cli.request import form_of, read_request, settings_in
from raybundle.errors import UsageError
from raybundle.pipeline.diffing.last import since_last
from raybundle.planning import beyond_limits, checked_plan, refuse_beyond
from raybundle.request import prepare

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from raybundle.cli.output.console import Console
    from raybundle.planning import Plan
    from raybundle.request import Request


def plan_target(arguments: argparse.Namespace, console: Console) -> int:
    """Shows the bundle of a target, which is not stored."""
    form = form_of(arguments, console)
    if arguments.against is not None:
        return _against(arguments, form, console)
    if arguments.exit_code:
        raise UsageError(
            "`--exit-code` says whether a bundle differs", hint="name with what: `--against main`"
        )
    request = read_request(arguments, console, runs=False)
    console.warnings(request.warnings)
    overview = _overview(checked_plan(prepare(request), console, strict=arguments.strict), request)
    if form == "json":
        console.document(plan_document(overview))
        return 0
    for line in markdown_lines(overview) if form == "markdown" else text_lines(overview):
        console.data(line)
    if form == "text" and (news := since_last(request, overview.planned)) is not None:
        console.data(news)
    return 0


def _against(arguments: argparse.Namespace, form: str, console: Console) -> int:
    """Shows what differs from a commit, or from a bundle of the store."""
    from raybundle.cli.output import changes
    from raybundle.pipeline.comparing import compare, find_baseline

    requests = [_request(words, arguments, console) for words in _targets(arguments.rest)]
    baseline = find_baseline(arguments.against, requests)
    found = [compare(each, baseline, partial(settings_in, arguments)) for each in requests]
    if form == "json":
        console.document(changes.comparison_document(found, baseline))
    else:
        lines = changes.comparison_markdown if form == "markdown" else changes.comparison_lines
        for line in lines(found, baseline):
            console.data(line)
    refuse_beyond([line for each in found for line in beyond_limits(each.plan, each.request.settings)])
    return CHANGED if arguments.exit_code and any(each.differs for each in found) else 0


def _targets(words: Sequence[str]) -> list[list[str]]:
    """Returns the words of each target: `a.py -m pkg.main` names two."""
    found: list[list[str]] = []
    for word in words:
        if found and found[-1] == ["-m"]:
            found[-1].append(word)
        else:
            found.append([word])
    if not found:
        raise UsageError("no target: name scripts, or `-m` and a module")
    return found


def _request(words: list[str], arguments: argparse.Namespace, console: Console) -> Request:
    arguments.rest = words
    return read_request(arguments, console, runs=False)


def _overview(planned: Plan, request: Request) -> Overview:
    from raybundle.explain.left_behind import left_behind
    from raybundle.explain.sizes import by_package, by_root, widenings
    from raybundle.resolve.files.git_ignored import git_ignored

    resolution = planned.resolution
    sizes = {file.path: file.size for file in planned.files}
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


CHANGED = 10
"""Exit code of `plan --exit-code` if a bundle differs."""

COMMANDS: dict[str, Callable[[argparse.Namespace, Console], int]] = {"plan": plan_target, "why": why}
