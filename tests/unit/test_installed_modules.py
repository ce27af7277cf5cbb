"""Which modules a RECORD holds, for what a node says of one that is not there."""

from __future__ import annotations

import pytest

from raybundle.resolve.distributions.modules import modules_in
from raybundle.resolve.distributions.record import parse_record


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (b"six.py,sha256=x,1\n", {"six"}),
        (b"pkg/__init__.py,,\npkg/a/b.py,,\npkg/a/__init__.py,,\n", {"pkg"}),
        (b"google/cloud/storage/__init__.py,,\ngoogle/cloud/storage/x.py,,\n", {"google.cloud.storage"}),
        (b"google/api/http_pb2.py,,\ngoogle/api/auth_pb2.py,,\n", {"google.api"}),
        (
            b"_cffi.cpython-311-x86_64-linux-gnu.so,,\nfast.abi3.so,,\nplain.so,,\n",
            {"_cffi", "fast", "plain"},
        ),
        (b'"odd,name/x.py",,\n../../bin/tool.py,,\npkg-1.0.dist-info/x.py,,\n', set()),
        (b"__editable___pkg_finder.py,,\npkg.libs/libz.so.1,,\ndata/x.json,,\n", set()),
    ],
)
def test_the_outermost_package_stands_for_all_in_it(record: bytes, expected: set[str]) -> None:
    assert modules_in(each.path for each in parse_record(record)) == expected
