"""Classifies the words of a job: the target that they run, or an answer with the line to type."""

from __future__ import annotations

import re
import shlex
from pathlib import PurePath
from typing import TYPE_CHECKING

from raybundle.cli.entrypoint import launchers, scripts, wrappers
from raybundle.cli.entrypoint.model import Answer, Run, with_env, with_note
from raybundle.cli.entrypoint.modules import module_run
from raybundle.cli.entrypoint.python_options import read_python_options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from raybundle.cli.entrypoint.model import Outcome, Surroundings

_PYTHON = re.compile(r"python(3(\.\d+t?)?)?")
_PROMPT = ("$",)
"""Prompts before the command lines of a README."""
_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)=(.*)", re.ASCII | re.DOTALL)


def classify(words: Sequence[str], here: Surroundings, *, pasted: bool) -> Outcome:
    """Returns the run or the answer for `words`.

    Args:
        words: the words of the command line.
        here: the directory in which they are typed.
        pasted: they come after `--`, where `python` is an interpreter even if a file has that name.
    """
    if not any(word.strip() for word in words):
        return Run(())
    first = words[0]
    if first.startswith("-") or (not pasted and _is_target(first, here)):
        return _target(tuple(words), here)
    if _is_line(first, here, alone=len(words) == 1):
        outcome = scripts.read_line(first, here, command)
        return outcome if isinstance(outcome, Answer) or len(words) == 1 else _longer(outcome, words[1:])
    return command(tuple(words), here)


def command(words: tuple[str, ...], here: Surroundings) -> Outcome:
    """Returns the outcome for a simple command: assignments, then a program and its arguments."""
    env: list[tuple[str, str]] = []
    rest = words[1:] if words[:1] == _PROMPT else words
    while rest and (found := _ASSIGNMENT.fullmatch(rest[0])):
        env.append((found[1], found[2]))
        rest = rest[1:]
    outcome = _program(rest, here)
    return with_env(outcome, env) if env else outcome


def _program(words: tuple[str, ...], here: Surroundings) -> Outcome:
    if not words:
        return Run(())
    first, *rest = words
    name = PurePath(first).name
    if scripts.installs((name, *rest)):
        text = "an installation on one node would be lost: the bundle takes what the job imports from here"
        return Answer(text, before=(shlex.join(words),), hint="install it here, and submit the job")
    if _PYTHON.fullmatch(name):
        outcome = _python(rest, here)
        return (
            with_note(outcome, f"the job runs on the nodes' Python, not on `{name}`")
            if "." in name
            else outcome
        )
    if here.is_script(first):
        return Run(words)
    if name in wrappers.HANDLERS:
        return wrappers.HANDLERS[name](name, tuple(rest), here, command)
    if name in scripts.SHELLS:
        return scripts.shell(name, tuple(rest), here, command)
    if name in launchers.HANDLERS:
        return launchers.HANDLERS[name](name, tuple(rest), here)
    return _target(words, here)


def _python(rest: Sequence[str], here: Surroundings) -> Outcome:
    options, words = read_python_options(rest)
    match words:
        case ["-c", code, *arguments]:
            return launchers.inline_code(code, tuple(arguments))
        case ["-m", module, *arguments]:
            return module_run(module, tuple(arguments), options, here)
    return Run(tuple(words), options)


def _target(words: tuple[str, ...], here: Surroundings) -> Outcome:
    """Returns the run of a named target; reads a shell script."""
    if words[0] == "-m" and len(words) > 1:
        return module_run(words[1], words[2:], (), here)
    if scripts.is_shell_script(words[0], here):
        return scripts.shell_script(words[0], words[1:], here, command)
    return Run(words)


def _is_target(first: str, here: Surroundings) -> bool:
    """Returns whether a word names a target of the project; `.venv/bin/python` is a file too."""
    if "/bin/" in f"/{first}" and not first.endswith(".py"):
        return False
    return here.exists(first) or here.is_script(first)


def _is_line(word: str, here: Surroundings, *, alone: bool) -> bool:
    """Returns whether one word is a whole command line, and not a file name or variable with blanks."""
    if here.exists(word) or not re.search(r"\s", word.strip()):
        return False
    return alone or _ASSIGNMENT.fullmatch(word) is None


def _longer(run: Run, arguments: Sequence[str]) -> Run:
    return Run((*run.words, *arguments), run.options, run.env, run.notes)
