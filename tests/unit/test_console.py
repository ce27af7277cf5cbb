"""What commands print: JSON, and texts of others."""

import json

from raybundle.cli.output.console import formatted
from raybundle.formats.terminal import printable


def test_long_lists_have_a_line_for_each_item_and_the_document_is_the_same() -> None:
    nested = {"rows": [], "text": '\n  "rows": []'}
    document = {"schema_version": 1, "nested": nested, "rows": [{"a": [1, "é\n"]}] * 200, "few": [1, [2]]}

    found = formatted(document)

    assert json.loads(found) == document
    assert list(json.loads(found)) == list(document)
    assert (
        len(found.splitlines()) == 200 + len(json.dumps({**document, "rows": []}, indent=2).splitlines()) + 1
    )


def test_short_documents_are_indented() -> None:
    document = {"schema_version": 1, "rows": [{"a": 1}], "none": []}

    assert formatted(document) == json.dumps(document, indent=2)


def test_a_lone_surrogate_is_escaped_and_a_byte_that_is_not_utf_8_stays() -> None:
    text = printable("a\ud800b\udcff\udfff")

    assert text == "a\\ud800b\udcff\\udfff"
    assert text.encode("utf-8", "surrogateescape") == b"a\\ud800b\xff\\udfff"
