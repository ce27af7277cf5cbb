"""Data classes with a quick start are those of the standard library, once they are made."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from typing import Any

import pytest

from raybundle.language import dataclass

FROZEN = {"frozen": True, "slots": True}


def both(**options: bool) -> tuple[type[Any], type[Any]]:
    """Returns the same class, as the standard library makes it, and as we do."""

    def plain() -> type[Any]:
        class Point:
            """A point."""

            x: int
            y: int = 2
            tags: Any = dataclasses.field(default_factory=list, compare=False)
            note: str = dataclasses.field(default="n", repr=False)
            sum: int = dataclasses.field(init=False, default=0)

        return Point

    return dataclasses.dataclass(**options)(plain()), dataclass(**options)(plain())


@pytest.mark.parametrize(
    "options", [FROZEN, {"slots": True}, {**FROZEN, "eq": False}, {**FROZEN, "order": True}]
)
def test_a_value_is_made_compared_and_shown_as_by_the_standard_library(options: dict[str, bool]) -> None:
    def facts(kind: type[Any]) -> list[Any]:
        one, same, other = kind(1), kind(1, 2, ["t"]), kind(x=1, y=3, note="m")
        hashed = isinstance(one.__hash__ and one, kind) and kind.__hash__ is not None
        return [
            (one == same, one == other, one == 1, one != same),
            repr(other).rpartition(".")[2],
            (hash(one) == hash(same)) if hashed and options.get("eq", True) else hashed,
            dataclasses.asdict(other),
            repr(dataclasses.replace(one, y=9)).rpartition(".")[2],
            kind.__match_args__,
            [each.name for each in dataclasses.fields(kind)],
            hasattr(one, "__dict__"),
            repr(copy.deepcopy(other)) == repr(other),
        ]

    theirs, ours = both(**options)

    assert facts(ours) == facts(theirs)


@pytest.mark.parametrize("given", [((), {}), ((1, 2, [], "n", 5), {}), ((1,), {"z": 1}), ((1,), {"x": 1})])
def test_wrong_arguments_are_told_in_the_same_words(given: tuple[tuple[int, ...], dict[str, int]]) -> None:
    words, named = given
    told = []
    for kind in both(**FROZEN):
        with pytest.raises(TypeError) as error:
            kind(*words, **named)
        told.append(str(error.value))

    assert told[0] == told[1]


def test_a_frozen_value_cannot_be_changed() -> None:
    _, ours = both(**FROZEN)
    value = ours(1)

    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign to field 'x'"):
        value.x = 2
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign to field 'other'"):
        value.other = 2
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot delete field 'x'"):
        del value.x
    assert value.x == 1


@dataclass(frozen=True, slots=True)
class Base:
    """A value whose methods are partly its own."""

    name: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.name.lower())

    def __repr__(self) -> str:
        return f"<{self.name}>"


@dataclass(frozen=True, slots=True)
class Derived(Base):
    """Has a field more."""

    size: int = 0

    def __hash__(self) -> int:
        return 7


def test_own_methods_and_those_of_a_base_are_kept() -> None:
    value = Derived("A", 3)

    assert (value.name, repr(value), hash(value)) == ("a", "<a>", 7) or repr(
        value
    ) == "Derived(name='a', size=3)"
    assert Base("A") == Base("a") != value
    assert pickle.loads(pickle.dumps(value)) == value  # noqa: S301 - its own bytes


def test_nothing_is_compiled_before_it_is_used() -> None:
    _, ours = both(**FROZEN)

    before = ours.__init__.__code__.co_varnames
    ours(1)

    assert "x" not in before
    assert "x" in ours.__init__.__code__.co_varnames
