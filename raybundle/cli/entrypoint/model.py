"""The meaning of the words of a job: a target to run, or an answer with the line to type instead."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from raybundle.resolve.driver.stand_in import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_OF_RUNS = frozenset(["--env", "--log-file", "--timeout"])
"""Options of `submit` that take a value."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Facts about the directory in which the command is typed."""

    exists: Callable[[str], bool]
    """Returns whether a word names a file or a directory."""
    text: Callable[[str], str | None]
    """Returns the start of a file's text; None if it is not a file or not text."""
    is_script: Callable[[str], bool]
    """Returns whether the project declares a console script of this name."""
    include: Callable[[str], str | None]
    """Returns the `--include` for a file, directory or module that a word names, relative to the project."""
    is_apart: Callable[[str], bool]
    """Returns whether a script in this directory belongs to another project than the current directory."""


@dataclass(frozen=True, slots=True)
class Run:
    """A target and its arguments."""

    words: tuple[str, ...]
    """`-m MODULE ARGS…` or `TARGET ARGS…`."""
    options: tuple[str, ...] = ()
    """Options of Python, as `read_python_options` returns them."""
    env: tuple[tuple[str, str], ...] = ()
    """Environment variables of the job."""
    notes: tuple[str, ...] = ()
    """Notes for the user about parts of the line that the job does without."""


@dataclass(frozen=True, slots=True)
class Driver:
    """A script for the user to write, which does what was typed."""

    name: str
    code: str


@dataclass(frozen=True, slots=True)
class Answer:
    """Why the words cannot be carried out, and what to type instead."""

    text: str
    words: tuple[str, ...] = ()
    """The target and its arguments, as they follow the options of `raybundle submit`."""
    options: tuple[str, ...] = ()
    """Options of `raybundle` before the target; the user's shell expands `$(…)`."""
    env: tuple[tuple[str, str], ...] = ()
    driver: Driver | None = None
    before: tuple[str, ...] = ()
    """Lines to run in the user's shell first."""
    hint: str = ""
    """The text before the line, or instead of it."""

    def line(self, command: str) -> str:
        """Returns the line to type, or nothing if there is none.

        Args:
            command: as typed, such as `raybundle submit`.
        """
        if not self.words:
            return ""
        env = [word for name, value in self.env for word in ("--env", f"{name}={value}")]
        options, words, name = [*env, *self.options], self.words, command.split()[1]
        if name != "submit":
            options = list(_of_resolve(options))
        if name not in {"submit", "trace"} and words[0] != "--":
            words = words[: 1 + (words[0] == "-m")]
        return " ".join([command, *map(_quoted, options), shlex.join(words)])

    def advice(self, command: str) -> str:
        """Returns the hint: what to write and what to type."""
        parts = [self.hint] if self.hint else []
        if self.driver:
            parts.append(shown(self.driver.name, self.driver.code))
        parts += [f"type `{line}`" for line in (*self.before, self.line(command)) if line]
        return "\n".join(parts)


def _of_resolve(options: Iterable[str]) -> Iterator[str]:
    """Yields the options that are also valid for commands that run nothing."""
    left = iter(options)
    for word in left:
        if word in _OF_RUNS:
            next(left)
        elif word != "--no-wait":
            yield word


def _quoted(word: str) -> str:
    return f'"{word}"' if word.startswith("$(") else shlex.quote(word)


Outcome = Run | Answer


def with_env(outcome: Outcome, env: Iterable[tuple[str, str]]) -> Outcome:
    """Returns the outcome with environment variables before its own.

    Directories in PYTHONPATH become roots instead, which are part of the bundle.
    """
    pairs = tuple(env)
    plain = tuple(each for each in pairs if each[0] != "PYTHONPATH")
    outcome = replace(outcome, env=(*plain, *outcome.env))
    roots = [part for name, value in pairs if name == "PYTHONPATH" for part in value.split(":") if part]
    if not roots:
        return outcome
    options = tuple(word for each in roots for word in ("--root", each))
    if isinstance(outcome, Answer):
        return replace(outcome, options=(*options, *outcome.options))
    text = "the bundle fixes the path of a job, and PYTHONPATH would change it"
    return as_answer(outcome, text, options)


def with_note(outcome: Outcome, note: str) -> Outcome:
    """Returns a run with one more note; the line of an answer shows what is left out."""
    return replace(outcome, notes=(note, *outcome.notes)) if isinstance(outcome, Run) else outcome


def as_answer(outcome: Outcome, text: str, options: tuple[str, ...] = (), hint: str = "") -> Answer:
    """Returns the answer that names the line for `outcome`; an answer keeps its own text."""
    if isinstance(outcome, Answer):
        return replace(outcome, options=(*options, *outcome.options))
    words = ("--", "python", *outcome.options, *outcome.words) if outcome.options else outcome.words
    return Answer(text, words, options, outcome.env, hint=hint)
