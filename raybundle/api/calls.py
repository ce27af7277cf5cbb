"""The library: bundles and jobs, with the same errors as the exit codes (docs/library.md)."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raybundle.api.job import Heard, Job, Source
from raybundle.api.keywords import (
    BuildKeywords,
    BundleKeywords,
    ClusterKeywords,
    PathText,
    RunKeywords,
    SubmitKeywords,
    plain,
    require,
    takes,
)
from raybundle.cluster.secrets import parse_secrets
from raybundle.config import KEYS
from raybundle.errors import UsageError
from raybundle.model import ModuleName, ModuleTarget
from raybundle.pipeline import order_bundle, order_target
from raybundle.planning import checked_plan
from raybundle.publish.bundles import build_target
from raybundle.request import prepare
from raybundle.resolve.driver.project import find_target, parse_directory
from raybundle.submission.asking import Given, ask
from raybundle.submission.attempts import submit_order
from raybundle.submission.connecting import Connecting
from raybundle.submission.options import JobOptions
from raybundle.submission.ray_environment import RayEnvironment, read_ray_environment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from typing_extensions import Unpack

    from raybundle.cluster.jobs import JobInfo, JobsClient
    from raybundle.config import Settings
    from raybundle.planning import Plan
    from raybundle.publish.stored import Stored
    from raybundle.request import Request
    from raybundle.submission.attempts import Order

_RESOURCES = (
    "entrypoint_num_cpus",
    "entrypoint_num_gpus",
    "entrypoint_memory",
    "entrypoint_resources",
    "entrypoint_label_selector",
)


@takes(BundleKeywords)
def plan(target: PathText, arguments: Sequence[str] = (), **options: Unpack[BundleKeywords]) -> Plan:
    """Returns the bundle of a target, which is not stored.

    Args:
        target: a script, a directory with a `__main__.py`, a notebook, the name of a console script of the
            project, or, with `module=True`, the name of a module.
        arguments: of the job; files of the project that they name travel.
        options: as `raybundle.api.keywords.BundleKeywords` lists them.

    Raises:
        UsageError: an argument or a setting is wrong.
        BundleError: the target cannot be bundled.
    """
    request, _ = _ask(target, arguments, options)
    return checked_plan(prepare(request), _heard(options), strict=options.get("strict", False))


@takes(BuildKeywords)
def build(target: PathText, arguments: Sequence[str] = (), **options: Unpack[BuildKeywords]) -> Stored:
    """Returns the bundle of a target, once it is in the store.

    Args:
        target: as for `plan`.
        arguments: as for `plan`.
        options: as `raybundle.api.keywords.BuildKeywords` lists them.

    Raises:
        UsageError: an argument or a setting is wrong.
        BundleError: the target cannot be bundled.
        StoreError: the store cannot be used.
    """
    request, _ = _ask(target, arguments, options)
    _, stored, _ = build_target(request, _heard(options), strict=options.get("strict", False))
    return stored


@takes(SubmitKeywords)
def submit(target: PathText, arguments: Sequence[str] = (), **options: Unpack[SubmitKeywords]) -> Job:
    """Returns the job of a target, once its bundle is stored and the cluster has accepted it.

    Args:
        target: as for `plan`.
        arguments: of the job.
        options: as `raybundle.api.keywords.SubmitKeywords` lists them.

    Raises:
        UsageError: an argument or a setting is wrong.
        BundleError: the target cannot be bundled, or not for this cluster.
        StoreError: the store cannot be used.
        ClusterError: the cluster cannot be reached, or refuses the job.
    """
    request, environment = _ask(target, arguments, options)
    heard = _heard(options)
    job = _job_options(
        options, request.settings, request.arguments, request.start(options.get("cwd")), environment
    )
    connecting = _connecting(options, request.settings, heard)
    order = order_target(request, job, connecting, heard, strict=options.get("strict", False))
    return _submitted(order, heard)


@takes(RunKeywords)
def run(ref: str, arguments: Sequence[str] = (), **options: Unpack[RunKeywords]) -> Job:
    """Returns the job of a bundle of the store, once the cluster has accepted it.

    Args:
        ref: the bundle's digest, the start of it, or a name.
        arguments: of the job.
        options: as `raybundle.api.keywords.RunKeywords` lists them.

    Raises:
        UsageError: an argument or a setting is wrong.
        StoreError: the store has no such bundle, or cannot be used.
        BundleError: the bundle does not run on this cluster.
        ClusterError: the cluster cannot be reached, or refuses the job.
    """
    require("ref", ref, str)
    require("arguments", arguments, Sequence[str])
    heard, settings = _heard(options), _given(options).settings()
    start = parse_directory(options.get("cwd") or "")
    job = _job_options(options, settings, tuple(arguments), start, RayEnvironment())
    return _submitted(order_bundle(ref, job, _connecting(options, settings, heard), heard), heard)


@takes(ClusterKeywords)
def attach(submission_id: str, **options: Unpack[ClusterKeywords]) -> Job:
    """Returns a job of the cluster, whoever submitted it.

    Args:
        submission_id: of the job.
        options: as `raybundle.api.keywords.ClusterKeywords` lists them.

    Raises:
        JobLostError: the cluster knows no such job.
        ClusterError: the cluster cannot be reached.
    """
    require("submission_id", submission_id, str)
    with closing(_client(options)) as client:
        return Job(submission_id, client.info(submission_id).metadata.get("raybundle"), client)


@takes(ClusterKeywords)
def jobs(**options: Unpack[ClusterKeywords]) -> list[JobInfo]:
    """Returns the jobs of the cluster, the oldest first.

    Args:
        options: as `raybundle.api.keywords.ClusterKeywords` lists them.

    Raises:
        ClusterError: the cluster cannot be reached.
    """
    with closing(_client(options)) as client:
        return client.list()


def _submitted(order: Order, heard: Heard) -> Job:
    with closing(order.cluster.client) as client:
        submission = submit_order(order, heard)
        return Job(submission.run.id, order.stored.digest, client, Source(order, submission, heard))


def _heard(options: Mapping[str, Any]) -> Heard:
    return Heard(options.get("notify") or (lambda _text: None))


def _ask(
    target: PathText, arguments: Sequence[str], options: Mapping[str, Any]
) -> tuple[Request, RayEnvironment]:
    require("target", target, PathText)
    require("arguments", arguments, Sequence[str])
    name, environment = os.fspath(target), _environment(options)
    module = bool(options.get("module"))
    found = ModuleTarget(ModuleName(name)) if module else find_target(name, environment.project)
    traces = bool(options.get("trace"))
    return ask(found, tuple(arguments), _given(options), environment, traces=traces), environment


def _given(options: Mapping[str, Any]) -> Given:
    named = {key: plain(options.get(key.replace("-", "_"))) for key in KEYS}
    return Given(named, os.environ, Path.cwd(), options.get("profile"))


def _environment(options: Mapping[str, Any]) -> RayEnvironment:
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


def _connecting(options: Mapping[str, Any], settings: Settings, heard: Heard) -> Connecting:
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


def _client(options: Mapping[str, Any]) -> JobsClient:
    return _connecting(options, _given(options).settings(), _heard(options)).client()


def _job_options(
    options: Mapping[str, Any],
    settings: Settings,
    arguments: tuple[str, ...],
    cwd: str,
    environment: RayEnvironment,
) -> JobOptions:
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
    )
