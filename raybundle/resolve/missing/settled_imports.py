"""Tells what settles an import that resolves nowhere: a setting, the nodes, or a run without it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from raybundle.resolve.distributions.installed import InstalledDistributions, normalised_name
from raybundle.resolve.missing.eager import EAGER

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from raybundle.model import Edge
    from raybundle.resolve.settings import ResolveSettings
    from raybundle.resolve.trace.join import Usable


@dataclass(slots=True)
class Settling:
    """What settles imports. Those that the nodes have are collected."""

    settings: ResolveSettings
    shown: Usable
    labels: frozenset[str]
    """All absent names, normalised as those of distributions."""
    literal: Collection[str] = ()
    """Distributions that a runtime_env in the code installs, for tasks and actors."""
    site: tuple[str, ...] = ()
    """The site-packages directories."""
    on_nodes: dict[str, list[Edge]] = field(default_factory=dict)
    """The imports that each name in `cluster-provides` settles."""

    def is_on_nodes(self, miss: Edge, label: str) -> bool:
        """Returns whether the nodes have the absent `label`, and notes the import."""
        provided = self._named(self.settings.cluster_provides, label) or self._around(label)
        for name in provided:
            self.on_nodes.setdefault(name, []).append(miss)
        return bool(provided)

    def settles(self, miss: Edge, label: str, sureness: int) -> bool:
        """Returns whether the import `miss` of the absent `label` is settled in another way."""
        return bool(
            is_among(miss.imported, self.settings.optional)
            or self._named(self.settings.set_up, label)
            or (sureness > EAGER and self._named(self.literal, label))
            or self.shown.did_without(miss.importer, miss.imported)
        )

    def _named(self, names: Iterable[str], label: str) -> list[str]:
        """Returns the distributions that bring `label`, without those that are an absent name themselves."""
        exact = self.labels - {normalised_name(label)}
        return [each for each in names if brings(each, label) and each not in exact]

    def _around(self, label: str) -> list[str]:
        """Returns the distributions, not installed here, whose name is a package around `label`."""
        module = f"{normalised_name(label)}-"
        names = [each for each in self.settings.cluster_provides if module.startswith(f"{each}-")]
        installed = InstalledDistributions(self.site).by_name if names else {}
        return [each for each in names if each not in installed]


def brings(distribution: str, module: str) -> bool:
    """Returns whether the name of a distribution that is not installed shows that it has a module.

    `flash-attn` has `flash_attn`, and `megatron-core` has `megatron`.
    """
    return f"{distribution}-".startswith(f"{normalised_name(module)}-")


def is_among(name: str, names: Iterable[str]) -> bool:
    """Returns whether `names` has a module or a package around it."""
    return any(f"{name}.".startswith(f"{each}.") for each in names)
