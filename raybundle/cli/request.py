"""Turns command-line words into the values that the pipeline takes: targets, settings, job options."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raybundle.cli.python_options import read_python_options
from raybundle.cli.ray_environment import read_ray_environment
from raybundle.cluster.follow import Limits
from raybundle.cluster.secrets import parse_secrets, refuse_literals
from raybundle.config import load_settings
from raybundle.errors import UsageError
from raybundle.graph.project import find_target, project_of
from raybundle.model import ModuleName, ModuleTarget
from raybundle.pipeline import Request, Tracing
from raybundle.submission import JobOptions

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from raybundle.cli.ray_environment import RayEnvironment
    from raybundle.config import Settings
    from raybundle.model import Target

_PYTHON = re.compile(r"python(3(\.\d+)?)?")
_IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_RESOURCES = ("entrypoint_num_cpus", "entrypoint_num_gpus", "entrypoint_memory")


def parse_target(words: Sequence[str], base: Path | None = None) -> tuple[Target, tuple[str, ...]]:
    """Returns target and arguments of `TARGET ARGS…`, `-m MODULE ARGS…` or `-- python … job.py ARGS…`.

    Args:
        words: of the command line.
        base: where a relative script is looked up before the current directory.

    Raises:
        UsageError: there is no target, none of that name, or an option of Python that a job cannot have.
    """
    match list(words):
        case ["--", interpreter, *rest] if _PYTHON.fullmatch(Path(interpreter).name):
            options, rest = read_python_options(rest)
            return _parse_words(rest, base, options)
        case ["--", first, *_] if not first.endswith(".py"):
            raise UsageError(f"`{first}` is not Python", hint="after `--` comes `python job.py ARGS…`")
        case ["--", *rest]:
            return _parse_words(rest, base, ())
        case rest:
            return _parse_words(rest, base, ())


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


def parse_target_alone(words: Sequence[str], base: Path | None = None) -> Target:
    """Returns the target of a command that runs nothing, and so takes no arguments for it.

    `base` is as for `parse_target`.

    Raises:
        UsageError: there is no target, or more than that.
    """
    target, rest = parse_target(words, base)
    if rest:
        raise UsageError(f"`{rest[0]}` stands after the target", hint="options stand before the target")
    return target


def make_request(
    arguments: argparse.Namespace, target: Target, environment: RayEnvironment | None = None
) -> Request:
    """Returns what a command is to build, with all its settings."""
    cwd = Path.cwd()
    if environment is None or environment.project is None:
        project = project_of(target, cwd)
    else:
        project = cwd = environment.project
    settings = settings_of(arguments, project)
    if environment is not None:
        settings = settings.extended("roots", environment.roots, "--runtime-env")
    set_up = environment.set_up if environment else ()
    return Request(target, settings, project, cwd, os.environ, _tracing(arguments, environment), set_up)


def _tracing(arguments: argparse.Namespace, environment: RayEnvironment | None) -> Tracing | None:
    """Returns how `--trace` runs the target: with the job's arguments, where the command has them."""
    if not arguments.trace:
        return None
    if not arguments.rest:  # the words of `why` hold no arguments
        return Tracing()
    _, words = parse_target(arguments.rest, environment.project if environment else None)
    return Tracing(words)


def settings_of(arguments: argparse.Namespace, project: Path | None = None) -> Settings:
    """Returns the settings of a command; `project` is looked for from the current directory if absent."""
    given = vars(arguments)
    flags = {
        key: given.get(key)
        for key in ("store", "address", "name", "roots", "include", "exclude", "python", "platform")
    }
    flags["env"] = parse_env(given.get("env") or (), os.environ)
    directory = project or project_of(ModuleTarget(ModuleName("")), Path.cwd())
    return load_settings(flags, os.environ, directory, given.get("profile"))


def parse_env(words: Sequence[str], environ: Mapping[str, str]) -> dict[str, str]:
    """Returns pairs from `NAME=VALUE`, and from `NAME` with the value that it has here.

    Raises:
        UsageError: a name is empty, or has no value here.
    """
    found = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not (name.isidentifier() and name.isascii()):
            # The word is not shown: it may be a secret that was typed alone.
            raise UsageError("`--env` takes NAME=VALUE or NAME, and has a word that is neither")
        if not equals and name not in environ:
            raise UsageError(f"`--env {name}`: it is not set here", hint=f"set it, or give {name}=VALUE")
        found[name] = value if equals else environ[name]
    return found


def refuse_unheeded(arguments: argparse.Namespace) -> None:
    """Refuses options of waiting and of the log where nobody waits: they would be without effect."""
    given = {
        "--timeout": arguments.timeout is not None,
        "--start-timeout": arguments.start_timeout is not None,
        "--retries": arguments.retries > 0,
        "--exit-code": arguments.exit_code != "status",
        "--log-file": arguments.log_file is not None,
        "--timestamps": arguments.timestamps,
    }
    unheeded = [name for name, there in given.items() if there]
    if arguments.no_wait and unheeded:
        raise UsageError(f"{', '.join(unheeded)}: nobody waits for the job with --no-wait")


def limits_of(arguments: argparse.Namespace) -> Limits:
    """Returns when to stop a job."""
    return Limits(end=arguments.timeout, start=arguments.start_timeout)


def environment_of(arguments: argparse.Namespace) -> RayEnvironment:
    """Returns what the options of `ray job submit` say of the runtime_env; only `submit` has all of them."""
    given = vars(arguments)
    file, text = given.get("runtime_env"), given.get("runtime_env_json")
    return read_ray_environment(file, text, arguments.working_dir, Path.cwd())


def job_options(
    arguments: argparse.Namespace,
    settings: Settings,
    job_arguments: Sequence[str],
    environment: RayEnvironment | None = None,
) -> JobOptions:
    """Returns what the command line says of the job.

    Raises:
        UsageError: an id or a JSON value is not valid, or a variable holds what looks like a secret.
    """
    identifier = arguments.submission_id
    if identifier is not None and not _IDENTIFIER.fullmatch(identifier):
        raise UsageError(f"the id {identifier!r} has other characters than letters, digits and `._-`")
    env = {**(environment.env if environment else {}), **settings.table("env")}
    refuse_literals(env)
    metadata = _json_option(arguments, "metadata_json") or {}
    return JobOptions(
        arguments=tuple(job_arguments),
        env=env,
        submission_id=identifier,
        if_exists=arguments.if_exists,
        metadata={name: _metadata_text(name, value) for name, value in metadata.items()},
        resources=_resources(arguments),
        secrets=parse_secrets(arguments.secret or ()),
        runtime_env=environment.passed if environment else None,
    )


def _resources(arguments: argparse.Namespace) -> dict[str, Any]:
    found = {name: getattr(arguments, name) for name in _RESOURCES}
    for name in ("entrypoint_resources", "entrypoint_label_selector"):
        found[name] = _json_option(arguments, name)
    return {name: value for name, value in found.items() if value is not None}


def _metadata_text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise UsageError(f"--metadata-json: the value of {name!r} is not a string", hint="Ray takes strings")
    return value


def _json_option(arguments: argparse.Namespace, name: str) -> Mapping[str, Any] | None:
    text = getattr(arguments, name)
    return None if text is None else _json_object(f"--{name.replace('_', '-')}", text)


def _json_object(option: str, text: str) -> Mapping[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise UsageError(f"{option}: not JSON: {error}") from error
    if not isinstance(value, dict):
        raise UsageError(f"{option}: expected a JSON object, not {text}")
    return value
