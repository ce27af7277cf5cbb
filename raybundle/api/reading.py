"""Turns the keywords of a call into what the pipeline takes."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raybundle.api.handle import Heard
from raybundle.api.keywords import PathText, plain, require
from raybundle.cluster.secrets import parse_secrets
from raybundle.config import KEYS
from raybundle.errors import UsageError
from raybundle.model import ModuleName, ModuleTarget
from raybundle.resolve.driver.project import find_target
from raybundle.submission.asking import Given, ask
from raybundle.submission.connecting import Connecting
from raybundle.submission.options import JobOptions
from raybundle.submission.ray_environment import RayEnvironment, read_ray_environment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from raybundle.cluster.jobs import JobsClient
    from raybundle.config import Settings
    from raybundle.request import Request

_RESOURCES = (
    "entrypoint_num_cpus",
    "entrypoint_num_gpus",
    "entrypoint_memory",
    "entrypoint_resources",
    "entrypoint_label_selector",
)


def heard_of(options: Mapping[str, Any]) -> Heard:
    """Returns who hears of progress and warnings."""
    return Heard(options.get("notify") or (lambda _text: None))


def request_of(
    target: PathText, arguments: Sequence[str], options: Mapping[str, Any]
) -> tuple[Request, RayEnvironment]:
    """Returns what is bundled, and what `runtime_env` and `working_dir` ask for.

    Raises:
        UsageError: an argument or a setting is wrong.
    """
    require("target", target, PathText)
    require("arguments", arguments, Sequence[str])
    name, environment = os.fspath(target), environment_of(options)
    module = bool(options.get("module"))
    found = ModuleTarget(ModuleName(name)) if module else find_target(name, environment.project)
    traces = bool(options.get("trace"))
    return ask(found, tuple(arguments), given_in(options), environment, traces=traces), environment


def given_in(options: Mapping[str, Any]) -> Given:
    """Returns where settings come from: these keywords, the environment, a profile, files."""
    named = {key: plain(options.get(key.replace("-", "_"))) for key in KEYS}
    return Given(named, os.environ, Path.cwd(), options.get("profile"))


def environment_of(options: Mapping[str, Any]) -> RayEnvironment:
    """Returns what `runtime_env` and `working_dir` ask for.

    Raises:
        UsageError: they cannot be used with a bundle.
    """
    given, directory = plain(options.get("runtime_env")), plain(options.get("working_dir"))
    if not isinstance(given, dict):
        return read_ray_environment(given, None, directory, Path.cwd())
    try:
        text = json.dumps(given)
    except (TypeError, ValueError) as error:
        raise UsageError(f"`runtime_env` holds what JSON cannot carry: {error}") from error
    return read_ray_environment(None, text, directory, Path.cwd())


def connecting_of(options: Mapping[str, Any], settings: Settings, heard: Heard) -> Connecting:
    """Returns how the cluster is reached."""
    headers, verify = options.get("headers"), plain(options.get("verify"))
    return Connecting(
        settings,
        os.environ,
        heard.note,
        headers=None if headers is None else json.dumps(dict(headers)),
        verify=str(verify).lower() if isinstance(verify, bool) else verify,
        certificate=plain(options.get("client_cert")),
        key=plain(options.get("client_key")),
    )


def client_of(options: Mapping[str, Any]) -> JobsClient:
    """Returns a client of the cluster; no embedded cluster is started for it.

    Raises:
        ClusterError: no address is configured, and the embedded cluster is not running.
    """
    return connecting_of(options, given_in(options).settings(), heard_of(options)).client()


def job_options(
    options: Mapping[str, Any],
    settings: Settings,
    arguments: tuple[str, ...],
    cwd: str,
    environment: RayEnvironment,
) -> JobOptions:
    """Returns what a job is besides its bundle.

    Raises:
        UsageError: a reference to a secret is not valid.
    """
    secrets = options.get("secrets") or {}
    return JobOptions(
        arguments=arguments,
        env={**environment.env, **settings.table("env")},
        submission_id=options.get("submission_id"),
        if_exists=options.get("if_exists") or "attach",
        metadata=options.get("metadata") or {},
        resources={name: plain(options[name]) for name in _RESOURCES if options.get(name) is not None},
        secrets=parse_secrets([f"{name}={reference}" for name, reference in secrets.items()]),
        runtime_env=environment.passed,
        cwd=cwd,
        recorded=settings.items("record-env"),
        saves_log=bool(options.get("save_logs")),
    )
