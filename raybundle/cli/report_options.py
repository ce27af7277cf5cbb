"""The options of `report`, besides those of all commands that take a target."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Callable


def add_report(add: Callable[[str, str, str], ArgumentParser]) -> ArgumentParser:
    """Adds the command and returns its parser."""
    text = "Write a bundle, or a run of it, as one page for a browser: sizes, imports, path, changes, time."
    report = add("report", text, "report [options] TARGET|REF|RUN -o FILE.html")
    report.add_argument("words", nargs="+", metavar="TARGET|REF|RUN")
    report.add_argument("-m", dest="module_target", action="store_true", help="TARGET is a module")
    report.add_argument("-o", "--output", required=True, metavar="FILE", help="write the page to this file")
    since = "show what changed since a commit, or since a bundle of the store"
    report.add_argument("--against", metavar="GIT_REF|REF", help=since)
    return report
