"""Turns command-line words into the values that the pipeline takes: requests, settings, job options."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from raybundle.cluster.secrets import refuse_literals
from raybundle.errors import UsageError
from raybundle.exhaustive import assert_never
from raybundle.model import ModuleName, ModuleTarget
from raybundle.resolve.driver.project import find_target
from raybundle.submission.asking import Given, ask
from raybundle.submission.ray_environment import read_ray_environment

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from raybundle.cli.output.console import Console
    from raybundle.config import Settings
    from raybundle.model import Target
    from raybundle.request import Request
    from raybundle.submission.ray_environment import RayEnvironment

_LITERAL = re.compile(r"""\b([A-Za-z_]\w*)=([^\s'"]+)""")
"""A value in a shell line; messages show none that looks like a secret."""


@dataclass(frozen=True, slots=True)
class Command:
    """What the words of a command line run."""

    target: Target
    arguments: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    """Environment variables before the program, as in `SEED=1 python job.py`."""
    notes: tuple[str, ...] = ()


def parse_command(words: Sequence[str], base: Path | None = None, typed: str = "raybundle submit") -> Command:
    """Returns what `TARGET ARGS…`, `-m MODULE ARGS…` or a pasted `-- python … job.py ARGS…` runs.

    Args:
        words: of the command line.
        base: where a relative script is looked up before the current directory.
        typed: the words before them, for the line that an error shows.

    Raises:
        UsageError: there is no such target, or a job cannot have what the words ask for; the hint shows the
            line to type instead.
    """
    if _is_script(words, base):
        return Command(*_parse_words(list(words), base, ()))
    # Start-up: most commands name a script.
    from raybundle.cli.entrypoint.classify import classify
    from raybundle.cli.entrypoint.model import Answer, Run
    from raybundle.cli.entrypoint.surroundings import surroundings

    pasted = list(words[:1]) == ["--"]
    match classify(words[pasted:], surroundings(base), pasted=pasted):
        case Answer() as answer:
            code = answer.driver.code if answer.driver else ""
            refuse_literals({**dict(answer.env), **dict(_LITERAL.findall(code))})
            raise UsageError(answer.text, hint=answer.advice(typed) or None)
        case Run() as run:
            target, arguments = _parse_words(list(run.words), base, run.options)
            return Command(target, arguments, run.env, run.notes)
        case other:
            return assert_never(other)


def _is_script(words: Sequence[str], base: Path | None) -> bool:
    """Returns whether the first word names a file of Python, so that the words are what they seem."""
    name = words[0] if words else ""
    try:
        return name.endswith(".py") and any(Path(each, name).is_file() for each in (base or "", ""))
    except OSError:  # too long
        return False


def _parse_words(
    words: list[str], base: Path | None, options: tuple[str, ...]
) -> tuple[Target, tuple[str, ...]]:
    match words:
        case ["-m", name, *arguments]:
            return ModuleTarget(ModuleName(name), options), tuple(arguments)
        case [name, *arguments] if not name.startswith("-"):
            return find_target(name, base, options), tuple(arguments)
        case []:
            raise UsageError("no target: name a script, or `-m` and a module")
        case [first, *_]:
            raise UsageError(f"`{first}` is no target: name a script, or `-m` and a module")
    raise AssertionError(words)


def read_command(
    arguments: argparse.Namespace, console: Console, base: Path | None = None, *, runs: bool = True
) -> Command:
    """Returns what the words of a command run, and shows its notes.

    Args:
        arguments: of the command line.
        console: where the notes go.
        base: where a relative script is looked up before the current directory.
        runs: the command runs the target. Another command takes arguments for it only in a pasted command
            line.

    Raises:
        UsageError: there is no target, or other words follow it.
    """
    words = arguments.rest
    command = parse_command(words, base, typed_of(arguments))
    if not runs and command.arguments and words[0] != "--" and len(words) > 1:
        raise UsageError(
            f"`{command.arguments[0]}` comes after the target",
            hint="put options before the target, and a command line with arguments after `--`",
        )
    for note in command.notes:
        console.note(note)
    return command


def typed_of(arguments: argparse.Namespace) -> str:
    """Returns the start of the line that a message shows; `…` replaces options, which may be secret."""
    return f"raybundle {arguments.command} …" if arguments.has_options else f"raybundle {arguments.command}"


def read_request(arguments: argparse.Namespace, console: Console, *, runs: bool = True) -> Request:
    """Returns what a command is to build, with all its settings; `runs` as for `read_command`."""
    return request_in(arguments, environment_of(arguments), console, runs=runs)


def request_in(
    arguments: argparse.Namespace, environment: RayEnvironment, console: Console, *, runs: bool = True
) -> Request:
    """Returns what a command is to build, with the environment that options of `ray job submit` ask for."""
    command = read_command(arguments, console, environment.project, runs=runs)
    given = given_of(arguments, command.env)
    return ask(command.target, command.arguments, given, environment, traces=arguments.trace)


def settings_of(arguments: argparse.Namespace) -> Settings:
    """Returns the settings of a command without a target."""
    return given_of(arguments).settings()


def settings_in(arguments: argparse.Namespace, project: Path) -> Settings:
    """Returns the settings of a command for a project."""
    return given_of(arguments).settings(project)


def given_of(arguments: argparse.Namespace, env: Sequence[tuple[str, str]] = ()) -> Given:
    """Returns the settings that the command line has.

    Variables before the program, `env`, take precedence over those of `--env`, as in a shell.
    """
    given = vars(arguments)
    flags = {
        key: given.get(key)
        for key in ("store", "address", "name", "roots", "include", "exclude", "python", "platform")
    }
    flags["require-signature"], flags["trusted-keys"] = (
        given.get("require_signature"),
        given.get("trusted_keys"),
    )
    flags["env"] = {**parse_env(given.get("env") or (), os.environ), **dict(env)}
    return Given(flags, os.environ, Path.cwd(), given.get("profile"))


def parse_env(words: Sequence[str], environ: Mapping[str, str]) -> dict[str, str]:
    """Returns pairs from `NAME=VALUE`, and from `NAME` with its value in this environment.

    Raises:
        UsageError: a name is empty, or has no value here.
    """
    found = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not (name.isidentifier() and name.isascii()):
            # The word is not shown: it may be a secret without its name.
            raise UsageError("`--env` takes NAME=VALUE or NAME, and has a word that is neither")
        if not equals and name not in environ:
            raise UsageError(f"`--env {name}`: it is not set here", hint=f"set it, or give {name}=VALUE")
        found[name] = value if equals else environ[name]
    return found


def environment_of(arguments: argparse.Namespace) -> RayEnvironment:
    """Returns what the options of `ray job submit` say about the runtime_env."""
    given = vars(arguments)
    file, text = given.get("runtime_env"), given.get("runtime_env_json")
    return read_ray_environment(file, text, arguments.working_dir, Path.cwd())


def form_of(arguments: argparse.Namespace, console: Console) -> str:
    """Returns the form of the output; `--format json` means `--json`.

    Raises:
        UsageError: the two options contradict each other.
    """
    if console.json_mode and arguments.format not in {None, "json"}:
        raise UsageError(f"`--json` and `--format {arguments.format}` ask for different things")
    return "json" if console.json_mode else arguments.format or "text"
