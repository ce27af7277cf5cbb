"""A RECORD that is written is read again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from raybundle.bundle.layers.document import LayerFile, format_record
from raybundle.resolve.distributions.record import parse_record

NAMES = st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters="\\/"), min_size=1).filter(
    lambda name: name.strip(".")
)


@given(st.lists(NAMES, unique=True))
def test_what_is_written_is_read_again(names: list[str]) -> None:
    files = [LayerFile(f"pkg/{name}", executable=False, size=3, sha256="00" * 32) for name in sorted(names)]
    found = list(parse_record(format_record(files, "pkg-1.0.dist-info/RECORD"), strict=True))

    assert {each.path for each in found} == {*(each.path for each in files), "pkg-1.0.dist-info/RECORD"}
    assert {each.size for each in found if each.hash} == ({"3"} if names else set())
