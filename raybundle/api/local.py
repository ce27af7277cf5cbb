"""The embedded cluster: Ray on this machine, for jobs without an address."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from raybundle.api.keywords import LocalKeywords, takes
from raybundle.cluster.embedded import cluster
from raybundle.cluster.embedded.token import driver_variables

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from raybundle.cluster.embedded.record import LocalCluster

__all__ = ["down", "env", "status", "up"]


@takes(LocalKeywords)
def up(**options: Unpack[LocalKeywords]) -> LocalCluster:
    """Returns the embedded cluster, which is started if it is not running.

    Args:
        options: as `raybundle.api.keywords.LocalKeywords` lists them; a running cluster is kept as it is.

    Raises:
        UsageError: an argument is wrong.
        ClusterError: Ray is not installed or does not start.
    """
    resources = cluster.LocalOptions(options.get("num_cpus"), options.get("object_store_memory"))
    return cluster.up(os.fspath(options.get("python") or sys.executable), resources)


def down() -> bool:
    """Ends the embedded cluster, and returns whether it was running."""
    return cluster.down()


def status() -> LocalCluster | None:
    """Returns the embedded cluster if it is running."""
    return cluster.status()


def env() -> dict[str, str]:
    """Returns the environment variables by which `ray.init` in this process reaches the embedded cluster.

    They must be set before `import ray`.

    Raises:
        ClusterError: it is not running.
    """
    return driver_variables(cluster.require_running())
