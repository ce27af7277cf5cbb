"""Which cluster a command talks to, and how."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from raybundle.cache.documents import Cache
from raybundle.cli.request import settings_of
from raybundle.cluster.access import make_access
from raybundle.cluster.jobs import JobsClient
from raybundle.config import cache_directory, dashboard_address
from raybundle.submission.deliver import Cluster

if TYPE_CHECKING:
    import argparse

    from raybundle.cli.output.console import Console
    from raybundle.cluster.access import Access
    from raybundle.config import Settings


def check_connection(arguments: argparse.Namespace, settings: Settings) -> None:
    """Refuses what is wrong with the options of the connection, before anything is built and stored."""
    _access(arguments, dashboard_address(settings, os.environ) or "http://127.0.0.1")


def find_cluster(
    arguments: argparse.Namespace, settings: Settings, console: Console, python: str | None = None
) -> Cluster:
    """Returns the cluster of the configured address, else the embedded one, which is started if need be."""
    address = dashboard_address(settings, os.environ)
    cache = Cache(cache_directory(os.environ))
    if address is not None:
        return Cluster(_connect(arguments, address, console), shares_disk=False, cache=cache)
    from raybundle.cli.commands.clusters import embedded

    client = _connect(arguments, embedded(console, python).address, console)
    return Cluster(client, shares_disk=True, cache=cache)


def find_client(arguments: argparse.Namespace, console: Console) -> JobsClient:
    """Returns a client of the configured cluster, else of the embedded one, which must be running."""
    address = dashboard_address(settings_of(arguments), os.environ)
    if address is None:
        from raybundle.cli.commands.clusters import running_embedded

        address = running_embedded().address
    return _connect(arguments, address, console)


def _access(arguments: argparse.Namespace, address: str) -> Access:
    return make_access(
        address,
        os.environ,
        headers=arguments.headers,
        verify=arguments.verify,
        certificate=arguments.client_cert,
        key=arguments.client_key,
    )


def _connect(arguments: argparse.Namespace, address: str, console: Console) -> JobsClient:
    access = _access(arguments, address)
    if access.exposes_token:
        console.note(
            f"warning: credentials are sent to {access.address} in the clear: use https, or a tunnel"
        )
    return JobsClient(access, console.note)
