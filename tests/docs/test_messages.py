"""docs/messages.md has a row for each text of an error or a warning, and each of its rows is such a text.

In a row, a word in capitals takes the place of a value, and `…` that of anything. Backticks do not count.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import NamedTuple

from raybundle import errors
from tests.support.message_texts import HOLE, Said, is_worded, literals, said

PAGE = Path(__file__).parents[2] / "docs" / "messages.md"
UNREADABLE = {
    ("2", "□"): 1,  # an answer to a pasted line: the texts of `Answer` are read
    ("3", "□"): 1,  # what `why` prints
    ("3", "□ □: □"): 1,  # parts of `cannot take …`, as are the next three
    ("3", "□: □"): 2,
    ("3", "□:□: □"): 1,
    ("3", "□/□: □"): 1,
    ("4", "cannot □ □: □"): 1,  # a verb, a store, and the words of fsspec
    ("22", "□"): 2,  # the line of the boot, which each task of a refused worker raises; that of a fetch
    ("22", "file □: □"): 1,  # the words of the operating system
}
"""Texts without words of their own, and how often the source has them."""
CODES = re.compile(r"^## ([\d, ]+): ", re.MULTILINE)


class Row(NamedTuple):
    """One message of the page."""

    line: int
    codes: frozenset[str]
    """The exit codes of the section."""
    text: str
    is_note: bool
    """Claims that it is neither an error nor a warning."""

    def matches(self, text: str) -> bool:
        """Claims that it is a text, which may begin with a place that the row does not repeat."""
        _, colon, rest = text.partition(f"{HOLE}: ")
        pattern = _pattern(self.text)
        return pattern.fullmatch(text) is not None or (bool(colon) and pattern.fullmatch(rest) is not None)

    def is_end_of(self, text: str) -> bool:
        """Claims that a text is what the row has behind a place, which another text adds."""
        _, colon, rest = self.text.partition(": ")
        return bool(colon) and is_worded(rest) and _pattern(rest).fullmatch(text) is not None


def plain(text: str) -> str:
    """Returns a text on one line, without backticks."""
    return " ".join(text.replace("`", "").split())


@cache
def _pattern(row: str) -> re.Pattern[str]:
    hole = rf"{HOLE}(?:[^\w\s]*{HOLE})*"
    parts = re.split(r"(\s*…\s*|\b[A-Z][A-Z0-9_]*\b)", row)
    made = [
        r".*?" if "…" in part else rf"(?:{re.escape(part)}|{hole})" if number % 2 else re.escape(part)
        for number, part in enumerate(parts)
    ]
    return re.compile("".join(made), re.DOTALL)


@cache
def rows() -> tuple[Row, ...]:
    found, codes, header = list[Row](), frozenset[str](), ""
    for number, line in enumerate(PAGE.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("## "):
            match = CODES.match(line)
            codes = frozenset(re.findall(r"\d+", match[1]) if match else ())
        elif not line.startswith("|"):
            header = ""
        else:
            cell = re.split(r"(?<!\\)\|", line)[1].strip()
            header = header or cell
            if header in {"message", "on stderr"}:
                texts = [first or second for first, second in re.findall(r"``(.+?)``|`([^`]+)`", cell)]
                found += [Row(number, codes, plain(text), header != "message") for text in texts]
    return tuple(found)


@cache
def texts() -> tuple[Said, ...]:
    return tuple(each._replace(text=plain(each.text)) for each in said())


def shown(text: str) -> str:
    return text.replace(HOLE, "□")


def nearest(text: str, others: dict[str, str]) -> str:
    close = difflib.get_close_matches(shown(text), others, n=1, cutoff=0.4)
    return f"\n    nearest: {others[close[0]]} {close[0]!r}" if close else ""


def test_every_error_and_warning_has_a_row() -> None:
    known = {row.text: f"{PAGE.name}:{row.line}" for row in rows()}
    without = [
        f"{each.where} says {shown(each.text)!r} ({each.kind}){nearest(each.text, known)}"
        for each in texts()
        if is_worded(each.text) and not any(covers(row, each) for row in rows())
    ]

    assert not without, "change the row, or add one:\n" + "\n".join(without)


def covers(row: Row, each: Said) -> bool:
    """Claims that a row is about a text, in the section of its exit code if it is that of an error."""
    return row.matches(each.text) and (each.kind in {"", "warning"} or each.kind in row.codes)


def test_every_row_is_a_text_of_the_source() -> None:
    known = {shown(each.text): each.where for each in texts()}
    others = {plain(text) for text in literals()}
    stale = [
        f"{PAGE.name}:{row.line} has {row.text!r}{nearest(row.text, known)}"
        for row in rows()
        if not any(row.matches(each.text) for each in texts())
        and not any(row.matches(text) if row.is_note else row.is_end_of(text) for text in others)
    ]

    assert not stale, "no error or warning says this any more:\n" + "\n".join(stale)


def test_a_row_has_words_of_its_own() -> None:
    assert len(rows()) > 200
    assert [row for row in rows() if not re.search(r"[a-z]{2}", row.text)] == []


def test_texts_that_cannot_be_read_are_known() -> None:
    unread = [
        (f"{each.kind}: {shown(each.text)}", each.where) for each in texts() if not is_worded(each.text)
    ]
    found = Counter((each.kind, shown(each.text)) for each in texts() if not is_worded(each.text))

    assert found == UNREADABLE, f"let the source say the text, or change UNREADABLE: {unread}"


def test_the_table_of_exit_codes_has_every_class_of_errors() -> None:
    table = re.findall(r"^\| ([\d, ]+) \|.*\|(.*)\|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    named = {(name, code.strip()) for code, cell in table for name in re.findall(r"`(\w+)`", cell)}
    classes = {
        (name, str(found.exit_code))
        for name, found in vars(errors).items()
        if isinstance(found, type) and issubclass(found, errors.RaybundleError)
    }

    assert named == classes - {("JobError", "1")}
