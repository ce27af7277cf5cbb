"""Reads the comments that tell raybundle what to include or to ignore at a line."""

from __future__ import annotations

import io
import re
import tokenize
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from raybundle.model import WIDENING
from raybundle.resolve.facts import Import, Pattern, Remark, in_order

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from raybundle.resolve.facts import Facts

MARK = b"raybundle:"
_COMMENT = re.compile(r"#\s*raybundle:\s*(?P<word>\w*)\s*(?:=\s*(?P<names>[^#]*))?")
_NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*(\.\*)?")


@dataclass(frozen=True, slots=True)
class Ignore:
    """A `# raybundle: ignore`, and the first and last line of its statement."""

    line: int
    first: int
    last: int
    heads_block: bool = False
    """The statement has a block below it, to which the comment does not apply."""

    @property
    def lines(self) -> range:
        """The lines to which it applies. None if it is outside of any statement."""
        return range(self.first, self.last + 1)


@dataclass(slots=True)
class Comments:
    """What the comments of one file say."""

    ignores: list[Ignore] = field(default_factory=list)
    included: list[Import] = field(default_factory=list)
    """`# raybundle: include=pkg.mod, pkg.plugins.*`."""
    remarks: list[Remark] = field(default_factory=list)

    @property
    def ignored(self) -> set[int]:
        """The lines that are not followed: those of each statement with the comment."""
        return {line for each in self.ignores for line in each.lines}

    def kept(self, imports: Collection[Import]) -> Iterator[Import]:
        """Yields the imports that no comment switches off.

        On the line of one entry in a list of names, the comment applies to that entry only.
        """
        guesses = {each.line for each in imports if each.form.rule in WIDENING}
        entries = {
            line for each in self.ignores for line in ({each.line} if each.line in guesses else each.lines)
        }
        for each in imports:
            if each.line not in (entries if each.form.rule in WIDENING else self.ignored):
                yield each

    def without_effect(self, lines: Collection[int]) -> Iterator[Remark]:
        """Yields a remark for each comment that has no effect. `lines` have something to follow."""
        for each in self.ignores:
            if not each.lines or (each.heads_block and not any(line in lines for line in each.lines)):
                yield Remark(each.line, "no-effect", "# raybundle: ignore")


def read_comments(source: bytes) -> Comments:
    """Returns what the comments of a source say. The source must parse."""
    comments = Comments()
    if MARK in source:
        first, last, waiting = 0, "", list[int]()
        for token in _tokens(source):
            if token.type == tokenize.COMMENT:
                found = _COMMENT.search(token.string)
                if found and _read(comments, found, token.start[0]):
                    waiting.append(token.start[0])
                    if not first:
                        comments.ignores.append(Ignore(waiting.pop(), 0, -1))
            elif token.type == tokenize.NEWLINE:
                comments.ignores += [Ignore(line, first, token.start[0], last == ":") for line in waiting]
                first, waiting = 0, []
            elif token.type not in _BETWEEN:
                first, last = first or token.start[0], token.string
    return comments


def with_comments(facts: Facts, source: bytes) -> Facts:
    """Returns facts as the comments of their source change them."""
    if MARK not in source:
        return facts
    comments = read_comments(source)
    ignored = comments.ignored
    found = (facts.imports, facts.unknown, facts.remarks, facts.named, facts.opened)
    followed = {*facts.path_edits, *facts.rewires, *(each.line for rows in found for each in rows)}
    remarks = (each for each in facts.remarks if each.line not in ignored)
    return facts._replace(
        imports=in_order([*comments.kept(facts.imports), *comments.included]),
        unknown=tuple(each for each in facts.unknown if each.line not in ignored),
        path_edits=tuple(line for line in facts.path_edits if line not in ignored),
        rewires=tuple(line for line in facts.rewires if line not in ignored),
        named=tuple(each for each in facts.named if each.line not in ignored),
        opened=tuple(each for each in facts.opened if each.line not in ignored),
        remarks=(*comments.remarks, *comments.without_effect(followed), *remarks),
    )


_BETWEEN = frozenset([tokenize.NL, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING, tokenize.ENDMARKER])
"""Tokens that do not begin a statement."""


def _tokens(source: bytes) -> Iterator[tokenize.TokenInfo]:
    try:
        yield from tokenize.tokenize(io.BytesIO(source).readline)
    except (tokenize.TokenError, SyntaxError):
        return  # the source parses, so no later line is affected


def _read(comments: Comments, found: re.Match[str], line: int) -> bool:
    """Notes what a comment says. Returns whether it says `ignore`."""
    names = [each.strip() for each in (found["names"] or "").split(",")]
    if found["word"] == "ignore" and found["names"] is None:
        return True
    if found["word"] == "include" and all(_NAME.fullmatch(name) for name in names):
        comments.included += [Import(line, Pattern(name, rule="comment")) for name in names]
    else:
        comments.remarks.append(Remark(line, "comment", found[0].strip()))
    return False
