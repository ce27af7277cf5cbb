"""Reads a directory of fetched distributions, and checks it against the nodes and Ray's requirements."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raybundle.errors import BundleError
from raybundle.resolve.distributions.installed import InstalledDistribution, InstalledDistributions
from raybundle.resolve.distributions.ray import extras_in_use, find_unfit
from raybundle.resolve.distributions.requirements import Requirements
from raybundle.resolve.interpreter.markers import marker_environment
from raybundle.wheels.oldest import runs_on
from raybundle.wheels.order import Fetched

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from raybundle.model import Resolution
    from raybundle.resolve.interpreter.node_python import NodePython


def fetched_in(directory: Path, resolution: Resolution) -> list[Fetched]:
    """Returns the distributions in a directory, sorted by name."""
    installed = InstalledDistributions((str(directory),))
    requirements = Requirements(installed, marker_environment(resolution.interpreter))
    required: dict[str, str] = {}
    for name in sorted(installed.by_name):
        for other, _ in requirements.of(name, ""):
            required.setdefault(other, name)
    return [
        Fetched(name, each.version, each.directory.name, each.size(), required.get(name, ""))
        for name, each in sorted(installed.by_name.items())
    ]


def refuse_newer(directory: Path, fetched: Iterable[Fetched], nodes: NodePython) -> None:
    """Refuses files that need a newer libc than the nodes have: the tag `linux_x86_64` names none.

    Raises:
        BundleError: there are such files; the error names all distributions.
    """
    newer = [
        f"{each.name} {each.version}"
        for each in fetched
        if not runs_on(InstalledDistribution.at(directory / each.folder), nodes.platform)
    ]
    if newer:
        raise BundleError(
            f"distributions need a newer libc than {nodes} has: {', '.join(newer)}",
            hint="build them on a machine like the nodes, such as a container of their image",
        )


def refuse_unfit(fetched: Iterable[Fetched], resolution: Resolution) -> None:
    """Refuses versions that Ray does not accept: the lock or the nodes may bring other versions.

    Raises:
        BundleError: there are such versions; the error names all of them.
    """
    interpreter = resolution.interpreter
    imported = [name for each in resolution.distributions for name in each.modules]
    unfit = list(
        find_unfit(
            {each.name: each.version for each in fetched},
            InstalledDistributions(interpreter.site),
            marker_environment(interpreter),
            extras_in_use(imported),
        )
    )
    if unfit:
        lines = (f"{each.name} {each.version}: Ray {each.ray} requires {each.requirement}" for each in unfit)
        raise BundleError(
            "Ray does not accept these versions:\n" + "\n".join(lines),
            hint="change their versions in the lock or the environment, or name them in `cluster-provides`",
        )
