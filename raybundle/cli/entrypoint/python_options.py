"""Reads the options between `python` and its script, as CPython does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raybundle.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_HEEDED = "EIPs"
"""Options that change the path: the target is resolved with them."""
_NEEDLESS = "uBqR"
"""No effect on a job: Ray does not buffer the log, and the modules already have byte-code."""
_WARNED = "bdvWX"
"""The job runs without these, with a warning."""
_WITH_VALUE = "cmWX"
_REFUSED = {
    "S": "the boot is imported by `site`, and without it no job has the bundle's path",
    "O": "give `--env PYTHONOPTIMIZE=1`: tasks have it then too",
    "x": "remove the first line of the script",
    "i": "a job has no terminal",
    "V": "a job runs a script",
    "h": "a job runs a script",
    "?": "a job runs a script",
    "t": "it is of Python 2",
    "J": "it is of Jython",
}


def read_python_options(words: Sequence[str]) -> tuple[tuple[str, ...], list[str]]:
    """Returns options, one word each, and the rest: `-m NAME ARGS…`, `-c CODE ARGS…` or `SCRIPT ARGS…`.

    Args:
        words: the words after `python`.

    Raises:
        UsageError: an option cannot be carried out or does not exist.
    """
    options: list[str] = []
    rest = list(words)
    while rest and rest[0].startswith("-") and rest[0] != "-":
        word = rest.pop(0)
        if word == "--check-hash-based-pycs":
            _value(word, rest)
            continue
        for letter, value in _letters(word, rest):
            if letter in {"m", "c"}:
                return tuple(options), [f"-{letter}", value, *rest]
            options += _kept(letter, value)
    if rest[:1] == ["-"]:
        raise UsageError("`python -` reads its script from a terminal", hint="write the code into a file")
    return tuple(options), rest


def _letters(word: str, rest: list[str]) -> Iterator[tuple[str, str]]:
    """Yields the options of one word, as in `-uIm`, with their values, which it takes from `rest`."""
    if word.startswith("--"):
        raise UsageError(f"`{word}` is not an option of Python that a job can have")
    for position, letter in enumerate(word[1:], 2):
        if letter in _WITH_VALUE:
            yield letter, word[position:] or _value(f"-{letter}", rest)
            return
        yield letter, ""


def _value(option: str, rest: list[str]) -> str:
    if not rest:
        raise UsageError(f"`{option}` of Python has no value")
    return rest.pop(0)


def _kept(letter: str, value: str) -> list[str]:
    if letter in _NEEDLESS:
        return []
    if letter in _HEEDED or letter in _WARNED:
        return [f"-{letter}{value}"]
    hint = _REFUSED.get(letter, "after `--` comes `python job.py ARGS…`")
    raise UsageError(f"`-{letter}` of Python cannot be carried out on a cluster", hint=hint)
