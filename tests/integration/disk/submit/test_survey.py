"""A look at the nodes: what it finds, how long that is believed, and what becomes of the bundle."""

from __future__ import annotations

import contextlib
import platform
import signal
import subprocess
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from raybundle.bundle.values import PythonTag
from raybundle.cache.documents import Cache
from raybundle.cluster.access import make_access
from raybundle.cluster.jobs import JobsClient
from raybundle.cluster.stopping import remove_probe
from raybundle.errors import BundleError, ClusterError
from raybundle.resolve.interpreter.node_python import NodePython
from raybundle.resolve.interpreter.platforms import Platform
from raybundle.store.local import LocalStore
from raybundle.submission import deliver as deliver_module
from raybundle.submission.deliver import begin_survey, deliver
from raybundle.submission.destination import nodes_of
from raybundle.submission.survey import BELIEVED_WITH_FAULTS, ask_nodes
from tests.support.delivery_scene import BUNDLE, MANIFEST, PACKED, STORED, NodesReadIt, Scene, made
from tests.support.fake_dashboard import Exchange, FakeDashboard
from tests.support.layer_archives import bound, make_layer
from tests.support.workplace import make_workplace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with made(tmp_path, LocalStore(tmp_path / "store")) as scene:
        yield scene


@pytest.fixture
def readable(tmp_path: Path) -> Iterator[Scene]:
    """The same with a store that nodes may be able to read."""
    with made(tmp_path, NodesReadIt(tmp_path / "store")) as scene:
        yield scene


def test_what_all_nodes_read_is_theirs_to_fetch_and_they_are_asked_once(readable: Scene) -> None:
    readable.nodes({}, {"address": "10.0.0.3"})
    _, key, archive = make_layer("large", {"large.bin": b"x" * (2 << 20)})
    readable.store.put_new(key, archive)
    stored = replace(STORED, layers=(*STORED.layers, bound(key, archive)))

    found = [deliver(stored, readable.store, readable.cluster) for _ in range(2)]

    assert found[0] == found[1]
    assert (found[0].source, found[0].layers) == ("s3://bucket", ())
    assert readable.dashboard.packages[found[0].bundle.removeprefix("gcs://")] == PACKED.data
    assert len(readable.dashboard.packages) == 2  # with the one that asks the nodes
    [probe] = readable.dashboard.submitted
    assert probe["entrypoint"].endswith(" raybundle_probe.py s3://bucket/store.json")
    assert "warning" not in " ".join(readable.said)


class OfAccount(NodesReadIt):
    """A store whose URL does not say of which account it is."""

    url = "azure://container"

    @property
    def place(self) -> str:
        return f"{self.url} at {self._directory}"


@pytest.mark.slow
def test_nothing_that_is_known_of_one_account_is_believed_of_another(tmp_path: Path) -> None:
    other = OfAccount(tmp_path / "other")
    other.put_new(BUNDLE, PACKED.data)

    with made(tmp_path, OfAccount(tmp_path / "first")) as scene:
        scene.nodes({})
        found = [deliver(STORED, store, scene.cluster) for store in (scene.store, other)]

    assert found[0] == found[1]
    assert len(scene.dashboard.submitted) == 2


def test_where_a_node_cannot_read_the_store_all_is_relayed_and_the_node_is_named(readable: Scene) -> None:
    missing = {"store": "ImportError: no boto3"}
    refused = {"address": "10.0.0.4", "host": "n3", "store": "no credentials: ClientError: Forbidden"}
    readable.nodes({}, {"address": "10.0.0.3", "host": "n2", **missing}, refused, {"address": "9", **missing})

    found = readable.deliver()

    assert all(url.startswith("gcs://") for url in (found.bundle, *found.layers))
    [warning] = [text for text in readable.said if text.startswith("warning")]
    [first, second, _] = warning.replace(": relaying", "; relaying").split("; ")
    cannot = f"cannot read {readable.store.url}"
    assert first == f"warning: node n2 (10.0.0.3) {cannot} (nor can 1 more): {missing['store']}"
    assert second == f"node n3 (10.0.0.4) {cannot}: {refused['store']}"


def test_what_is_too_large_to_be_relayed_is_refused_with_the_node(
    readable: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliver_module, "MOST_RELAYED", 1000)
    readable.nodes({"store": "NoCredentialsError: "})

    with pytest.raises(ClusterError, match=r"node n1 \(10\.0\.0\.2\) cannot read .*: NoCredentialsError"):
        readable.deliver()


def test_nodes_with_another_python_are_refused_before_the_submission(readable: Scene) -> None:
    musl = {"host": "n4", "address": "10.0.0.4", "abi": "cpython-311-x86_64-linux-musl"}
    arm = {"host": "n3", "address": "10.0.0.3", "platform": "linux-aarch64"}
    readable.nodes({"address": "10.0.0.1"}, {"host": "n2", "version": "3.12.1"}, arm, musl)

    with pytest.raises(BundleError) as caught:
        readable.deliver()

    first, second, third = str(caught.value).splitlines()
    assert first.startswith("node n2 (10.0.0.2) has cpython 3.12.1")
    assert second.startswith(
        "node n3 (10.0.0.3) has cpython 3.11.9 (cpython-311-x86_64-linux-gnu, linux-aarch64)"
    )
    assert third.startswith(
        "node n4 (10.0.0.4) has cpython 3.11.9 (cpython-311-x86_64-linux-musl, linux-x86_64)"
    )
    assert "the bundle is for cpython 3.11 (" in first
    assert caught.value.hint == "`--python 3.12` builds for it"


def test_a_look_that_failed_for_want_of_its_package_does_not_fail_the_next(readable: Scene) -> None:
    readable.nodes({}, status="FAILED")

    with contextlib.closing(JobsClient(make_access(readable.dashboard.address, {}))) as client:
        for _ in range(2):
            ask_nodes(client, None)
    one, other = (each["runtime_env"] for each in readable.dashboard.submitted)

    assert one["working_dir"] == other["working_dir"]
    assert one != other


def test_nodes_that_read_no_store_are_asked_for_their_python_unless_the_address_is_a_loopback_one(
    scene: Scene,
) -> None:
    scene.nodes({"version": "3.12.1"})
    scene.deliver()
    address = scene.dashboard.address.replace(
        "127.0.0.1",
        "0.0.0.0",  # noqa: S104 - leads to this machine too, and is not said to be a loopback address
    )
    asked = scene.dashboard.submitted[:]
    with contextlib.closing(JobsClient(make_access(address, {}), scene.said.append)) as client:
        scene.cluster = replace(scene.cluster, client=client)
        with pytest.raises(BundleError, match=r"node n1 \(10\.0\.0\.2\) has cpython 3\.12\.1"):
            scene.deliver()

    assert asked == []
    assert [job["entrypoint"].rpartition(" ")[2] for job in scene.dashboard.submitted] == [
        "raybundle_probe.py"
    ]


def for_its_nodes(scene: Scene, *nodes: dict[str, Any]) -> NodePython | None:
    """Returns what a bundle for these nodes is for, as far as they decide."""
    scene.nodes(*nodes)
    return nodes_of(begin_survey(scene.cluster, scene.store))


@pytest.mark.parametrize(("second", "minor"), [("3.12.4", "3.12"), ("3.11.9", None)])
def test_a_bundle_is_made_for_nodes_that_all_have_another_python(
    readable: Scene, second: str, minor: str | None
) -> None:
    other = {"address": "10.0.0.3", "version": second}
    found = for_its_nodes(readable, {"version": "3.12.1"}, other)

    assert (found and found.minor) == minor


def test_a_bundle_is_made_for_the_oldest_glibc_of_the_nodes(readable: Scene) -> None:
    older = {"address": "10.0.0.3", "system": "glibc 2.31", "version": "3.11.2"}

    assert for_its_nodes(readable, {}, older) == NodePython(
        "cpython", "3.11", Platform("linux", "x86_64", "gnu", (2, 31))
    )


def test_nodes_with_an_older_libc_than_the_native_files_need_are_refused_by_name(readable: Scene) -> None:
    older = {"host": "n2", "address": "10.0.0.3", "system": "glibc 2.31"}
    readable.nodes({}, older, {"host": "n3", "address": "10.0.0.4", "system": ""})

    for libc in ("glibc 2.31", None):
        stored = replace(STORED, manifest=replace(MANIFEST, python=replace(MANIFEST.python, libc=libc)))
        deliver(stored, readable.store, readable.cluster)
    stored = replace(STORED, manifest=replace(MANIFEST, python=replace(MANIFEST.python, libc="glibc 2.34")))
    with pytest.raises(BundleError) as caught:
        deliver(stored, readable.store, readable.cluster)

    abi = MANIFEST.python.abi
    assert str(caught.value) == (
        f"node n2 (10.0.0.3) has cpython 3.11.9 ({abi}, linux-x86_64, glibc 2.31), and the bundle is for "
        f"cpython 3.11 ({abi}, linux-x86_64, glibc 2.34 or newer)"
    )
    assert caught.value.hint == "`--platform x86_64-manylinux_2_31` builds for it"


def test_nodes_of_a_mac_run_what_is_for_their_machine_and_for_no_newer_system(readable: Scene) -> None:
    mac = {"abi": "cpython-311-darwin", "platform": "macosx-10.9-universal2", "machine": "arm64"}
    intel = {"host": "n2", "address": "10.0.0.3", "machine": "x86_64", "system": "macOS 14.5"}
    old = {"host": "n3", "address": "10.0.0.4", "system": "macOS 11.7"}
    readable.nodes({**mac, "system": "macOS 14.5"}, {**mac, **intel}, {**mac, **old})
    python = PythonTag("cpython", "3.11", "cpython-311-darwin", "macosx-13.0-arm64")

    with pytest.raises(BundleError) as caught:
        deliver(replace(STORED, manifest=replace(MANIFEST, python=python)), readable.store, readable.cluster)

    assert [line.partition(" has ")[0] for line in str(caught.value).splitlines()] == [
        "node n2 (10.0.0.3)",
        "node n3 (10.0.0.4)",
    ]
    assert caught.value.hint == "`--platform macosx-14.5-x86_64` builds for it"


def test_a_node_of_a_platform_without_wheels_runs_what_has_no_native_files_and_what_was_built_on_its_like(
    readable: Scene,
) -> None:
    abi = "cpython-311"
    node = {"platform": "freebsd-14.1-amd64", "abi": abi, "system": ""}
    pure = replace(MANIFEST, python=PythonTag("cpython", "3.11"))
    like, other = (
        replace(MANIFEST, python=PythonTag("cpython", "3.11", abi, platform))
        for platform in (node["platform"], "openbsd-7.5-amd64")
    )

    assert for_its_nodes(readable, node) is None
    for manifest in (pure, like):
        deliver(replace(STORED, manifest=manifest), readable.store, readable.cluster)
    with pytest.raises(BundleError, match=r"node n1 .*freebsd-14\.1-amd64.* is for .*openbsd") as caught:
        deliver(replace(STORED, manifest=other), readable.store, readable.cluster)

    assert caught.value.hint == "build it on a machine like the node"


@pytest.mark.parametrize("status", ["FAILED", "SUCCEEDED"])
def test_a_look_at_the_nodes_that_fails_is_a_warning(readable: Scene, status: str) -> None:
    readable.nodes(status=status)

    assert readable.deliver().source == "s3://bucket"
    assert [text for text in readable.said if text.startswith("warning: could not look at the nodes")]


def test_a_submission_that_is_interrupted_while_it_looks_at_the_nodes_leaves_no_job_behind(
    scene: Scene, tmp_path: Path
) -> None:
    address = scene.dashboard.address.replace("127.0.0.1", "0.0.0.0")  # noqa: S104 - as above
    work = make_workplace(tmp_path / "work", "plain", RAYBUNDLE_ADDRESS=address)
    with work.started("submit", "job.py") as running:
        running.wait_for("looking at the nodes", running.stderr)
        while not scene.dashboard.jobs:
            assert running.process.poll() is None
            time.sleep(0.02)
        running.process.send_signal(signal.SIGINT)
        code, _, said = running.end()

    assert code == 130
    assert len(scene.dashboard.submitted) == 1
    assert scene.dashboard.jobs == {}
    assert "warning" not in said
    assert "Traceback" not in said
    assert not list(tmp_path.glob("work-home/.cache/raybundle/clusters/*"))  # nothing was found out


@pytest.mark.slow
@pytest.mark.parametrize(
    ("second", "status", "looks"),
    [
        ({}, "SUCCEEDED", 1),
        ({"store": "NoCredentialsError: "}, "SUCCEEDED", 2),
        ({"fault": "no answer in 15 s"}, "SUCCEEDED", 2),
        ({}, "FAILED", 2),
    ],
)
def test_a_look_at_the_nodes_that_found_faults_is_believed_for_a_short_while_alone(
    readable: Scene, second: dict[str, str], status: str, looks: int
) -> None:
    readable.nodes({}, {"address": "10.0.0.3", "host": "n2", **second}, status=status)
    readable.deliver()
    said = len(readable.said)
    readable.deliver()
    cache = Cache(readable.directory / "cache", lambda: time.time_ns() + BELIEVED_WITH_FAULTS)
    later = replace(readable, cluster=replace(readable.cluster, cache=cache))

    assert len(readable.dashboard.submitted) == 1
    assert (len(readable.said) > said) == (status == "FAILED" or "store" in second)
    later.deliver()
    assert len(readable.dashboard.submitted) == looks


ASKS = """
import sys
from raybundle.cluster.access import make_access
from raybundle.cluster.jobs import JobsClient
from raybundle.submission.survey import run_probe

access = make_access(sys.argv[1], {}, headers='{"Authorization": "Bearer abc"}')
print(run_probe(JobsClient(access), "asks", {}))
"""


WELL: dict[str, Any] = {
    "versions": {},
    "tmp_runs": True,
    "cache": {"path": "/tmp/raybundle-0", "fault": None, "trees": 0, "layers": 0},
    "spill": {"path": "/tmp/ray", "used": 10, "total": 100},
    "gpus": None,
    "variables": {},
    "pth": [],
    "site": [],
}
"""What a node without a fault says if it is examined."""


def one_node(exchange: Exchange) -> bool:
    row = {"node_id": "ab", "node_ip": "10.0.0.2", "node_name": "10.0.0.2", "state": "ALIVE"}
    is_asked = exchange.path.startswith("/api/v0/nodes")
    return is_asked and exchange.answer(200, {"data": {"result": {"result": [row]}}})


def test_only_checks_that_found_nothing_are_believed_by_the_next_submission(
    scene: Scene, tmp_path: Path
) -> None:
    scene.dashboard.faults.append(one_node)
    work = make_workplace(tmp_path / "work", "plain", RAYBUNDLE_ADDRESS=scene.dashboard.address)
    node = {"version": platform.python_version(), "free": 40 << 30}
    checks = {**WELL, "time": time.time()}

    scene.nodes({**node, "checks": {**checks, "tmp_runs": False}})
    refused = work.raybundle("submit", "--check", "--no-wait", "job.py")
    scene.nodes({**node, "checks": checks})
    mended = [work.raybundle("submit", "--check", "--no-wait", "job.py") for _ in range(2)]

    assert (refused.returncode, "noexec" in refused.stderr) == (3, True)
    assert [done.returncode for done in mended] == [0, 0], mended
    assert ["asking the nodes of" in done.stderr for done in (refused, *mended)] == [True, True, False]


def listed(exchange: Exchange) -> bool:
    is_list = (exchange.command, exchange.path) == ("GET", "/api/jobs/")
    return is_list and exchange.answer(200, list(exchange.dashboard.jobs.values()))


def test_who_asks_nodes_ends_with_their_answer_and_another_process_removes_the_job() -> None:
    with FakeDashboard() as dashboard:
        dashboard.log = b'RAYBUNDLE-NODE {"address": "10.0.0.2"}\nRAYBUNDLE-NODE all\n'
        asks = [sys.executable, "-c", ASKS, dashboard.address]
        done = subprocess.run(asks, capture_output=True, text=True, check=False)

        assert done.stdout == "([{'address': '10.0.0.2'}], None)\n", done.stderr
        [(name, job)] = dashboard.jobs.items()
        assert job["status"] == "RUNNING"
        dashboard.faults.append(listed)
        with contextlib.closing(JobsClient(make_access(dashboard.address, {}))) as client:
            assert client.list() == []
        job["status"] = "SUCCEEDED"
        deadline = time.monotonic() + 20
        while dashboard.jobs and time.monotonic() < deadline:
            time.sleep(0.05)

        assert dashboard.jobs == {}
        [sent] = [headers for method, _, headers in dashboard.requests if method == "DELETE"]
        assert sent["Authorization"] == "Bearer abc"
        assert dashboard.asked("POST", f"/api/jobs/{name}/stop") == 0


def test_who_asks_nodes_also_removes_what_others_have_left() -> None:
    now = int(time.time() * 1000)
    with FakeDashboard() as dashboard:
        dashboard.faults.append(listed)
        dashboard.add("raybundle-probe-left", "SUCCEEDED", end_time=now - 700_000)
        dashboard.add("raybundle-probe-lasting", "RUNNING", start_time=now - 700_000)
        dashboard.add("raybundle-probe-read", "SUCCEEDED", end_time=now - 10_000)
        dashboard.add("nightly", "SUCCEEDED", end_time=now - 700_000)
        access = make_access(dashboard.address, {})
        dashboard.add("raybundle-probe-own", "SUCCEEDED", end_time=now)

        remove_probe(access, "raybundle-probe-own", leaves=0.0)

        assert set(dashboard.jobs) == {"raybundle-probe-lasting", "raybundle-probe-read", "nightly"}
