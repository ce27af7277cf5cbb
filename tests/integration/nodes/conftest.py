"""Three nodes with an S3 server, made once."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from raybundle.cache.documents import Cache
from raybundle.cluster.access import make_access
from raybundle.cluster.jobs import JobsClient
from raybundle.config import cache_directory
from raybundle.store import open_store
from raybundle.submission.survey import Survey, remember
from tests.support.nodes import Nodes, require_namespaces
from tests.support.proxy import Proxy
from tests.support.s3_server import S3Server, s3_server
from tests.support.workplace import Workplace, make_workplace

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from raybundle.store.base import Store
    from raybundle.submission.survey import ClusterDescription


REPORT = pytest.StashKey[list[str]]()
"""Lines that a test wants shown at the end, whether it passed or not."""


CREDENTIALS = "/tmp/home/.aws/credentials"
"""Where a node has its own keys of S3; its HOME is `/tmp/home`."""
LOOKS = 4
"""Looks at the nodes until all answer."""
MANY_AT_ONCE = {"RAY_worker_maximum_startup_concurrency": "8"}
"""Lets nodes with one CPU start workers at once as larger ones do, also beside one that never comes up."""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Shows what tests have measured."""
    for line in config.stash.get(REPORT, []):
        terminalreporter.write_line(line)


@dataclass(frozen=True, slots=True)
class ThreeNodes:
    """Three nodes that read from an S3 server, and places of work for users of both."""

    nodes: Nodes
    s3: S3Server
    session: str
    """Ray's name of it."""
    description: ClusterDescription
    """What a look at its nodes has found."""
    proxy: Proxy
    """Between the nodes and the S3 server: it knows what each node has fetched."""
    shared: Path
    """What users keep below ~/.cache, where a test does not need it empty."""
    store: str
    """A store for jobs of which several need the same layers."""

    def introduce(self, work: Workplace) -> None:
        """Spares the user of a workplace the look at the nodes: it was taken, and takes seconds."""
        store = open_store(work.environ["RAYBUNDLE_STORE"], work.environ)
        cache = Cache(cache_directory(work.environ))
        remember(cache.key(self.nodes.address, self.session, store.place), self.description, cache)

    @property
    def shared_environ(self) -> dict[str, str]:
        """The environment of users of one store who describe each distribution once."""
        return {
            **self.s3.environ,
            "RAYBUNDLE_ADDRESS": self.nodes.address,
            "RAYBUNDLE_STORE": self.store,
            "XDG_CACHE_HOME": str(self.shared),
        }

    def workplace(self, directory: Path, project: str | None = None) -> Workplace:
        """Returns a copy of a project whose user has this cluster and a fresh store configured."""
        work = make_workplace(
            directory,
            project,
            **self.s3.environ,
            RAYBUNDLE_ADDRESS=self.nodes.address,
            RAYBUNDLE_STORE=self.s3.prefix(),
        )
        self.introduce(work)
        return work


def give_credentials(nodes: Nodes, environ: Mapping[str, str]) -> dict[str, str]:
    """Gives each node the keys of S3 in a file of its own, which a test may take away; returns the rest."""
    keys = [f"{name.lower()} = {environ[name]}" for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")]
    write = 'mkdir -p "$(dirname "$1")" && printf "%s\\n" "[default]" "$2" "$3" >"$1"'
    for name in nodes.names:
        nodes.run(name, ["sh", "-c", write, "sh", CREDENTIALS, *keys])
    return {name: value for name, value in environ.items() if "KEY" not in name}


def describe_patiently(nodes: Nodes, store: Store, shared: Path) -> tuple[str, ClusterDescription]:
    """Returns the cluster's session and what a look at its nodes finds once all answer, and keeps that.

    On two cores that run other tests too, a first worker takes longer than a look waits.
    """
    said: list[str] = []
    with contextlib.closing(JobsClient(make_access(nodes.address, {}), said.append)) as client:
        for number in range(LOOKS):
            found = Survey(client, store, Cache(shared / str(number))).result()
            if found is not None and len(found.nodes) == len(nodes.names):
                break
        assert found is not None, said
        assert [node.store for node in found.nodes] == [None] * len(nodes.names), (found, said)
        kept, session = Cache(cache_directory({"XDG_CACHE_HOME": str(shared)})), client.session()
        remember(kept.key(client.address, session, store.place), found, kept)
        return session, found


@pytest.fixture(scope="session")
def three_nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThreeNodes]:
    """Three real nodes; skipped without root, and in CI a skip is a failure."""
    require_namespaces()
    with Nodes() as nodes:
        bridge = nodes.network()
        with s3_server(ip=bridge) as server, Proxy(server.endpoint, host=bridge) as proxy:
            environ = give_credentials(nodes, server.environ)
            nodes.start_ray({**environ, "AWS_ENDPOINT_URL": proxy.address, **MANY_AT_ONCE})
            store, shared = server.prefix(), tmp_path_factory.mktemp("shared")
            session, found = describe_patiently(nodes, open_store(store, server.environ), shared)
            yield ThreeNodes(nodes, server, session, found, proxy, shared, store)
