"""The story of `serve deploy`: bundles for the nodes of a cluster, their configuration, and how it ended."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from raybundle.cluster.serve import ServeClient
from raybundle.errors import StoreError
from raybundle.pipeline.orders import prepared_for
from raybundle.pipeline.serving.building import Destination, build_config
from raybundle.pipeline.serving.deploying import deploy
from raybundle.publish.bundles import open_configured
from raybundle.submission.deliver import begin_survey, require_python, why_blind

if TYPE_CHECKING:
    from raybundle.bundle.values import Manifest
    from raybundle.pipeline.serving.building import Options, ServeConfig
    from raybundle.pipeline.serving.configuration import Wanted
    from raybundle.pipeline.serving.deploying import Deployed
    from raybundle.planning import Listener
    from raybundle.request import Prepared, Request
    from raybundle.store.base import Store
    from raybundle.submission.connecting import Connecting
    from raybundle.submission.deliver import Cluster


def deploy_wanted(
    wanted: Wanted,
    options: Options,
    connecting: Connecting,
    listener: Listener,
    *,
    timeout: float | None = None,
) -> tuple[ServeConfig, tuple[Deployed, ...]]:
    """Returns the configuration of applications, and what became of each.

    Args:
        wanted: the applications.
        options: how their bundles are made.
        connecting: how the cluster is reached; the embedded one is started if none is configured.
        listener: hears how far it is.
        timeout: as for `deploy`.

    Raises:
        RaybundleError: a bundle cannot be made or run, or the cluster does not take the configuration.
    """
    connecting.check()
    target = _Target(connecting, listener)
    try:
        if connecting.address:
            target.look(open_configured(connecting.settings, connecting.environ))
        config = build_config(wanted, options, listener, Destination(target.prepare, target.require))
        cluster = target.cluster or connecting.cluster(target.python)
        with closing(cluster.client):
            return config, deploy(config, ServeClient(cluster.client), listener.note, timeout=timeout)
    finally:
        target.close()


class _Target:
    """The cluster that shall run the applications."""

    def __init__(self, connecting: Connecting, listener: Listener) -> None:
        self._connecting, self._listener = connecting, listener
        self.cluster: Cluster | None = None
        """None for the embedded one, until it is started."""
        self.python: str | None = None
        """The interpreter of the last bundle, which starts the embedded cluster."""

    def look(self, store: Store) -> None:
        """Begins to look at the nodes of the configured cluster.

        Raises:
            ClusterError: the cluster cannot be reached, or its Ray has no Serve.
        """
        self.cluster = self._connecting.cluster()
        ServeClient(self.cluster.client).applications()
        self.cluster = begin_survey(self.cluster, store)

    def prepare(self, request: Request) -> Prepared:
        """Returns a request prepared for the nodes."""
        prepared, _ = prepared_for(request, self.cluster, self._listener)
        self.python = prepared.interpreter.executable
        return prepared

    def require(self, manifest: Manifest, store: Store) -> None:
        """Refuses a bundle that a node cannot run, or cannot fetch: Serve has no relay."""
        description = self.cluster and self.cluster.survey and self.cluster.survey.result()
        if not description:
            return
        require_python(description, manifest)
        if description.blind:
            raise StoreError(
                f"nodes cannot fetch the bundle: {why_blind(description, store)}",
                hint="replicas start on any node and at any time, and fetch their code themselves: give each "
                "node boto3, smart_open and credentials for the store",
            )

    def close(self) -> None:
        """Closes the connection."""
        if self.cluster is not None:
            self.cluster.client.close()
