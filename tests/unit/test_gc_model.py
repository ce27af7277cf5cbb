"""A model of `gc` beside submitters: a search through all interleavings, crashes and late deletes included.

The steps have the names of the code: a submitter puts, leases, looks, puts the manifest, records, waits for
notices, rechecks and submits (`raybundle/publish/keeping.py`); a collector lists, gives notice, lists again,
removes and ends (`raybundle/publish/gc/collect.py`). Bundle A is built anew and takes over a layer that only
the old bundle B names, to which nothing leads. B is run from the store, without sources.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

LAYER, A, B = 1, 2, 4
"""The objects, as bits of a set."""
NAMES = {LAYER: "the layer", A: "the manifest of A", B: "the manifest of B"}
GONE, YOUNG, HALF, OLD = -1, 0, 1, 2
"""Ages: of no object; beyond half the grace, and beyond the grace."""


class Collector(NamedTuple):
    at: str = "list"
    listed: int = 0
    """What it found unreached."""
    same: int = 0
    """What of it nobody has put again since: a list shows the time of an object."""
    agreed: int = 0
    notice: int = 0
    """What its notice names."""
    late: int = 0
    """Deletes that it sent before it died, and that are not carried out yet."""


class State(NamedTuple):
    layer: int = OLD
    a: int = GONE
    b: int = OLD
    lease_a: int = GONE
    lease_b: int = GONE
    record_a: bool = False
    record_b: bool = False
    builder: str = "put"
    runner: str = "find"
    one: Collector = Collector()
    other: Collector = Collector()
    halves: int = 0
    """How often half a grace has passed."""

    @property
    def there(self) -> int:
        return (LAYER if self.layer >= 0 else 0) | (A if self.a >= 0 else 0) | (B if self.b >= 0 else 0)


@dataclass(frozen=True)
class Rules:
    """The protocol, or one that lacks a part."""

    rechecks: bool = True
    leases: bool = True
    gives_notice: bool = True
    lists_again: bool = True
    spares_what_others_remove: bool = True
    notices_outlive_collectors: bool = True
    hurries: bool = True
    """A submitter takes less than half a grace from its first look to its record."""


def without(state: State, key: int) -> State:
    match key:
        case 1:
            return state._replace(layer=GONE)
        case 2:
            return state._replace(a=GONE)
        case _:
            return state._replace(b=GONE)


def put(state: State, key: int) -> State:
    """Creates an object, unless it is there: for collectors that listed an earlier one, it is another."""
    if state.there & key:
        return state
    one, other = (each._replace(same=each.same & ~key) for each in (state.one, state.other))
    state = state._replace(one=one, other=other)
    return state._replace(layer=YOUNG) if key == LAYER else state._replace(a=YOUNG)


def unreached(state: State, spared: int = 0) -> int:
    """As `reach.unreached`: what no root and no lease leads to, and is older than the grace.

    What is spared stays, with all that a manifest among it names: what this collector did not list before, or
    another one removes.
    """
    leased_a, leased_b = state.lease_a in (YOUNG, HALF), state.lease_b in (YOUNG, HALF)
    keeps_a = state.a >= 0 and (state.a < OLD or leased_a or state.record_a or spared & A)
    keeps_b = state.b >= 0 and (state.b < OLD or leased_b or state.record_b or spared & B)
    gone = A if state.a == OLD and not keeps_a else 0
    gone |= B if state.b == OLD and not keeps_b else 0
    gone |= LAYER if state.layer == OLD and not (keeps_a or keeps_b or leased_a) else 0
    return gone & ~spared


def blocked(state: State, keys: int) -> bool:
    """As `look`: a notice names one of these objects."""
    return bool((state.one.notice | state.other.notice) & keys)


def builder(state: State, rules: Rules) -> Iterator[tuple[str, State]]:  # noqa: C901 - a step for each case
    """Builds and submits A, from its sources."""
    match state.builder:
        case "put":
            after = "lease" if state.layer >= HALF and rules.leases else "manifest"
            yield "put", put(state, LAYER)._replace(builder=after)
        case "lease":
            yield "lease", state._replace(lease_a=YOUNG, builder="look")
        case "look" if not blocked(state, LAYER | A):
            yield "look", state._replace(builder="put again")
        case "put again":
            yield "put again", put(state, LAYER)._replace(builder="manifest")
        case "manifest":
            yield "manifest", put(state, A)._replace(builder="record")
        case "record":
            yield "record", state._replace(record_a=True, builder="wait" if rules.rechecks else "submit")
        case "wait" if not blocked(state, LAYER | A):
            yield "wait", state._replace(builder="recheck")
        case "recheck":
            whole = not (LAYER | A) & ~state.there
            yield "recheck", state._replace(builder="submit" if whole else "put the layer again")
        case "put the layer again":
            yield "put the layer again", put(state, LAYER)._replace(builder="put the manifest again")
        case "put the manifest again":
            yield "put the manifest again", put(state, A)._replace(builder="wait")
        case "submit":
            yield "submit", state._replace(builder="submitted")


def runner(state: State, rules: Rules) -> Iterator[tuple[str, State]]:  # noqa: C901 - a step for each case
    """Runs B from the store."""
    whole = not (LAYER | B) & ~state.there
    match state.runner:
        case "find" | "find again" if not whole:
            yield "is refused", state._replace(runner="refused")
        case "find" if state.b >= HALF and rules.leases:
            yield "find", state._replace(runner="lease")
        case "find" | "find again":
            yield "find", state._replace(runner="record")
        case "lease":
            yield "lease", state._replace(lease_b=YOUNG, runner="look")
        case "look" if not blocked(state, B):
            yield "look", state._replace(runner="find again")
        case "record":
            yield "record", state._replace(record_b=True, runner="wait" if rules.rechecks else "submit")
        case "wait" if not blocked(state, LAYER | B):
            yield "wait", state._replace(runner="recheck")
        case "recheck":
            if whole:
                yield "recheck", state._replace(runner="submit")
            else:
                yield "is refused", state._replace(runner="refused", record_b=False)
        case "submit":
            yield "submit", state._replace(runner="submitted")


def collector(state: State, me: Collector, it: Collector, rules: Rules) -> Iterator[tuple[str, State]]:
    """Takes a step of a collector; `it` is the other one."""

    def moved(after: State, **values: str | int) -> State:
        return _with(after, (me._replace(**values), it))  # type: ignore[arg-type]

    match me.at:
        case "list":
            found = unreached(state)
            yield "list", moved(state, at="notice" if found else "done", listed=found, same=found)
        case "notice":
            notice = me.listed if rules.gives_notice else 0
            if rules.lists_again:
                yield "notice", moved(state, at="list again", notice=notice)
            else:
                yield "notice", moved(state, at="remove", notice=notice, agreed=me.listed, listed=0, same=0)
        case "list again":
            spared = ~(me.listed & me.same) | (it.notice if rules.spares_what_others_remove else 0)
            agreed = unreached(state, spared)
            yield "list again", moved(state, at="remove", agreed=agreed, listed=0, same=0)
        case "remove" if me.agreed:
            for key in _next(me.agreed):
                yield f"remove {NAMES[key]}", moved(without(state, key), agreed=me.agreed & ~key)
        case "remove":
            yield "end", moved(state, at="done", notice=0)


def _next(agreed: int) -> tuple[int, ...]:
    """Manifests before layers; those of one step at the same time."""
    return tuple(key for key in (A, B) if agreed & key) or ((LAYER,) if agreed else ())


def death(state: State, me: Collector, it: Collector, rules: Rules) -> Iterator[tuple[str, State]]:
    """A collector may die, with requests under way; they are carried out while its notice counts."""
    if me.at not in ("done", "dead") and me.notice:
        yield "dies", _with(state, (Collector("dead", notice=me.notice), it))
    if me.at == "remove" and me.agreed:
        under_way = sum(_next(me.agreed))
        yield "dies, requests under way", _with(state, (Collector("dead", 0, 0, 0, me.notice, under_way), it))
    for key in _next(me.late):
        yield f"late: remove {NAMES[key]}", _with(without(state, key), (me._replace(late=me.late & ~key), it))
    if me.at == "dead" and me.notice and not (me.late and rules.notices_outlive_collectors):
        yield "counts no longer", _with(state, (me._replace(notice=0), it))


def _with(state: State, both: tuple[Collector, Collector]) -> State:
    """Collectors are alike: which is which makes no other state."""
    one, other = sorted(both)
    return state._replace(one=one, other=other)


def steps(state: State, rules: Rules) -> Iterator[tuple[str, State]]:
    yield from ((f"builder: {name}", after) for name, after in builder(state, rules))
    yield from ((f"runner: {name}", after) for name, after in runner(state, rules))
    for me, it in ((state.one, state.other), (state.other, state.one)):
        for take in (collector, death):
            yield from ((f"collector: {name}", after) for name, after in take(state, me, it, rules))
    if rules.hurries:  # elsewhere, one that takes no further step is as good as dead
        if state.builder not in AT_REST:
            yield "builder: dies", state._replace(builder="dead")
        if state.runner not in AT_REST:
            yield "runner: dies", state._replace(runner="dead")
    if state.halves < 2 and not (state.one.notice or state.other.notice) and _may_pass(state, rules):
        yield "half a grace passes", _later(state)


AT_REST = ("put", "find", "wait", "recheck", "submit", "submitted", "refused", "dead")
"""Where a submitter that hurries may stay for long."""


def _may_pass(state: State, rules: Rules) -> bool:
    return not rules.hurries or (state.builder in AT_REST and state.runner in AT_REST)


def _later(state: State) -> State:
    def older(age: int) -> int:
        return GONE if age == GONE else min(OLD, age + 1)

    return state._replace(
        layer=older(state.layer),
        a=older(state.a),
        b=older(state.b),
        lease_a=older(state.lease_a),
        lease_b=older(state.lease_b),
        halves=state.halves + 1,
    )


def fault(state: State, rules: Rules) -> str | None:
    """Returns what must not be: a job whose bundle is not whole, or what `check` would not call clean."""
    there = state.there
    if state.builder == "submitted" and not (there & LAYER and there & A and state.record_a):
        return "the job of A lost a part of its bundle"
    if state.runner == "submitted" and not (there & LAYER and there & B and state.record_b):
        return "the job of B lost a part of its bundle"
    if rules.hurries and there and not there & LAYER:
        return "a manifest names a layer that is gone"
    if rules.hurries and ((state.record_a and not there & A) or (state.record_b and not there & B)):
        return "a record names a bundle that is gone"
    return None


class Searched(NamedTuple):
    states: int
    fault: str | None
    path: list[str]
    ends: frozenset[tuple[str, str]]
    """Where builder and runner can be at the same time."""


def search(rules: Rules) -> Searched:
    start = State()
    before: dict[State, tuple[State, str] | None] = {start: None}
    queue, ends = deque([start]), set[tuple[str, str]]()
    while queue:
        state = queue.popleft()
        if (found := fault(state, rules)) is not None:
            return Searched(len(before), found, _path(before, state), frozenset(ends))
        ends.add((state.builder, state.runner))
        for name, after in steps(state, rules):
            if after not in before:
                before[after] = (state, name)
                queue.append(after)
    return Searched(len(before), None, [], frozenset(ends))


def _path(before: dict[State, tuple[State, str] | None], state: State) -> list[str]:
    names = []
    while (step := before[state]) is not None:
        state, name = step
        names.append(name)
    return names[::-1]


@pytest.mark.slow
@pytest.mark.parametrize("hurries", [True, False])
def test_no_job_loses_a_part_of_its_bundle(hurries: bool) -> None:
    found = search(Rules(hurries=hurries))

    assert found.fault is None, "\n".join([found.fault or "", *found.path])
    assert {("submitted", "submitted"), ("submitted", "refused")} <= found.ends
    assert found.states > 10_000


@pytest.mark.slow
@pytest.mark.parametrize(
    ("lacks", "hurries", "says"),
    [
        ("rechecks", False, "the job of . lost a part of its bundle"),
        ("leases", True, "a (manifest|record) names"),
        ("gives_notice", False, "the job of . lost a part of its bundle"),
        ("lists_again", False, "the job of . lost a part of its bundle"),
        ("spares_what_others_remove", True, "a manifest names a layer"),
        ("notices_outlive_collectors", False, "the job of . lost a part of its bundle"),
    ],
)
def test_each_part_is_needed(lacks: str, hurries: bool, says: str) -> None:
    found = search(replace(Rules(hurries=hurries), **{lacks: False}))

    assert re.fullmatch(f"{says}.*", found.fault or "none"), found.path
