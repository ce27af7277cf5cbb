"""Ways to damage what a reader reads: any bytes, any JSON, and documents of which one part is replaced."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Iterator

WORDS = st.sampled_from(
    ["", "0", "sha256:" + "0" * 64, "0" * 64, "../x", "/", "\0", "\ud800", "job.py", "é", "layers", "\x1b[2J"]
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([2**31, 2**63, -(2**64), 10**400, 1e400, float("nan"), -0.5]),
    WORDS,
    st.text(max_size=6),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(WORDS | st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)
"""Any JSON, with what readers tend to stumble over."""
DEEP = [
    b"[" * 9_000,
    b'{"a":' * 4_000,
    b'{"format":' + b"9" * 5_000 + b"}",
    b"\xff\xfe",
    b"",
    b"{",
    b"null",
]
"""What parsers of JSON stumble over."""


def damaged(document: Any) -> st.SearchStrategy[bytes]:
    """Returns JSON in which a part of the document is another or gone, and bytes that are no JSON at all."""
    places = list(_places(document))

    @st.composite
    def changed(draw: st.DrawFn) -> bytes:
        place, other = draw(st.sampled_from(places)), draw(VALUES)
        gone = bool(place) and draw(st.booleans())
        return json.dumps(_with(document, place, other, gone=gone)).encode()

    return st.one_of(changed(), changed(), VALUES.map(lambda value: json.dumps(value).encode()), raw())


def raw() -> st.SearchStrategy[bytes]:
    """Returns bytes that are no JSON, or that no parser should follow to their end."""
    return st.binary(max_size=40) | st.sampled_from(DEEP)


def bent(data: bytes) -> st.SearchStrategy[bytes]:
    """Returns what is left of a file after it was cut, emptied, extended, zeroed or changed at one place."""
    size = len(data)
    place = st.integers(0, max(0, size - 1))
    return st.one_of(
        place.map(lambda at: data[:at]),
        place.map(lambda at: data[:at] + b"\0" * (size - at)),
        st.tuples(place, st.integers(1, 255)).map(
            lambda pair: (
                data[: pair[0]] + bytes([data[pair[0]] ^ pair[1]]) + data[pair[0] + 1 :] if size else b"x"
            )
        ),
        st.binary(min_size=1, max_size=8).map(lambda more: data + more),
        st.binary(max_size=40),
    )


def _places(document: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield place
    rows = (
        document.items()
        if isinstance(document, dict)
        else enumerate(document if isinstance(document, list) else ())
    )
    for key, value in rows:
        yield from _places(value, (*place, key))


def _with(document: Any, place: tuple[Any, ...], other: Any, *, gone: bool) -> Any:
    if not place:
        return other
    changed = copy.deepcopy(document)
    holder = changed
    for key in place[:-1]:
        holder = holder[key]
    if gone:
        del holder[place[-1]]
    else:
        holder[place[-1]] = other
    return changed
