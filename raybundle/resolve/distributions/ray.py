"""Checks what travels against Ray's own requirements: Ray imports the bundle's version too."""

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
"""Parts of Ray that need distributions which Ray itself does not require."""


def extras_in_use(third_party: Iterable[str]) -> frozenset[str]:
    """Return the extras of Ray that the imported modules need."""
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
    """Yield what Ray would not take, by name; of a Ray that is not installed, oldest and newest decide.

    Args:
        versions: of what travels, by name.
        installed: where Ray may be.
        environment: for the markers.
        extras: of Ray, beside `default`.
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
