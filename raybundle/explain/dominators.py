"""Finds the dominators of each node: what a graph would lose without that node."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

Node = TypeVar("Node", bound=Hashable)
Weight = tuple[int, int]
"""Two sums, such as modules and bytes."""


def held_by_each(
    start: Node, successors: Mapping[Node, Collection[Node]], weights: Mapping[Node, Weight]
) -> dict[Node, Weight]:
    """Returns, for each node that `start` reaches, the sum over the node and all that only it reaches."""
    above = immediate_dominators(start, successors)
    held = {node: weights.get(node, (0, 0)) for node in above}
    for node, nearest in above.items():
        if node != start:
            (one, other), (more, others) = held[nearest], held[node]
            held[nearest] = (one + more, other + others)
    return held


def passed_by_all(node: Node, above: Mapping[Node, Node]) -> Iterator[Node]:
    """Yields the nodes that every way to `node` passes, the nearest first, without `node`."""
    while above[node] != node:
        node = above[node]
        yield node


def _postorder(start: Node, successors: Mapping[Node, Collection[Node]]) -> Iterator[Node]:
    seen = {start}
    stack = [(start, iter(successors.get(start, ())))]
    while stack:
        node, rest = stack[-1]
        for following in rest:
            if following not in seen:
                seen.add(following)
                stack.append((following, iter(successors.get(following, ()))))
                break
        else:
            stack.pop()
            yield node


def immediate_dominators(start: Node, successors: Mapping[Node, Collection[Node]]) -> dict[Node, Node]:
    """Returns, for each node that `start` reaches, the nearest node that every way to it passes.

    A node comes before the nodes through which it is reached; `start` is last and its own dominator.
    K. Cooper, T. Harvey, K. Kennedy: A Simple, Fast Dominance Algorithm (2001).
    """
    order = list(_postorder(start, successors))
    numbers = {node: number for number, node in enumerate(order)}
    last = len(order) - 1
    sources: list[list[int]] = [[] for _ in order]
    for node in order:
        for following in successors.get(node, ()):
            sources[numbers[following]].append(numbers[node])
    above: list[int] = [-1] * len(order)
    above[last] = last
    changed = True
    while changed:
        changed = False
        for number in range(last - 1, -1, -1):
            known = [source for source in sources[number] if above[source] >= 0]
            nearest = known[0]
            for source in known[1:]:
                nearest = _meet(nearest, source, above)
            if above[number] != nearest:
                above[number] = nearest
                changed = True
    return {order[number]: order[nearest] for number, nearest in enumerate(above)}


def _meet(left: int, right: int, above: list[int]) -> int:
    while left != right:
        while left < right:
            left = above[left]
        while right < left:
            right = above[right]
    return left
