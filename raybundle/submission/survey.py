"""Surveys the nodes of a cluster by a job, once per session: what they are, whether they read the store."""

from __future__ import annotations

import atexit
import contextlib
import io
import json
import secrets
import shlex
import threading
import time
import zipfile
from dataclasses import asdict, dataclass
from functools import partial
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from raybundle.cache.documents import Kind
from raybundle.cluster.jobs import PROBE, JobsClient
from raybundle.cluster.stopping import hand_over, remove, remove_probe
from raybundle.errors import ClusterError, RaybundleError
from raybundle.publish import layout, putting
from raybundle.resolve.interpreter.platforms import known_platform
from raybundle.submission.packages import Package, package_name
from raybundle.submission.relay import send_package

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from raybundle.cache.documents import Cache
    from raybundle.cluster.access import Access
    from raybundle.resolve.interpreter.platforms import Platform
    from raybundle.store.base import Store

PATIENCE = 30.0
"""Seconds that a survey job has to begin, and as many once it runs: it names the nodes that are silent."""
POLL = 0.1
"""Seconds between two looks at it."""
KEPT = Kind("clusters", 64)
"""What the nodes are, by session of a cluster."""
BELIEVED, BELIEVED_WITH_FAULTS = 24 * 3600 * 10**9, 600 * 10**9
"""Nanoseconds for which a look is believed: nodes come and go, and a fault may be fixed at any time."""
MARK = "RAYBUNDLE-NODE "
"""Prefix of a node's line in the log, as in `raybundle.node.raybundle_probe`."""
ALL_SAID = f"{MARK}all\n"
"""The last line: the driver says nothing more, and takes half a second to end."""
READ_RATE = 4 << 20
"""Bytes per second that looks at the log of a survey job may cost the dashboard."""
LEAVES = 5.0
"""Seconds that the driver of a survey job may take to end by itself."""
SITE = """\
import importlib.machinery, importlib.util, os, sys
os.environ.setdefault("RAYBUNDLE_PYTHON", sys.executable)
_here = os.path.dirname(os.path.abspath(__file__))
_path = [entry for entry in sys.path if os.path.abspath(entry) != _here]
_spec = importlib.machinery.PathFinder.find_spec("sitecustomize", _path)
if _spec and _spec.loader:
    _spec.loader.exec_module(importlib.util.module_from_spec(_spec))
"""
"""Tells the entrypoint which interpreter runs Ray; `python` is often another one.

The node's own sitecustomize still runs: access to the store may depend on it."""
_ENTRYPOINT = 'exec "${RAYBUNDLE_PYTHON:-python}" raybundle_probe.py'
_TIME = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class NodeDescription:
    """One node, as its own Python sees it."""

    address: str
    host: str
    implementation: str
    version: str
    """Of Python, such as `3.11.9`."""
    abi: str
    """SOABI, such as `cpython-311-x86_64-linux-gnu`."""
    platform: str
    """`sysconfig.get_platform()`, such as `linux-x86_64`."""
    machine: str
    """As the system names it, such as `x86_64`."""
    system: str
    """What native files need a version of: such as `glibc 2.36`, `macOS 14.5`; empty if unknown."""
    ray: str
    free: int
    """Bytes free in /tmp."""
    store: str | None = None
    """Why it cannot read the store; None if it can, or was not asked."""

    @property
    def minor(self) -> str:
        """Python's version as a manifest has it."""
        return ".".join(self.version.split(".")[:2])

    @property
    def native(self) -> Platform | None:
        """What native files run there; None if its platform has no wheels."""
        return known_platform(self.platform, self.abi, self.machine, self.system)

    @property
    def name(self) -> str:
        """Host and address."""
        return f"{self.host} ({self.address})"


@dataclass(frozen=True, slots=True)
class ClusterDescription:
    """The nodes that answered, by address."""

    nodes: tuple[NodeDescription, ...]
    silent: tuple[str, ...] = ()
    """Names of the others."""
    fault: str | None = None
    """Why nothing is known about any node; None if something is."""

    @property
    def blind(self) -> tuple[NodeDescription, ...]:
        """The nodes that cannot read the store."""
        return tuple(node for node in self.nodes if node.store is not None)

    @property
    def faulty(self) -> bool:
        """Whether another survey may differ: a fault may be fixed at any time."""
        return bool(self.blind or self.silent or self.fault)


class Survey:
    """A survey of a cluster's nodes, in a thread of its own."""

    def __init__(self, client: JobsClient, store: Store | None, cache: Cache) -> None:
        """Begins it, unless a look of this session of the cluster is kept.

        Args:
            client: of the cluster; not used by other threads.
            store: of which each node shall say whether it reads it; None asks nothing of a store.
            cache: where looks are kept.
        """
        self._client = JobsClient(client.access, client.notify)
        self._store = store
        self._cache = cache
        self._found: ClusterDescription | None = None
        self._done = threading.Event()
        threading.Thread(target=self._run, name="survey", daemon=True).start()

    def result(self) -> ClusterDescription | None:
        """Returns the result, once it is there; None if the survey failed, which is only a warning."""
        self._done.wait()
        return self._found

    def _run(self) -> None:
        try:
            found = self._look()
            if found is not None and found.fault is not None:
                self._warn(found.fault)
            else:
                self._found = found
        except (RaybundleError, OSError, ValueError, LookupError, TypeError) as error:
            self._warn(error)
        finally:
            self._client.close()
            self._done.set()

    def _warn(self, fault: object) -> None:
        self._client.notify(f"warning: could not look at the nodes of {self._client.address}: {fault}")

    def _look(self) -> ClusterDescription | None:
        url = None if self._store is None else self._store.node_url(layout.STORE_KEY)
        try:
            session = self._client.session()
        except ClusterError:  # the submission meets the same error, and reports it
            return None
        place = None if self._store is None else self._store.place
        key = self._cache.key(self._client.address, session, place)
        known = _recall(key, self._cache)
        if known is not None:
            return known
        if self._store is not None:
            putting.prepare(self._store)  # the object that the nodes are to read
        self._client.notify(f"looking at the nodes of {self._client.address}, once for this session of it")
        rows, fault = ask_nodes(self._client, url)
        found = described(self._client, rows, fault)
        remember(key, found, self._cache)
        return found


def ask_nodes(
    client: JobsClient, url: str | None, names: Sequence[str] | None = None
) -> tuple[list[dict[str, Any]], str | None]:
    """Asks the nodes by a job, which is removed afterwards.

    Args:
        client: of the cluster.
        url: of an object that each node tries to read; None asks nothing of a store.
        names: distributions whose versions are wanted, if the nodes are to be examined (`raybundle_examine`).

    Returns:
        What each node said, and why none did.

    Raises:
        ClusterError: the cluster refuses the job, or cannot be reached.
    """
    package = _package()
    send_package(client, package)
    words = [] if url is None and names is None else [url or ""]
    words += [] if names is None else [json.dumps(list(names))]
    entrypoint = " ".join([_ENTRYPOINT, *map(shlex.quote, words)])
    return run_probe(client, entrypoint, environment_of(package))


def environment_of(package: Package, variables: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Returns a runtime_env that no job had before.

    For 10 minutes, Ray repeats on a node that an equal one could not be made, even if it could be by now:
    the package of a job that was given up is gone before a slow node fetches it.
    """
    own = {"RAYBUNDLE_PROBE": secrets.token_hex(4)}
    return {"working_dir": f"gcs://{package.name}", "env_vars": {**(variables or {}), **own}}


def run_probe(
    client: JobsClient, entrypoint: str, runtime_env: Mapping[str, Any]
) -> tuple[list[dict[str, Any]], str | None]:
    """Runs a job that prints lines about nodes, and removes it.

    Returns:
        What each line says, and why there are none.

    Raises:
        ClusterError: the cluster refuses the job, or cannot be reached.
    """
    name = f"{PROBE}{secrets.token_hex(8)}"
    body = {"entrypoint": entrypoint, "runtime_env": dict(runtime_env)}
    removal = partial(remove, client.access, name)
    atexit.register(removal)  # an interrupt ends the process, and this daemon thread with it
    try:
        client.submit(name, body)
        return _answer(client, name)
    finally:
        atexit.unregister(removal)
        if not threading.main_thread().is_alive():  # it has removed the job, so there is no answer
            raise SystemExit
        _begin_removal(client.access, name)


def _begin_removal(access: Access, name: str) -> None:
    """Removes a job that may still end by itself; nobody waits until Ray releases it, which takes 2 s.

    If this process ends before, another one goes on.
    """
    leaving = partial(hand_over, access, name, LEAVES)
    atexit.register(leaving)

    def run() -> None:
        remove_probe(access, name, LEAVES)
        atexit.unregister(leaving)

    threading.Thread(target=run, name="survey-end", daemon=True).start()


@dataclass(slots=True)
class Patience:
    """The time that a survey job has; all times in seconds of one clock."""

    began: float
    _runs: bool = False

    def over(self, now: float, *, running: bool) -> bool:
        """Returns whether a job that has not ended is given up; it has `PATIENCE` again once it runs."""
        if running and not self._runs:
            self.began, self._runs = now, True
        return now - self.began > PATIENCE


def _answer(client: JobsClient, name: str) -> tuple[list[dict[str, Any]], str | None]:
    """Returns the lines of the nodes, and a fault if the job did not succeed in time."""
    patience, look_at = Patience(time.monotonic()), 0.0
    while not (info := client.info(name)).ended:
        if patience.over(time.monotonic(), running=info.status == "RUNNING"):
            return _rows(client.logs(name)), f"no answer in {PATIENCE:.0f} s"
        if info.status == "RUNNING" and time.monotonic() >= look_at:
            with contextlib.suppress(ClusterError):  # its node may not tell yet
                log = client.logs(name)
                if ALL_SAID in log:
                    return _rows(log), None
                look_at = time.monotonic() + len(log) / READ_RATE
        time.sleep(POLL)
    log = client.logs(name)
    if info.status != "SUCCEEDED":
        last = (log.strip() or info.message.strip()).splitlines()[-1:]
        return [], f"job {name} is {info.status}: {' '.join(last)[:500]}"
    return _rows(log), None


def _rows(log: str) -> list[dict[str, Any]]:
    """Returns what whole lines say; a line may refer to one before it that says the same."""
    rows, views = [], dict[str, dict[str, Any]]()
    for each in log.splitlines(keepends=True):
        if each.startswith(MARK) and each.endswith("\n") and each != ALL_SAID:
            row = json.loads(each[len(MARK) :])
            if (view := row.pop("view", None)) is not None:
                row = {**views.setdefault(view, row), **row}
            rows.append(row)
    return rows


def described(client: JobsClient, rows: Sequence[dict[str, Any]], fault: str | None) -> ClusterDescription:
    """Returns what the nodes are, from what they said; a node that did not answer is a warning."""
    if fault is not None:
        return ClusterDescription((), fault=fault)
    nodes, silent = [], []
    for facts in rows:
        if "fault" in facts:
            silent.append(f"{facts['host']} ({facts['address']})")
            client.notify(f"warning: node {silent[-1]}: {facts['fault']}")
        else:
            nodes.append(NodeDescription(**{key: value for key, value in facts.items() if key != "checks"}))
    nodes.sort(key=lambda node: node.address)
    return ClusterDescription(tuple(nodes), tuple(silent), None if nodes else "no node answered")


def _package() -> Package:
    """Returns the package that asks the nodes; its bytes depend only on what it asks."""
    node = files("raybundle.node")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as zipped:
        for module in ("raybundle_examine.py", "raybundle_probe.py"):
            zipped.writestr(zipfile.ZipInfo(module, _TIME), node.joinpath(module).read_text("utf-8"))
        zipped.writestr(zipfile.ZipInfo("sitecustomize.py", _TIME), SITE)
    return Package(package_name(buffer.getvalue()), buffer.getvalue())


def _recall(key: str, cache: Cache) -> ClusterDescription | None:
    """Returns a look that is kept and still believed."""

    def parse(document: dict[str, Any]) -> ClusterDescription | None:
        nodes = tuple(NodeDescription(**node) for node in document["nodes"])
        found = ClusterDescription(nodes, tuple(document["silent"]), document["fault"])
        age = cache.clock() - document["time"]
        return found if 0 <= age < (BELIEVED_WITH_FAULTS if found.faulty else BELIEVED) else None

    return cache.read(KEPT, key, parse)


def remember(key: str, found: ClusterDescription, cache: Cache) -> None:
    """Keeps what a look has found."""
    cache.write(KEPT, key, {"time": cache.clock(), **asdict(found)})
