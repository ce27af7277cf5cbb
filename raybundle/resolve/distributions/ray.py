"""Checks bundled distributions against Ray's requirements, because Ray imports the bundled version too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raybundle.resolve.distributions.installed import normalised_name
from raybundle.resolve.distributions.ray_ranges import RANGES
from raybundle.resolve.distributions.requirements import fits, parsed
from raybundle.resolve.distributions.values import Unfit

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from raybundle.resolve.distributions.installed import InstalledDistributions

_EXTRAS = {f"ray.{name}": name for name in ("data", "train", "tune", "serve", "rllib")}
"""Parts of Ray whose requirements are an extra of Ray."""

IN_RAY = frozenset({"psutil", "colorama", "setproctitle"})
"""Distributions that Ray's wheel has in `thirdparty_files` or in itself."""


def extras_in_use(third_party: Iterable[str]) -> frozenset[str]:
    """Returns the extras of Ray that the imported modules belong to."""
    return frozenset(
        extra
        for part, extra in _EXTRAS.items()
        for name in third_party
        if name == part or name.startswith(f"{part}.")
    )


def find_unfit(
    versions: Mapping[str, str],
    installed: InstalledDistributions,
    environment: Mapping[str, str],
    extras: Iterable[str],
) -> Iterator[Unfit]:
    """Yields the distributions that Ray does not accept.

    If Ray is not installed, the oldest and the newest supported Ray decide.

    Args:
        versions: of the bundled distributions, by name.
        installed: may include Ray.
        environment: the variables of markers.
        extras: of Ray, in addition to `default`.
    """
    ray = installed.by_name.get("ray")
    releases = RANGES if ray is None else {ray.version: tuple(ray.requires())}
    environments = [{**environment, "extra": extra} for extra in ("", "default", *sorted(extras))]
    for release, lines in releases.items():
        for requirement in parsed(lines):
            name = normalised_name(requirement.name)
            if name not in versions or fits(requirement, versions[name]):
                continue
            marker = requirement.marker
            if marker is None or any(marker.evaluate(each) for each in environments):
                yield Unfit(name, versions[name], f"{name}{requirement.specifier}", release)
