"""Relays archives of a store through the Jobs API to a cluster whose nodes cannot read them."""

from __future__ import annotations

from contextlib import closing
from http import HTTPStatus
from queue import SimpleQueue
from typing import TYPE_CHECKING, TypeVar

from raybundle.bundle.pack import boot_digest, read_boot
from raybundle.cache.documents import Kind
from raybundle.cluster.jobs import JobsClient
from raybundle.errors import ClusterError, ClusterUnreachableError
from raybundle.formats.amounts import counted, size_text
from raybundle.outage import Outage
from raybundle.publish.layout import archive_sha256, data_key, open_checked
from raybundle.submission.packages import Package, data_packages, packages_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Future

    from raybundle.cache.documents import Cache
    from raybundle.publish.stored import LayerArchive, Stored
    from raybundle.store.base import Store

CONNECTIONS = 3
"""Simultaneous requests, and so packages in memory; http.client has one per connection."""
TRIES, FIRST_DELAY = 4, 0.5
"""How often a package is sent, and seconds before the second time; they double."""
_PACKAGES = Kind("packages", 2000)
"""Names of the packages that an archive was relayed in."""

A = TypeVar("A")
B = TypeVar("B")


class Relay:
    """Sends archives of a store to a cluster; what the cluster has is not sent again."""

    def __init__(self, client: JobsClient, store: Store, cache: Cache | None) -> None:
        """Makes it; nothing is sent yet.

        Args:
            client: of the cluster.
            store: that holds the archives.
            cache: where the names of packages are kept, so that an archive need not be read for them.
        """
        self._client = client
        self._store = store
        self._cache = cache

    def send_bundle(self, stored: Stored) -> tuple[str, str]:
        """Returns the URL of a bundle's archive, once the cluster has it, and the digest of its boot.

        What is sent is packed here, with the boot of this raybundle: Ray puts it on the path of every process
        of the job, and it is not checked there before it runs.

        Raises:
            ClusterError: it is too large, or the cluster refuses it or cannot be reached.
            DigestMismatchError: it is damaged.
        """
        key, ours, other = stored.archive_key, boot_digest(read_boot()), stored.delivery_data
        stem = key.rpartition("/")[2]
        name = f"_ray_pkg_raybundle_{stem}"
        same = other is None and stem.startswith(f"{ours}-")
        if not (same and self._client.has_package(name)):
            from raybundle.publish.repack import pack_again  # noqa: PLC0415 - start-up: the cluster has most

            where = f"{key} in {self._store.url}"
            with open_checked(self._store, key, archive_sha256(key)) as stream:
                archive = pack_again(stream, stored.manifest, stored.delivery, where, other)
            with closing(archive):
                name = f"_ray_pkg_raybundle_{ours}-{archive.sha256}.zip"
                send_package(self._client, Package(name, archive.data))
        return f"gcs://{name}", ours

    def send_layers(self, archives: Sequence[LayerArchive]) -> dict[str, tuple[str, ...]]:
        """Returns by key the URLs of the packages that hold an archive, once the cluster has all of them.

        Args:
            archives: of layers, and large files.

        Raises:
            ClusterError: the cluster refuses a package or cannot be reached.
            ObjectMissingError: the store holds no such archive.
            DigestMismatchError: an archive is damaged.
        """
        names = {archive: self._recall(archive) for archive in archives}
        with _Connections(self._client) as connections:
            asked = sorted({name for known in names.values() for name in known})
            there = set(connections.those(JobsClient.has_package, asked))
            absent = [each for each in archives if not (names[each] and there.issuperset(names[each]))]
            if absent:
                size = size_text(sum(each.packed.size for each in absent))
                self._client.notify(f"relaying {counted(len(absent), 'object')} ({size}) to the cluster")
            for archive in absent:
                names[archive] = list(self._send_archive(archive, connections))
        for archive in absent:
            self._remember(archive, names[archive])
        return {archive.key: tuple(f"gcs://{name}" for name in names[archive]) for archive in archives}

    def _send_archive(self, archive: LayerArchive, connections: _Connections) -> Iterator[str]:
        sha256 = archive.packed.sha256
        with open_checked(self._store, archive.key, sha256) as stream:
            is_data = archive.key == data_key(sha256)
            for package in data_packages(sha256, stream) if is_data else packages_of(archive.key, stream):
                connections.start(send_package, package)
                yield package.name

    def _recall(self, archive: LayerArchive) -> list[str]:
        """Returns the names of an archive's packages, if it has been relayed from here before."""
        if self._cache is None:
            return []
        name = self._cache.key(archive.packed.sha256)
        return self._cache.read(_PACKAGES, name, lambda document: [*map(str, document["names"])]) or []

    def _remember(self, archive: LayerArchive, names: Sequence[str]) -> None:
        if self._cache is not None:
            key = self._cache.key(archive.packed.sha256)
            self._cache.write(_PACKAGES, key, {"names": list(names)})


def send_package(client: JobsClient, package: Package) -> None:
    """Sends a package, unless the cluster has it, until the cluster confirms that it has it.

    Raises:
        ClusterError: the cluster refuses it, cannot be reached, or accepts it and does not have it.
    """
    outage = Outage(FIRST_DELAY, tries=TRIES)
    while True:
        try:
            if client.has_package(package.name):
                return
            client.put_package(package.name, package.data)
            if client.has_package(package.name):
                return
        except ClusterError as error:  # noqa: PERF203 - a request each
            if not (_may_pass(error) and outage.wait()):
                raise
            client.notify(f"warning: {error}; sending {package.name} again")
        else:
            if not outage.wait():
                raise ClusterError(
                    f"the cluster at {client.address} took {package.name} {TRIES} times and does not have it",
                    hint="is the memory of its head full? "
                    "A store that nodes read (`--store s3://…`) needs none of it",
                )


def _may_pass(error: ClusterError) -> bool:
    server = error.status is not None and error.status >= HTTPStatus.INTERNAL_SERVER_ERROR
    return server or isinstance(error, ClusterUnreachableError)


class _Connections:
    """A few clients of one cluster, each used by one thread at a time; a context manager.

    At its end all started actions are done. After a failure, no further action begins.
    """

    def __init__(self, client: JobsClient) -> None:
        from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - few submissions relay layers

        self._clients: SimpleQueue[JobsClient] = SimpleQueue()
        for _ in range(CONNECTIONS):
            self._clients.put(JobsClient(client.access, client.notify))
        self._pool = ThreadPoolExecutor(CONNECTIONS)
        self._running: set[Future[None]] = set()

    def __enter__(self) -> _Connections:  # noqa: PYI034 - typing.Self is younger than Python 3.10
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        try:
            if kind is None:
                self._reap(0)
        finally:
            self._pool.shutdown(cancel_futures=True)
            for _ in range(CONNECTIONS):
                self._clients.get().close()

    def those(self, claim: Callable[[JobsClient, A], bool], things: Sequence[A]) -> list[A]:
        """Returns the things for which a claim is true."""
        held = self._pool.map(lambda thing: self._with_client(claim, thing), things)
        return [thing for thing, holds in zip(things, held, strict=True) if holds]

    def start(self, action: Callable[[JobsClient, A], None], thing: A) -> None:
        """Starts an action; waits until a connection is free."""
        self._reap(CONNECTIONS - 1)
        self._running.add(self._pool.submit(self._with_client, action, thing))

    def _reap(self, most: int) -> None:
        """Waits until at most `most` actions are under way; raises what one of them raised."""
        from concurrent.futures import FIRST_COMPLETED, wait  # noqa: PLC0415 - as above

        while len(self._running) > most:
            done, self._running = wait(self._running, return_when=FIRST_COMPLETED)
            for each in done:
                each.result()

    def _with_client(self, action: Callable[[JobsClient, A], B], thing: A) -> B:
        client = self._clients.get()
        try:
            return action(client, thing)
        finally:
            self._clients.put(client)
