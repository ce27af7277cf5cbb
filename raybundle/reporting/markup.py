"""Pieces of HTML. Every text from outside passes `text`, and every JSON document passes `script_json`."""

from __future__ import annotations

import html
import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

text = html.escape
"""Returns a text as HTML shows it, in content and in attributes."""


def code(value: str) -> str:
    """Returns a name, a path or a version; a long one wraps after dots and slashes."""
    shown = text(value)
    for sign in "/._":
        shown = shown.replace(sign, f"{sign}<wbr>")
    return f"<code>{shown}</code>"


def prose(value: str) -> str:
    """Returns a sentence; what is in back-ticks is code."""
    return re.sub(r"`([^`\n]+)`", r"<code>\1</code>", text(value))


def script_json(document: Any) -> str:
    """Returns JSON that stays inside of its `<script>` element, whatever its strings are."""
    shown = json.dumps(document, separators=(",", ":"))  # ASCII, so no line separators of Unicode
    for sign in "<>&":
        shown = shown.replace(sign, f"\\u{ord(sign):04x}")
    return shown


def table(heads: Iterable[str], rows: Iterable[Iterable[str]], kind: str = "") -> str:
    """Returns a table; a head that starts with `>` is of a column of numbers. Cells are HTML."""
    classes = [(head.lstrip(">"), ' class="number"' if head.startswith(">") else "") for head in heads]
    first = "".join(f'<th scope="col"{css}>{head}</th>' for head, css in classes)
    lines = (
        "<tr>"
        + "".join(f"<td{css}>{cell}</td>" for cell, (_, css) in zip(row, classes, strict=True))
        + "</tr>"
        for row in rows
    )
    return (
        f'<div class="scroll"><table class="{kind}"><thead><tr>{first}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def empty(sentence: str, command: str = "") -> str:
    """Returns what a view shows if it has nothing to show, and the command that would change that."""
    shown = f"<code>{text(command)}</code>" if command else ""
    return f'<p class="empty">{text(sentence)} {shown}</p>'


def section(name: str, question: str, answer: str, body: str) -> str:
    """Returns a view: one question, its answer, and what that rests on. `answer` and `body` are HTML."""
    return (
        f'<section id="{name}" aria-labelledby="{name}-title"><h2 id="{name}-title">{text(question)}</h2>'
        f'<p class="answer" id="{name}-answer">{answer}</p>{body}</section>'
    )
