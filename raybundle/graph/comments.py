"""Reads the comments by which a source says what raybundle is to take or to leave at a line."""

from __future__ import annotations

import io
import re
import tokenize
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from raybundle.graph.facts import Import, Remark

if TYPE_CHECKING:
    from collections.abc import Iterable

MARK = b"raybundle:"
_COMMENT = re.compile(r"#\s*raybundle:\s*(?P<word>\w*)\s*(?:=\s*(?P<names>[^#]*))?")
_NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*(\.\*)?")


@dataclass(slots=True)
class Comments:
    """What the comments of one file say."""

    ignored: set[int] = field(default_factory=set)
    """Lines at which nothing is followed: `# raybundle: ignore`."""
    included: list[Import] = field(default_factory=list)
    """`# raybundle: include=pkg.mod, pkg.plugins.*`."""
    remarks: list[Remark] = field(default_factory=list)


def read_comments(source: bytes) -> Comments:
    """Return what the comments of a source that parses say."""
    comments = Comments()
    if MARK in source:
        for token in _tokens(source):
            found = _COMMENT.search(token.string) if token.type == tokenize.COMMENT else None
            if found:
                _read(comments, found, token.start[0])
    return comments


def _tokens(source: bytes) -> Iterable[tokenize.TokenInfo]:
    try:
        yield from tokenize.tokenize(io.BytesIO(source).readline)
    except (tokenize.TokenError, SyntaxError):
        return  # it parses, so what follows is of no other line


def _read(comments: Comments, found: re.Match[str], line: int) -> None:
    names = [each.strip() for each in (found["names"] or "").split(",")]
    if found["word"] == "ignore" and found["names"] is None:
        comments.ignored.add(line)
    elif found["word"] == "include" and all(_NAME.fullmatch(name) for name in names):
        comments.included += [Import(name, line, (), "comment") for name in names]
    else:
        comments.remarks.append(Remark(line, "comment", found[0].strip()))
