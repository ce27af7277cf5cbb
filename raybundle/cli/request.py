"""Turns command-line words into the values that the pipeline takes: targets, settings, job options."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raybundle.config import load_settings
from raybundle.errors import UsageError
from raybundle.graph.project import project_of
from raybundle.model import ModuleName, ModuleTarget, ScriptTarget
from raybundle.pipeline import Request
from raybundle.submission import JobOptions

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from raybundle.config import Settings
    from raybundle.model import Target

_PYTHON = re.compile(r"python(3(\.\d+)?)?")
_IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_RESOURCES = ("entrypoint_num_cpus", "entrypoint_num_gpus", "entrypoint_memory")


def parse_target(words: Sequence[str]) -> tuple[Target, tuple[str, ...]]:
    """Returns target and arguments of `TARGET ARGS…`, `-m MODULE ARGS…` or `-- python job.py ARGS…`.

    Raises:
        UsageError: there is no target, or no file of that name.
    """
    match list(words):
        case ["--", interpreter, *rest] if _PYTHON.fullmatch(Path(interpreter).name):
            return parse_target([word for i, word in enumerate(rest) if word != "-u" or i > 0])
        case ["--", first, *_] if not first.endswith(".py"):
            raise UsageError(f"`{first}` is not Python", hint="after `--` comes `python job.py ARGS…`")
        case ["--", *rest]:
            return parse_target(rest)
        case ["-m", name, *arguments]:
            return ModuleTarget(ModuleName(name)), tuple(arguments)
        case [name, *arguments] if not name.startswith("-"):
            return ScriptTarget(_script(name)), tuple(arguments)
        case []:
            raise UsageError("no target: name a script, or `-m` and a module")
        case [first, *_]:
            raise UsageError(f"`{first}` is no target: name a script, or `-m` and a module")
    raise AssertionError(words)


def parse_target_alone(words: Sequence[str]) -> Target:
    """Returns the target of a command that runs nothing, and so takes no arguments for it.

    Raises:
        UsageError: there is no target, or more than that.
    """
    target, rest = parse_target(words)
    if rest:
        raise UsageError(f"`{rest[0]}` stands after the target", hint="options stand before the target")
    return target


def _script(name: str) -> Path:
    path = Path(name)
    if not path.is_file():
        what = "is a directory" if path.is_dir() else "does not exist"
        raise UsageError(f"the target {name} {what}", hint="name the script that is the driver")
    return path.resolve()


def make_request(arguments: argparse.Namespace, target: Target) -> Request:
    """Returns what a command is to build, with all its settings."""
    cwd = Path.cwd()
    project = project_of(target, cwd)
    return Request(target, settings_of(arguments, project), project, cwd, os.environ)


def settings_of(arguments: argparse.Namespace, project: Path | None = None) -> Settings:
    """Returns the settings of a command; `project` is looked for from the current directory if absent."""
    given = vars(arguments)
    flags = {
        key: given.get(key) for key in ("store", "address", "name", "roots", "include", "exclude", "python")
    }
    flags["env"] = parse_env(given.get("env") or ())
    directory = project or project_of(ModuleTarget(ModuleName("")), Path.cwd())
    return load_settings(flags, os.environ, directory, given.get("profile"))


def parse_env(words: Sequence[str]) -> dict[str, str]:
    """Returns pairs from `NAME=VALUE`.

    Raises:
        UsageError: a word has no `=`.
    """
    for word in words:
        if "=" not in word[1:]:
            raise UsageError(f"`--env {word}`: expected NAME=VALUE")
    return dict(word.split("=", 1) for word in words)


def job_options(
    arguments: argparse.Namespace, settings: Settings, job_arguments: Sequence[str]
) -> JobOptions:
    """Returns what the command line says of the job.

    Raises:
        UsageError: an id or a JSON value is not valid.
    """
    identifier = arguments.submission_id
    if identifier is not None and not _IDENTIFIER.fullmatch(identifier):
        raise UsageError(f"the id {identifier!r} has other characters than letters, digits and `._-`")
    resources: dict[str, Any] = {
        name: getattr(arguments, name) for name in _RESOURCES if getattr(arguments, name) is not None
    }
    if arguments.entrypoint_resources is not None:
        resources["entrypoint_resources"] = _json_object(
            "--entrypoint-resources", arguments.entrypoint_resources
        )
    metadata = (
        _json_object("--metadata-json", arguments.metadata_json)
        if arguments.metadata_json is not None
        else {}
    )
    return JobOptions(
        arguments=tuple(job_arguments),
        env=settings.table("env"),
        submission_id=identifier,
        metadata={name: str(value) for name, value in metadata.items()},
        resources=resources,
    )


def _json_object(option: str, text: str) -> Mapping[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise UsageError(f"{option}: not JSON: {error}") from error
    if not isinstance(value, dict):
        raise UsageError(f"{option}: expected a JSON object, not {text}")
    return value
