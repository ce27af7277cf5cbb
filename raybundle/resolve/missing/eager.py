"""Tells how surely each module loads with the driver: always, from a function, optionally, or by a guess."""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from raybundle.model import WIDENING

if TYPE_CHECKING:
    from raybundle.model import Edge
    from raybundle.resolve.walk.reached import Closure

EAGER, FUNCTION, OPTIONAL, GUESSED = range(4)
"""How surely something runs. A chain is as sure as its least sure step."""

_GUESSES = WIDENING | {"attribute", "include", "comment"}
"""Rules that do not make a module load."""


@dataclass(frozen=True, slots=True)
class Loading:
    """How surely each module loads, and by which import."""

    sureness: dict[str, int] = field(default_factory=dict)
    steps: dict[str, Edge | None] = field(default_factory=dict)
    """The last import of the shortest among the surest chains. None for the driver."""

    def of(self, edge: Edge) -> int:
        """Returns how surely an import runs."""
        return max(self.sureness.get(edge.importer, GUESSED), _sureness(edge))

    def chain(self, edge: Edge) -> tuple[Edge, ...]:
        """Returns the imports that lead from the driver to `edge`, with it."""
        chain = [edge]
        while (step := self.steps.get(chain[-1].importer)) is not None:
            chain.append(step)
        return tuple(reversed(chain))


def _sureness(edge: Edge) -> int:
    if edge.rule in _GUESSES:
        return GUESSED
    if edge.optional or edge.deferred == "branch":
        return OPTIONAL
    return FUNCTION if edge.deferred else EAGER


def loading_of(closure: Closure) -> Loading:
    """Returns how surely each module that the driver reaches loads."""
    edges: defaultdict[str, list[Edge]] = defaultdict(list)
    for edge in closure.edges:
        edges[edge.importer].append(edge)
    loading = Loading()
    waiting: list[deque[tuple[str, Edge | None]]] = [deque() for _ in range(GUESSED + 1)]
    waiting[EAGER].append((closure.driver, None))
    for sureness, queue in enumerate(waiting):
        while queue:
            name, step = queue.popleft()
            if name not in loading.sureness:
                loading.sureness[name] = sureness
                loading.steps[name] = step
                for edge in edges.get(name, ()):
                    waiting[max(sureness, _sureness(edge))].append((edge.imported, edge))
    return loading


def refuse_unparsed(closure: Closure, loading: Loading) -> None:
    """Refuses a source that is not Python and must load with the driver.

    Raises:
        BundleError: names file and line of the first.
    """
    for name, error in closure.unparsed.items():
        if loading.sureness.get(name) == EAGER:
            raise error
