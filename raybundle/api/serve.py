"""Applications of Ray Serve that run from bundles."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import TYPE_CHECKING

from raybundle.api.keywords import ClusterKeywords, PathText, ServeKeywords, plain, require, takes
from raybundle.api.reading import client_of, connecting_of, given_in, heard_of
from raybundle.cluster.secrets import parse_secrets
from raybundle.cluster.serve import Application, ServeClient
from raybundle.pipeline.serving.building import Options, build_config
from raybundle.pipeline.serving.configuration import read_wanted
from raybundle.pipeline.serving.deploying import Deployed, ending
from raybundle.pipeline.serving.story import deploy_wanted

if TYPE_CHECKING:
    from typing import Any

    from typing_extensions import Unpack

    from raybundle.pipeline.serving.building import ServeConfig
    from raybundle.pipeline.serving.configuration import Wanted

__all__ = ["build", "deploy", "shutdown", "status"]

Applications = PathText | Sequence[str]


@takes(ServeKeywords)
def build(
    applications: Applications, arguments: Mapping[str, str] | None = None, **options: Unpack[ServeKeywords]
) -> ServeConfig:
    """Returns the configuration by which Ray Serve runs applications, once their bundles are in the store.

    Args:
        applications: `module:attribute`, a list of several, or the path of a configuration file.
        arguments: of the function that returns the application, if the attribute is one.
        options: as `raybundle.api.keywords.ServeKeywords` lists them.

    Raises:
        UsageError: an argument or a setting is wrong, or nodes cannot read from the store.
        BundleError: an application cannot be bundled.
        StoreError: the store cannot be used.
    """
    return build_config(_wanted(applications, arguments, options), _options(options), heard_of(options))


@takes(ServeKeywords)
def deploy(
    applications: Applications, arguments: Mapping[str, str] | None = None, **options: Unpack[ServeKeywords]
) -> tuple[Deployed, ...]:
    """Returns the applications of a configuration once all run; others that were deployed like this end.

    Args:
        applications: as for `build`.
        arguments: as for `build`.
        options: as `raybundle.api.keywords.ServeKeywords` lists them.

    Raises:
        UsageError: as `build`, or Serve refuses the configuration.
        BundleError: as `build`, or a node cannot run a bundle.
        StoreError: as `build`, or a node cannot read from the store.
        ClusterError: the cluster cannot be reached, or its Ray has no Serve.
        JobError: an application does not run, or `timeout` is over.
    """
    wanted, heard = _wanted(applications, arguments, options), heard_of(options)
    connecting = connecting_of(options, given_in(options).settings(), heard)
    timeout = options.get("timeout") if options.get("wait", True) else 0
    _, found = deploy_wanted(wanted, _options(options), connecting, heard, timeout=timeout)
    if (error := ending(found)) is not None:
        raise error
    return found


@takes(ClusterKeywords)
def status(**options: Unpack[ClusterKeywords]) -> dict[str, Application]:
    """Returns the applications of the cluster by name; none if Serve does not run.

    Args:
        options: as `raybundle.api.keywords.ClusterKeywords` lists them.

    Raises:
        ClusterError: the cluster cannot be reached, or its Ray has no Serve.
    """
    with closing(client_of(options)) as client:
        return ServeClient(client).applications()


@takes(ClusterKeywords)
def shutdown(**options: Unpack[ClusterKeywords]) -> tuple[str, ...]:
    """Ends all applications and Serve itself, and returns the names of what was running.

    Args:
        options: as `raybundle.api.keywords.ClusterKeywords` lists them.

    Raises:
        ClusterError: the cluster cannot be reached, or its Ray has no Serve.
    """
    with closing(client_of(options)) as client:
        found = tuple(sorted(ServeClient(client).applications()))
        ServeClient(client).shutdown()
        return found


def _wanted(
    applications: Applications, arguments: Mapping[str, str] | None, options: Mapping[str, Any]
) -> Wanted:
    require("applications", applications, Applications)
    require("arguments", arguments, Mapping[str, str] | None)
    words = [os.fspath(applications)] if isinstance(applications, (str, os.PathLike)) else list(applications)
    pairs = [f"{key}={value}" for key, value in (arguments or {}).items()]
    return read_wanted([*words, *pairs], options.get("name"), options.get("route_prefix"))


def _options(options: Mapping[str, Any]) -> Options:
    environment = plain(options.get("runtime_env"))
    secrets = options.get("secrets") or {}
    return Options(
        given_in(options),
        None if isinstance(environment, dict) else environment,
        json.dumps(environment) if isinstance(environment, dict) else None,
        plain(options.get("working_dir")),
        parse_secrets([f"{name}={reference}" for name, reference in secrets.items()]),
        options.get("cwd"),
        bool(options.get("strict")),
    )
