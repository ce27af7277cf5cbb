"""Resolves requirements for the nodes with `uv pip compile`."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from raybundle.wheels.uv.pinned_indexes import name_of
from raybundle.wheels.uv.run import NoSolutionError, run_uv

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from raybundle.wheels.order import Order
    from raybundle.wheels.uv.pinned_indexes import PinnedIndexes


@dataclass(frozen=True, slots=True)
class UvSettings:
    """With what uv is run."""

    python: str
    """Any Python; it runs nothing of what is fetched."""
    environ: Mapping[str, str]
    project: Path
    directory: Path
    """Where what was fetched is kept."""
    pinned: PinnedIndexes
    """What comes from one certain index."""


def options_of(order: Order) -> tuple[str, ...]:
    """Return the options that name the target; wheels only."""
    platform = order.tag.platform.uv
    return ("--python-version", order.version, "--python-platform", platform, "--only-binary", ":all:")


def environ_of(order: Order, uv: UvSettings) -> dict[str, str]:
    """Return the variables for uv."""
    return {**uv.environ, **order.tag.platform.variables}


def names_of(requirements: Iterable[str]) -> set[str]:
    """Return the normalised names of what an index is asked for."""
    return {name_of(each) for each in requirements if " @ " not in each}


def with_indexes(requirements: Sequence[str], words: Sequence[str], order: Order, uv: UvSettings) -> str:
    """Return the requirements with exact versions, each from its own index.

    uv heeds the index of what it is asked for itself, and asks any for what only others require (measured).
    So what has one and turns up in the answer, or in the reason why there is none, is asked for as well.
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
    """Return requirements with exact versions, for the target alone.

    Args:
        requirements: what is asked for.
        words: further options for uv.
        order: says for which target.
        uv: with what.

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
    """Return the path of a written pyproject.toml; none where nothing has an index of its own."""
    if not own:
        return []
    file = directory / "pyproject.toml"
    file.write_text(uv.pinned.project_file(own), "utf-8")
    return [str(file)]
