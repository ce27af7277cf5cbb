"""`plan` and `why`: what would be built, and why."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from raybundle.cli.documents import plan_document, target_text
from raybundle.cli.request import make_request, parse_target_alone
from raybundle.errors import BundleError
from raybundle.pipeline import plan

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from raybundle.cli.console import Console
    from raybundle.model import Resolution
    from raybundle.pipeline import Plan, Request

WIDEST = 50
"""Modules that the text of `plan` lists one by one; `--json` has all."""


def plan_target(arguments: argparse.Namespace, console: Console) -> int:
    """Shows the bundle of a target, which is not stored."""
    target = parse_target_alone(arguments.rest)
    planned = checked_plan(make_request(arguments, target), console, strict=arguments.strict)
    if console.json_mode:
        console.document(plan_document(planned))
    else:
        _print_plan(planned, console)
    return 0


def why(arguments: argparse.Namespace, console: Console) -> int:
    """Shows the imports by which something is in, else the nearest reason why it is not."""
    from raybundle.cli.explaining import explain

    return explain(arguments, console)


def checked_plan(request: Request, console: Console, *, strict: bool) -> Plan:
    """Returns the plan of a request once its warnings were shown.

    Raises:
        BundleError: there are warnings, and `strict` makes them errors.
    """
    planned = plan(request)
    warnings = planned.resolution.warnings
    console.warnings(warnings)
    if strict and warnings:
        raise BundleError(f"{len(warnings)} warnings, and --strict makes them errors")
    return planned


def _print_plan(planned: Plan, console: Console) -> None:
    resolution = planned.resolution
    console.data(f"bundle   {planned.digest}")
    console.data(f"target   {target_text(resolution.target)}")
    console.data(f"python   {planned.manifest.python.implementation} {planned.manifest.python.minor}")
    console.data(f"files    {len(planned.files)} ({size_text(planned.bytes)})")
    console.data("path")
    directories = {root.symbol: str(root.directory) for root in resolution.roots}
    for symbol in resolution.path:
        console.data(f"  {symbol:<20} {directories.get(symbol, '')}".rstrip())
    console.data("modules")
    for line in _module_lines(resolution):
        console.data(f"  {line}")
    if resolution.not_imported is not None:
        console.data(f"traced   {trace_line(resolution)}")
    if resolution.data:
        console.data("data")
    for data in resolution.data:
        console.data(f"  {data.path}  ({data.reason})")
    if resolution.distributions:
        console.data("distributions")
    for item in resolution.distributions:
        console.data(f"  {item.name} {item.version}  ({item.provided_by}, {size_text(item.bytes)})")


def trace_line(resolution: Resolution) -> str:
    """Returns in a line how statements and traced runs differ."""
    shown = sum(module.found_by == "traced" for module in resolution.modules)
    unused = len(resolution.not_imported or ())
    return f"{shown} modules that no statement shows; {unused} of statements that no run imported"


def _module_lines(resolution: Resolution) -> list[str]:
    """Returns a line for each module, or for each top-level package when there are many."""
    if len(resolution.modules) <= WIDEST:
        return [
            f"{module.name:<32} {module.path or 'namespace'}  ({module.found_by})"
            for module in resolution.modules
        ]
    counts: dict[str, int] = defaultdict(int)
    for module in resolution.modules:
        counts[module.name.partition(".")[0]] += 1
    return [f"{name:<32} {count} modules" for name, count in sorted(counts.items())]


def size_text(size: int) -> str:
    """Returns a number of bytes for people."""
    amount = float(size)
    for unit in ("B", "KiB", "MiB"):
        if amount < 1024:  # noqa: PLR2004 - a KiB
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} GiB"


COMMANDS: dict[str, Callable[[argparse.Namespace, Console], int]] = {"plan": plan_target, "why": why}
