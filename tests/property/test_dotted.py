"""A relative name means what Python says that it means, or nothing above the top."""

from __future__ import annotations

from importlib.util import resolve_name

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from raybundle.dotted import absolute, with_ancestors

part = st.text("abc_é", min_size=1, max_size=3)
name = st.lists(part, min_size=1, max_size=4).map(".".join)
relative = st.builds(str.__add__, st.text(".", max_size=5), st.one_of(st.just(""), name)).filter(bool)


@given(relative, st.one_of(st.none(), st.just(""), name))
@example("..", "a")
@example("...b", "a.b")
@example(".", "")
def test_a_relative_name_means_what_python_says(text: str, package: str | None) -> None:
    try:
        expected = resolve_name(text, package)
    except ImportError:
        expected = None

    assert absolute(text, package) == expected


@pytest.mark.parametrize(
    ("text", "package", "expected"),
    [
        ("a.b", None, "a.b"),
        ("a.b", "c", "a.b"),
        (".", "a.b", "a.b"),
        (".c", "a.b", "a.b.c"),
        ("..", "a.b", "a"),
        ("..c.d", "a.b", "a.c.d"),
        ("...", "a.b", None),
        ("...c", "a.b", None),
        ("....c", "a.b", None),
        (".c", "", None),
        (".c", None, None),
    ],
)
def test_a_name_above_the_top_means_nothing(text: str, package: str | None, expected: str | None) -> None:
    assert absolute(text, package) == expected


@given(name)
def test_the_ancestors_of_a_name_are_its_packages_from_the_outside(text: str) -> None:
    found = list(with_ancestors(text))

    assert found[-1] == text
    assert found[:-1] == [absolute("." * level, text) for level in range(len(found), 1, -1)]
