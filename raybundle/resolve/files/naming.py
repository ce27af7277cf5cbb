"""Picks the files that travel and may name modules: configuration and pickles."""

# Why strings: paths here are the strings that `sys.path` holds; pathlib would cost ten times as much.
# ruff: noqa: PTH119, PTH120

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from raybundle.formats.pickles import is_pickle, is_text
from raybundle.model import TRACKED
from raybundle.resolve.files.data_files import package_data, within_limit, without_excluded
from raybundle.resolve.scan.strings import is_config, is_program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from raybundle.resolve.files.data_files import Candidate
    from raybundle.resolve.find.directories import Directories
    from raybundle.resolve.find.finder import FirstParty
    from raybundle.resolve.settings import ResolveSettings


def naming(candidates: Iterable[Candidate]) -> tuple[str, ...]:
    """Returns configuration and scripts of shells; and pickles, without those that travel with all data."""
    return tuple(
        sorted(
            each.file
            for each in candidates
            if is_config(os.path.basename(each.file)) or is_program(each.file) or _may_be_pickled(each)
        )
    )


def _may_be_pickled(each: Candidate) -> bool:
    """Returns whether a file may have pickles. Text of `include` is data: no edit of it resolves again."""
    text = is_text(each.file) and not each.reason.startswith("include ")
    return (text or is_pickle(each.file)) and each.reason != TRACKED


def tracked_pickles(candidates: Iterable[Candidate]) -> tuple[str, ...]:
    """Returns the pickles that travel because all data does."""
    return tuple(sorted(each.file for each in candidates if each.reason == TRACKED and is_pickle(each.file)))


def naming_beside(
    directories: Directories, project: Path, settings: ResolveSettings
) -> Callable[[FirstParty], Iterator[str]]:
    """Returns what yields the configuration files beside a module, and the pickles of a package."""
    configs: dict[str, list[str]] = {}

    def configs_in(directory: str) -> list[str]:
        if directory not in configs:
            names = directories.list(directory).files
            configs[directory] = [f"{directory}/{name}" for name in names if is_config(name)]
        return configs[directory]

    def beside(found: FirstParty) -> Iterator[str]:
        directory = os.path.dirname(found.file)
        if not found.is_package:
            yield from configs_in(directory)
            return
        data = list(package_data("", directory, "", directories))
        yield from (each.file for each in data if is_config(os.path.basename(each.file)))
        if "data" not in settings.rules_off:
            pickles = [each for each in data if is_pickle(each.file)]
            kept, _ = within_limit(without_excluded(pickles, project, settings.exclude))
            yield from (each.file for each in kept)

    return beside
