"""Turns options of the command line into what a submission takes: the connection, the job, its limits."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from raybundle.cli.services.identity import FROM_CI, identity
from raybundle.cluster.secrets import parse_secrets
from raybundle.cluster.stopping import Limits
from raybundle.errors import UsageError
from raybundle.submission.connecting import Connecting
from raybundle.submission.options import JobOptions

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from raybundle.cli.output.console import Console
    from raybundle.config import Settings
    from raybundle.submission.ray_environment import RayEnvironment

_RESOURCES = ("entrypoint_num_cpus", "entrypoint_num_gpus", "entrypoint_memory")


def refuse_unheeded(arguments: argparse.Namespace) -> None:
    """Refuses options of waiting and of the log with `--no-wait`: they would have no effect."""
    given = {
        "--timeout": arguments.timeout is not None,
        "--start-timeout": arguments.start_timeout is not None,
        "--retries": arguments.retries > 0,
        "--exit-code": arguments.exit_code != "status",
        "--log-file": arguments.log_file is not None,
        "--timestamps": arguments.timestamps,
        "--save-logs": arguments.save_logs,
    }
    unheeded = [name for name, there in given.items() if there]
    if arguments.no_wait and unheeded:
        raise UsageError(f"{', '.join(unheeded)}: nobody waits for the job with --no-wait")


def limits_of(arguments: argparse.Namespace) -> Limits:
    """Returns when to stop a job."""
    return Limits(end=arguments.timeout, start=arguments.start_timeout)


def connecting_of(arguments: argparse.Namespace, settings: Settings, console: Console) -> Connecting:
    """Returns how a command reaches its cluster."""
    return Connecting(
        settings,
        os.environ,
        console.note,
        headers=arguments.headers,
        verify=arguments.verify,
        certificate=arguments.client_cert,
        key=arguments.client_key,
    )


def job_options(
    arguments: argparse.Namespace,
    settings: Settings,
    words: Sequence[str],
    cwd: str,
    environment: RayEnvironment | None = None,
) -> JobOptions:
    """Returns what the command line says about the job.

    Args:
        arguments: of the command line.
        settings: of the command.
        words: arguments of the job.
        cwd: where it starts, relative to the project.
        environment: what the options of `ray job submit` ask for.

    Raises:
        UsageError: a JSON value or a reference to a secret is not valid.
    """
    metadata = _json_option(arguments, "metadata_json") or {}
    env = {**(environment.env if environment else {}), **settings.table("env")}
    return JobOptions(
        arguments=tuple(words),
        env=env,
        submission_id=_submission_id(arguments, env),
        if_exists=arguments.if_exists,
        metadata={name: _metadata_text(name, value) for name, value in metadata.items()},
        resources=_resources(arguments),
        secrets=parse_secrets(arguments.secret or ()),
        runtime_env=environment.passed if environment else {},
        cwd=cwd,
        recorded=settings.items("record-env"),
        saves_log=arguments.save_logs,
    )


def _submission_id(arguments: argparse.Namespace, env: Mapping[str, str]) -> str | None:
    """Returns the id that was given; `@ci` means one of the run of a pipeline."""
    given: str | None = arguments.submission_id
    if given != FROM_CI:
        return given
    again = [arguments.run, str(arguments.args)] if arguments.command == "rerun" else []
    variables = [f"{name}={value}" for name, value in sorted(env.items())]
    words = [arguments.command, *again, *arguments.rest, *variables, arguments.cwd or ""]
    return identity(os.environ, words)


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
