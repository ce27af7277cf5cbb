"""RECORD as installers write it, and as they should not."""

from __future__ import annotations

import pytest

from raybundle.resolve.distributions.record import RecordError, parse_record


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (b"a.py,sha256=x,1\n", "a.py"),
        (b'"a,b.py",,\n', "a,b.py"),
        (b"pkg\\a.py,,\r\n", "pkg/a.py"),
        (b"./pkg/a.py,,\n", "pkg/a.py"),
        (b"pkg//a.py,,\n", "pkg/a.py"),
        (b"pkg/../../bin/a,,\n", "../bin/a"),
        (b"\na.py,,", "a.py"),
    ],
)
def test_a_path_is_normalised(row: bytes, expected: str) -> None:
    assert [each.path for each in parse_record(row, strict=True)] == [expected]


@pytest.mark.parametrize(
    ("path", "expected"),
    [("a.py", False), ("..a/b.py", False), ("../a.py", True), ("/a.py", True), ("C:/a.py", True)],
)
def test_a_file_outside_the_site_directory_is_known_by_its_path(path: str, *, expected: bool) -> None:
    (found,) = parse_record(f"{path},,\n".encode())

    assert found.is_outside is expected


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (b"only,two", "not a path, a hash and a size"),
        (b",,", "not a path, a hash and a size"),
        (b"\xff.py,,", "not UTF-8"),
        (b"a\x01b,,", "not the path of a file"),
        (b".,,", "not the path of a file"),
        (b'"x,,', "unexpected end"),
    ],
)
def test_a_line_that_makes_no_sense_is_named_and_only_refused_when_asked(row: bytes, said: str) -> None:
    record = b"a.py,,\n" + row

    with pytest.raises(RecordError, match=said) as caught:
        list(parse_record(record, strict=True))
    assert caught.value.line == 2
    assert next(parse_record(record)).path == "a.py"
