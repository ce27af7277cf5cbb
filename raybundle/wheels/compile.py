"""Resolves requirements for the nodes with `uv pip compile`."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from raybundle.wheels.uv.pinned_indexes import name_of
from raybundle.wheels.uv.run import NoSolutionError, run_uv

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from raybundle.wheels.order import Order
    from raybundle.wheels.uv.pinned_indexes import PinnedIndexes


@dataclass(frozen=True, slots=True)
class UvSettings:
    """How uv is run."""

    python: str
    """Any Python; it runs nothing that is fetched."""
    environ: Mapping[str, str]
    project: Path
    directory: Path
    """Keeps what was fetched."""
    clock: Callable[[], int]
    """Dates its use, in nanoseconds since the epoch."""
    pinned: PinnedIndexes
    """Distributions that have an index of their own."""


def options_of(order: Order) -> tuple[str, ...]:
    """Returns the options for the nodes, and for wheels only."""
    platform = order.nodes.platform.uv
    return ("--python-version", order.version, "--python-platform", platform, "--only-binary", ":all:")


def environ_of(order: Order, uv: UvSettings) -> dict[str, str]:
    """Returns the variables for uv."""
    return {**uv.environ, **order.nodes.platform.variables}


def names_of(requirements: Iterable[str]) -> set[str]:
    """Returns the normalised names of the requirements that an index is asked for."""
    return {name_of(each) for each in requirements if " @ " not in each}


def with_indexes(requirements: Sequence[str], words: Sequence[str], order: Order, uv: UvSettings) -> str:
    """Returns the requirements with exact versions, each from its own index.

    uv honours the index of a direct requirement, and asks any index for an indirect one (measured). So if a
    distribution with an index of its own is in the answer, or in the reason for none, it becomes direct.
    """
    asked = set(map(name_of, requirements))
    try:
        text = compiled(requirements, words, order, uv)
        more = uv.pinned.sources.keys() & names_of(text.splitlines()) - asked
    except NoSolutionError as error:
        more = uv.pinned.named_in(str(error)) - asked
        if not more:
            raise
    return with_indexes([*requirements, *sorted(more)], words, order, uv) if more else text


def compiled(requirements: Sequence[str], words: Sequence[str], order: Order, uv: UvSettings) -> str:
    """Returns requirements with exact versions, for the nodes alone.

    Args:
        requirements: what to resolve.
        words: further options for uv.
        order: has the Python of the nodes.
        uv: how to run it.

    Raises:
        NoSolutionError: there are no such wheels.
    """
    own, others = uv.pinned.split(requirements)
    with tempfile.TemporaryDirectory(prefix="raybundle-") as directory:
        sources = ["-", *project_file(own, Path(directory), uv)]
        plain = ("--no-header", "--no-annotate", "--python", uv.python)
        return run_uv(
            ["pip", "compile", *sources, *options_of(order), *plain, *words],
            environ_of(order, uv),
            uv.project,
            "\n".join(others),
        )


def project_file(own: Sequence[str], directory: Path, uv: UvSettings) -> list[str]:
    """Writes a pyproject.toml and returns its path; without requirements, writes and returns nothing."""
    if not own:
        return []
    file = directory / "pyproject.toml"
    file.write_text(uv.pinned.project_file(own), "utf-8")
    return [str(file)]
