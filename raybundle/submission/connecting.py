"""Which cluster a command talks to, and how."""

from __future__ import annotations

import contextlib
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from raybundle.cache.documents import Cache
from raybundle.cluster.access import make_access
from raybundle.cluster.jobs import JobsClient
from raybundle.config import CLUSTER_VARIABLE, cache_directory, dashboard_address
from raybundle.errors import ClusterError, UsageError
from raybundle.submission.deliver import Cluster

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from raybundle.cluster.access import Access
    from raybundle.config import Settings

_NO_CREDENTIALS = {"RAY_AUTH_MODE": "disabled", "RAY_JOB_HEADERS": ""}
"""In place of what the user's environment has."""


@dataclass(frozen=True, slots=True)
class Connecting:
    """How a user reaches clusters: settings, options of the connection, and who hears of what goes wrong."""

    settings: Settings
    environ: Mapping[str, str]
    notify: Callable[[str], None]
    headers: str | None = None
    """JSON object."""
    verify: str | None = None
    """`true`, `false` or a path."""
    certificate: str | None = None
    key: str | None = None

    @property
    def address(self) -> str | None:
        """The configured address; None means the embedded cluster.

        Raises:
            UsageError: the only address is Ray's own and no dashboard's.
        """
        return dashboard_address(self.settings, _without_embedded(self.environ))

    def check(self) -> None:
        """Refuses wrong options before anything is built and stored.

        Raises:
            UsageError: an option of the connection cannot be used.
        """
        self._access(self.address or "http://127.0.0.1")

    def cluster(self, python: str | None = None) -> Cluster:
        """Returns the configured cluster, else the embedded one, which is started if need be.

        Args:
            python: the interpreter that starts the embedded cluster; this process's if absent.
        """
        address = self.address
        client = self._connect(address or self._embedded(python))
        return Cluster(client, shares_disk=address is None, cache=Cache(cache_directory(self.environ)))

    def at(self, address: str) -> JobsClient:
        """Returns a client of the cluster at an address that a run's record has.

        The user's credentials are sent to the configured cluster only: others write records too.

        Raises:
            UsageError: it is not the address of a dashboard.
        """
        own = False
        with contextlib.suppress(UsageError):
            own = self.address is not None and make_access(self.address, {}).address == address
        return self._connect(address, trusted=own)

    def client(self) -> JobsClient:
        """Returns a client of the configured cluster, else of the embedded one.

        Raises:
            ClusterError: no address is configured, and the embedded cluster is not running.
        """
        return self._connect(self.address or self._running())

    def _access(self, address: str, *, trusted: bool = True) -> Access:
        environ = self.environ if trusted else {**self.environ, **_NO_CREDENTIALS}
        return make_access(
            address,
            {**environ, **_token_for(address)},
            headers=self.headers if trusted else None,
            verify=self.verify,
            certificate=self.certificate,
            key=self.key,
        )

    def _connect(self, address: str, *, trusted: bool = True) -> JobsClient:
        access = self._access(address, trusted=trusted)
        if access.exposes_token:
            self.notify(
                f"warning: credentials are sent to {access.address} in the clear: use https, or a tunnel"
            )
        return JobsClient(access, self.notify)

    def _embedded(self, python: str | None) -> str:
        """Returns the address of the embedded cluster, which is started if it is not running."""
        from raybundle.cluster.embedded import cluster
        from raybundle.cluster.embedded.token import has_tokens, unprotected

        running = cluster.status()
        if running is None:
            self.notify(
                "no cluster is configured: starting Ray on this machine (`raybundle local down` ends it)"
            )
            began = time.monotonic()
            running = cluster.up(python or sys.executable)
            self.notify(f"Ray {running.ray_version} is up after {time.monotonic() - began:.1f} s")
            risk = unprotected(running)
        else:
            risk = unprotected(running) if has_tokens(running.ray_version) else None
        if risk:
            self.notify(f"warning: {risk.text}")
        return running.address

    @staticmethod
    def _running() -> str:
        from raybundle.cluster.embedded import cluster

        running = cluster.status()
        if running is None:
            raise ClusterError(
                "no cluster: no address is configured, and the embedded cluster is not running",
                hint="give --address, set RAYBUNDLE_ADDRESS, or `raybundle local up`",
            )
        return running.address


def _without_embedded(environ: Mapping[str, str]) -> Mapping[str, str]:
    """Returns variables without the RAY_ADDRESS of the embedded cluster, which `local env` sets."""
    address = environ.get(CLUSTER_VARIABLE, "")
    if not address.startswith("127.0.0.1:"):
        return environ
    from raybundle.cluster.embedded.record import read_record

    known = read_record()
    own = known is not None and known.ray_address == address
    return {**environ, CLUSTER_VARIABLE: "local"} if own else environ


def _token_for(address: str) -> Mapping[str, str]:
    """Returns variables with the token of the embedded cluster, if that has this address."""
    if not any(host in address for host in ("127.0.0.1", "localhost")):
        return {}
    from raybundle.cluster.embedded.token import token_for

    return token_for(address)
