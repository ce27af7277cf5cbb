"""Reads commands that run another command: `env`, `time`, `uv run`, `conda run` and others."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from typing import TYPE_CHECKING

from raybundle.cli.entrypoint.model import Answer, Run, as_answer, with_env, with_note

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from raybundle.cli.entrypoint.model import Outcome, Surroundings

    Command = Callable[[tuple[str, ...], Surroundings], Outcome]
    Handler = Callable[[str, tuple[str, ...], Surroundings, Command], Outcome]

_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)=(.*)", re.ASCII | re.DOTALL)
_LEFT_OUT = {
    "exec": ("a", ""),
    "command": ("", ""),
    "time": ("fo", "`--json` has the seconds of each stage"),
    "nohup": ("", "a job does not end with your terminal"),
    "nice": ("n", "it has the priority of the cluster's other jobs"),
    "ionice": ("cnp", "it has the priority of the cluster's other jobs"),
    "setsid": ("", "Ray starts a job in a session of its own"),
    "stdbuf": ("ioe", "the log of a job is not buffered"),
    "unbuffer": ("", "the log of a job is not buffered"),
}
"""Options with a value, and why a job does without the command; no reason if nothing is lost."""
_UV_HARMLESS = frozenset(
    ["--frozen", "--locked", "--no-sync", "--active", "--offline", "--quiet", "-q", "--no-progress", "-v"]
)
_WITH_VALUE = """
    --with -w --with-editable --with-requirements --extra --group --only-group --no-group --no-extra
    --env-file --python -p --directory --project --package --index --default-index --index-url -i
    --extra-index-url --find-links -f --index-strategy --resolution --prerelease --refresh-package
    --color --cache-dir
"""
_SYNCED = """
    --extra --group --only-group --all-extras --all-groups --no-dev --dev --only-dev --no-group --no-extra
    --package
"""
_UV_VALUES, _UV_SYNC = frozenset(_WITH_VALUE.split()), frozenset(_SYNCED.split())
"""Options of `uv run` with a value, and those that `uv sync` has as well."""
_UV_BEFORE = {
    "--with": "uv pip install {}",
    "-w": "uv pip install {}",
    "--with-requirements": "uv pip install -r {}",
    "--with-editable": "uv pip install -e {}",
    "--directory": "cd {}",
}
_UV_PYTHON = {"--python": "{}", "-p": "{}", "--project": "$(uv run --project {} which python)"}
_UV_HINTS = {"--env-file": "name the variables of {1}: `--env NAME=VALUE`, or `--secret` for a secret"}
"""Replacements for an option, by its value: a line before, the interpreter, or advice."""


def _left_out(name: str, rest: tuple[str, ...], here: Surroundings, command: Command) -> Outcome:
    """Returns the outcome for the inner command; a job does without the outer one."""
    valued, reason = _LEFT_OUT[name]
    outcome = command(_after_options(rest, valued), here)
    return with_note(outcome, f"the job runs without `{name}`: {reason}") if reason else outcome


def _after_options(rest: tuple[str, ...], valued: str) -> tuple[str, ...]:
    """Returns the words after the options; one-letter options in `valued` take the next word."""
    while rest and rest[0].startswith("-"):
        word, rest = rest[0], rest[1:]
        if word == "--":
            break
        if len(word) == 2 and word[1] in valued:  # noqa: PLR2004 - a dash and a letter
            rest = rest[1:]
    return rest


def _env(_name: str, rest: tuple[str, ...], here: Surroundings, command: Command) -> Outcome:
    env: list[tuple[str, str]] = []
    removed: list[str] = []
    while rest and (rest[0].startswith("-") or "=" in rest[0]):
        word, rest = rest[0], rest[1:]
        if found := _ASSIGNMENT.fullmatch(word):
            env.append((found[1], found[2]))
        elif word in {"-i", "-", "--ignore-environment"}:
            removed.append("")
        elif word in {"-u", "--unset"} and rest:
            removed.append(rest[0])
            rest = rest[1:]
        elif word.startswith(("-u", "--unset=")):
            removed.append(word.removeprefix("--unset=").removeprefix("-u"))
        elif word != "--":
            return Answer(f"`env {word}` cannot be carried out", hint="leave it out, and type the command")
    outcome = with_env(command(rest, here), env)
    return _without(removed, outcome) if removed else outcome


def _without(removed: list[str], outcome: Outcome) -> Outcome:
    """Returns the answer to `env -u NAME` and `env -i`: the environment is that of the nodes."""
    names = [name for name in removed if name]
    if len(names) < len(removed):
        return as_answer(outcome, "`env -i` would remove what a node needs to run the bundle")
    removal = "; ".join(f"os.environ.pop({name!r}, None)" for name in names)
    text = f"`env -u` removes {', '.join(names)} from the environment of a shell, and a job has none"
    return as_answer(
        outcome, text, hint=f"write `import os; {removal}` at the top of the script if a node sets it"
    )


def _sudo(name: str, rest: tuple[str, ...], here: Surroundings, command: Command) -> Outcome:
    outcome = command(_after_options(rest, "ugpCrt"), here)
    return as_answer(outcome, f"a job runs as the user of the nodes' Ray, and `{name}` cannot change that")


def _timeout(_name: str, rest: tuple[str, ...], here: Surroundings, command: Command) -> Outcome:
    rest = _after_options(rest, "ks")
    if len(rest) < 2:  # noqa: PLR2004 - a time and a command
        return Answer("`timeout` has no command")
    text = "`timeout` would end the driver on its node; raybundle stops the whole job"
    return as_answer(command(rest[1:], here), text, ("--timeout", rest[0]))


def _uv(name: str, rest: tuple[str, ...], here: Surroundings, command: Command) -> Outcome:
    if rest[:1] != ("run",):
        return Answer(f"`{' '.join((name, *rest[:1]))}` runs no job", hint="name the script that is the job")
    given, rest = _uv_options(rest[1:])
    module = [value for option, value in given if option in {"-m", "--module"}]
    inner: Outcome = Run(("-m", *module, *rest)) if module else command(rest, here)
    if isinstance(inner, Run) and not module and rest and "# /// script" in (here.text(rest[0]) or ""):
        return _uv_script(rest[0], inner)
    heeded = [
        each for each in given if each[0] not in _UV_HARMLESS | {"-m", "--module", "-s", "--script", "--"}
    ]
    if not heeded:
        return with_note(inner, _NOT_ITS_ENVIRONMENT.format("uv run"))
    return _uv_answer(heeded, inner)


def _uv_options(rest: tuple[str, ...]) -> tuple[list[tuple[str, str]], tuple[str, ...]]:
    """Returns the options of `uv run`, each with its value, and the command."""
    given: list[tuple[str, str]] = []
    while rest and rest[0].startswith("-"):
        word, equals, value = rest[0].partition("=")
        rest = rest[1:]
        if not equals and word in _UV_VALUES | {"-m", "--module"} and rest:
            value, rest = rest[0], rest[1:]
        given.append((word, value))
        if word in {"--", "-m", "--module"}:
            break
    return given, rest


def _uv_script(name: str, inner: Run) -> Answer:
    return replace(
        as_answer(
            inner,
            f"`uv run` makes an environment of what the head of {name} asks for, and a bundle takes one "
            "that is there",
            ("--python", f"$(uv python find --script {name})"),
        ),
        before=(f"uv sync --script {name}",),
    )


def _uv_answer(given: list[tuple[str, str]], inner: Outcome) -> Outcome:
    """Returns the answer to options that change the environment, which must exist before the build."""
    typed = [option if not value else f"{option} {value}" for option, value in given]
    text = f"`uv run {' '.join(typed)}` changes the environment, and a bundle takes one that is there"
    before, options, hints = list[str](), list[str](), list[str]()
    synced = [word for (option, _), word in zip(given, typed, strict=True) if option in _UV_SYNC]
    if synced:
        before.append(f"uv sync {' '.join(synced)}")
    for option, value in given:
        if option in _UV_BEFORE:
            before.append(_UV_BEFORE[option].format(shlex.join(re.split(r",(?=[A-Za-z])", value))))
        elif option in _UV_PYTHON:
            options += ["--python", _UV_PYTHON[option].format(shlex.quote(value))]
        elif option not in _UV_SYNC:
            hints.append(_UV_HINTS.get(option, "`{0}` is left out of this line").format(option, value))
    return replace(as_answer(inner, text, tuple(options), "\n".join(hints)), before=tuple(before))


_NOT_ITS_ENVIRONMENT = (
    "the job runs without `{0}`: the bundle is built from the active environment, "
    "else from the project's .venv"
)
"""Such a command nearly always chooses that environment."""


def _managed(name: str, rest: tuple[str, ...], here: Surroundings, command: Command) -> Outcome:
    """Returns the outcome for `poetry run …` and others, which use the current environment."""
    if rest[:1] != ("run",):
        return Answer(f"`{' '.join((name, *rest[:1]))}` runs no job", hint="name the script that is the job")
    rest = _after_options(rest[1:], "ep")
    environment, colon, program = rest[0].partition(":") if rest else ("", "", "")
    if name == "hatch" and colon:
        inner = command((program, *rest[1:]), here)
        return _of_environment(inner, f"hatch run {environment}:", f"$(hatch run {environment}:which python)")
    return with_note(command(rest, here), _NOT_ITS_ENVIRONMENT.format(f"{name} run"))


def _conda(name: str, rest: tuple[str, ...], here: Surroundings, command: Command) -> Outcome:
    if rest[:1] != ("run",):
        return Answer(f"`{' '.join((name, *rest[:1]))}` runs no job", hint="name the script that is the job")
    words = list(rest[1:])
    which = ""
    while words and words[0].startswith("-"):
        word = words.pop(0)
        if word in {"-n", "--name", "-p", "--prefix", "--cwd"} and words:
            value = words.pop(0)
            which += "" if word == "--cwd" else f"{word} {value} "
        elif word.startswith(("--name=", "--prefix=")):
            which += f"{word} "
    if not which:
        return with_note(command(tuple(words), here), _NOT_ITS_ENVIRONMENT.format(f"{name} run"))
    inner = command(tuple(words), here)
    return _of_environment(inner, f"{name} run {which.strip()}", f"$({name} run {which}which python)")


def _of_environment(inner: Outcome, typed: str, python: str) -> Answer:
    """Returns the answer to a command that names an environment; `python` finds its Python in a shell."""
    text = f"`{typed}` names an environment of this machine, which the bundle has to be built from"
    return as_answer(inner, text, ("--python", python))


HANDLERS: Mapping[str, Handler] = {
    **dict.fromkeys(_LEFT_OUT, _left_out),
    **dict.fromkeys(("poetry", "pdm", "pipenv", "hatch", "rye", "pixi"), _managed),
    **dict.fromkeys(("conda", "mamba", "micromamba"), _conda),
    **dict.fromkeys(("sudo", "doas"), _sudo),
    "env": _env,
    "timeout": _timeout,
    "uv": _uv,
}
