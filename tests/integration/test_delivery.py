"""How a bundle with layers reaches nodes: directly or through the Jobs API, whatever that answers."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest

from raybundle import delivery
from raybundle.bundle.manifest import Manifest, PythonTag, ScriptEntry
from raybundle.cluster import relay
from raybundle.cluster.access import make_access
from raybundle.cluster.jobs import JobsClient
from raybundle.cluster.nodes import KEPT_WITH_FAULTS
from raybundle.cluster.packages import packages_of
from raybundle.config import load_settings
from raybundle.delivery import Archives, Cluster, begin_survey, deliver
from raybundle.destination import for_nodes
from raybundle.environment.platforms import Platform
from raybundle.environment.target import TargetTag
from raybundle.errors import (
    BundleError,
    ClusterError,
    DigestMismatchError,
    JobStartError,
    ObjectMissingError,
)
from raybundle.model import ArchivePath, Digest, ModuleName, ModuleTarget, RootSymbol
from raybundle.pipeline import Request
from raybundle.store.local import LocalStore
from raybundle.submission import JobOptions, Stored, prepare_run, submit, wait
from tests.support.fake_dashboard import FakeDashboard
from tests.support.layer_archives import make_layer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.fake_dashboard import Exchange

BUNDLE = f"bundles/{'ab' * 32}/{'cd' * 32}-{hashlib.sha256(b'the bundle').hexdigest()}.zip"
LAYERS = [make_layer(name, {f"{name}/__init__.py": name.encode() * 300}) for name in ("one", "two", "three")]
MANIFEST = Manifest(
    ScriptEntry(ArchivePath("project/job.py")),
    PythonTag("cpython", "3.11", "cpython-311-x86_64-linux-gnu", "linux-x86_64"),
    (RootSymbol("project:."), RootSymbol("stdlib"), RootSymbol("layers"), RootSymbol("ray")),
    (),
    (),
    tuple(entry for entry, _, _ in LAYERS),
)
ARCHIVES = Archives(BUNDLE, tuple(key for _, key, _ in LAYERS))
NODE: dict[str, Any] = {
    "address": "10.0.0.2",
    "host": "n1",
    "implementation": "cpython",
    "version": "3.11.9",
    "abi": "cpython-311-x86_64-linux-gnu",
    "platform": "linux-x86_64",
    "machine": "x86_64",
    "system": "glibc 2.36",
    "ray": "2.60.0",
    "free": 10**9,
    "store": None,
}


class NodesReadIt(LocalStore):
    """A local directory that passes for one which nodes read."""

    def node_url(self, key: str) -> str:
        return f"s3://bucket/{key}"


@dataclass
class Scene:
    """A dashboard, a store with a bundle, and what the user was told."""

    dashboard: FakeDashboard
    directory: Path
    store: LocalStore
    cluster: Cluster
    said: list[str]

    @property
    def uploads(self) -> int:
        return sum(method == "PUT" for method, _, _ in self.dashboard.requests)

    def deliver(self) -> delivery.Delivered:
        return deliver(ARCHIVES, MANIFEST, self.store, self.cluster)

    def nodes(self, *nodes: dict[str, Any], status: str = "SUCCEEDED") -> None:
        """Makes the cluster answer a look at its nodes."""
        lines = "".join(f"RAYBUNDLE-NODE {json.dumps({**NODE, **node})}\n" for node in nodes)
        self.dashboard.log = f"a line of Ray's\n{lines}".encode()

        def end(exchange: Exchange) -> bool:
            for name, job in self.dashboard.jobs.items():
                if name.startswith("raybundle-probe-") and name in exchange.path:
                    job["status"] = status
            return False

        self.dashboard.faults.append(end)


@contextlib.contextmanager
def made(directory: Path, store: LocalStore) -> Iterator[Scene]:
    store.put_new(BUNDLE, b"the bundle")
    for _, key, archive in LAYERS:
        store.put_new(key, archive)
    said: list[str] = []
    with FakeDashboard() as dashboard:
        client = JobsClient(make_access(dashboard.address, {}), said.append)
        with contextlib.closing(client):
            cluster = Cluster(client, shares_disk=False, cache=directory / "cache")
            yield Scene(dashboard, directory, store, cluster, said)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with made(tmp_path, LocalStore(tmp_path / "store")) as scene:
        yield scene


@pytest.fixture
def readable(tmp_path: Path) -> Iterator[Scene]:
    """The same with a store that nodes may be able to read."""
    with made(tmp_path, NodesReadIt(tmp_path / "store")) as scene:
        yield scene


def test_what_nodes_cannot_read_is_relayed_in_order_and_once(scene: Scene) -> None:
    first = scene.deliver()
    uploads = scene.uploads
    second = scene.deliver()

    assert [scene.dashboard.packages[url[6:]] for url in (first.bundle, *first.layers)] == [
        b"the bundle",
        *(archive for _, _, archive in LAYERS),
    ]
    assert second == first
    assert uploads == scene.uploads == 4


def test_an_archive_that_was_relayed_is_not_read_again(scene: Scene) -> None:
    first = scene.deliver()
    for key in ARCHIVES.layers:
        file = scene.directory / "store" / key
        file.write_bytes(b"x" * file.stat().st_size)

    assert scene.deliver() == first


def test_a_cluster_that_forgot_a_package_gets_that_one_again(scene: Scene) -> None:
    first = scene.deliver()
    del scene.dashboard.packages[first.layers[1][6:]]

    assert scene.deliver() == first
    assert scene.uploads == 5
    assert first.layers[1][6:] in scene.dashboard.packages


def test_a_large_archive_is_relayed_in_parts(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "packages_of", lambda key, archive: packages_of(key, archive, 5_000))
    _, key, archive = make_layer("large", {"large.bin": b"x" * 12_000})
    scene.store.put_new(key, archive)

    found = deliver(Archives(BUNDLE, (key,)), MANIFEST, scene.store, scene.cluster)

    assert len(found.layers) > 2
    assert all(len(scene.dashboard.packages[url[6:]]) <= 5_000 for url in found.layers)


@pytest.mark.parametrize("status", [0, 500])
def test_an_upload_that_fails_for_a_while_is_sent_again(
    scene: Scene, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "FIRST_DELAY", 0.01)
    left = [1] * 3

    def fail(exchange: Exchange) -> bool:
        if exchange.command != "PUT" or not left:
            return False
        left.pop()
        exchange.close_connection = True
        return exchange.answer(status, b"no memory") if status else True

    scene.dashboard.faults = [fail]

    found = scene.deliver()

    assert {url[6:] for url in (found.bundle, *found.layers)} == set(scene.dashboard.packages)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ((413, b"<html>413 Request Entity Too Large</html>"), "refused the upload: HTTP 413"),
        ((403, b"no"), "refuses our credentials"),
    ],
)
def test_an_upload_that_is_refused_is_not_sent_again(
    scene: Scene, answer: tuple[int, bytes], expected: str
) -> None:
    scene.dashboard.faults = [lambda exchange: exchange.command == "PUT" and exchange.answer(*answer)]

    with pytest.raises(ClusterError, match=expected):
        scene.deliver()

    assert scene.uploads == 1


def test_a_cluster_that_takes_a_package_and_has_it_not_is_an_error(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "FIRST_DELAY", 0.01)
    scene.dashboard.faults = [lambda exchange: exchange.command == "PUT" and exchange.answer(200, b"")]

    with pytest.raises(ClusterError, match=r"took _ray_pkg_raybundle_.* and does not have it"):
        scene.deliver()


def test_layers_that_the_store_lost_or_that_are_damaged_are_named(scene: Scene) -> None:
    first, second, third = (scene.directory / "store" / key for key in ARCHIVES.layers)
    third.write_bytes(third.read_bytes()[:-1])
    with pytest.raises(DigestMismatchError, match=re.escape(ARCHIVES.layers[2])):
        scene.deliver()
    first.unlink()
    second.unlink()

    with pytest.raises(ObjectMissingError, match=f"{ARCHIVES.layers[0]}, {ARCHIVES.layers[1]}"):
        scene.deliver()


def test_two_submissions_have_one_runtime_env_byte_for_byte(scene: Scene) -> None:
    stored = Stored(
        Digest(f"sha256:{'ab' * 32}"), MANIFEST, BUNDLE, "cd" * 32, 0, ARCHIVES.layers, delivery="12" * 32
    )
    for _ in range(2):
        run = prepare_run(stored, scene.cluster, JobOptions(env={"B": "1", "A": "2"}))
        submit(run, stored, scene.store, scene.cluster, JobOptions())

    first, second = (json.dumps(job["runtime_env"]) for job in scene.dashboard.submitted)
    assert first == second
    assert list(json.loads(first)) == ["working_dir", "py_modules", "env_vars", "worker_process_setup_hook"]
    assert json.loads(first)["env_vars"]["RAYBUNDLE_DELIVERY"] == "12" * 32
    assert len(json.loads(first)["py_modules"]) == 3


def test_what_all_nodes_read_is_theirs_to_fetch_and_they_are_asked_once(readable: Scene) -> None:
    readable.nodes({}, {"address": "10.0.0.3"})
    _, key, archive = make_layer("large", {"large.bin": b"x" * (2 << 20)})
    readable.store.put_new(key, archive)
    archives = Archives(BUNDLE, (ARCHIVES.layers[0], key, ARCHIVES.layers[1]))

    found = [deliver(archives, MANIFEST, readable.store, readable.cluster) for _ in range(2)]

    assert found[0] == found[1]
    assert found[0].bundle == f"s3://bucket/{BUNDLE}"
    [small, large, _] = found[0].layers
    assert large == f"s3://bucket/{key}"
    assert readable.dashboard.packages[small.removeprefix("gcs://")] == LAYERS[0][2]
    [probe] = readable.dashboard.submitted
    assert probe["entrypoint"].endswith(" raybundle_probe.py s3://bucket/store.json")
    assert "warning" not in " ".join(readable.said)


def test_where_a_node_cannot_read_the_store_all_is_relayed_and_the_node_is_named(readable: Scene) -> None:
    readable.nodes({}, {"address": "10.0.0.3", "host": "n2", "store": "ImportError: no boto3"})

    found = readable.deliver()

    assert all(url.startswith("gcs://") for url in (found.bundle, *found.layers))
    [warning] = [text for text in readable.said if text.startswith("warning")]
    assert f"node n2 (10.0.0.3) cannot read {readable.store.url}: ImportError: no boto3" in warning


def test_what_is_too_large_to_be_relayed_is_refused_with_the_node(
    readable: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "MOST_RELAYED", 1000)
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


def for_its_nodes(scene: Scene, setting: dict[str, str], *nodes: dict[str, Any]) -> TargetTag | None:
    """Returns what a bundle for these nodes is for, as far as they decide."""
    scene.nodes(*nodes)
    settings = load_settings(setting, {}, scene.directory)
    request = Request(ModuleTarget(ModuleName("job")), settings, scene.directory, scene.directory, {})
    return for_nodes(request, begin_survey(scene.cluster, scene.store)).cluster


@pytest.mark.parametrize(("second", "minor"), [("3.12.4", "3.12"), ("3.11.9", None)])
def test_a_bundle_is_made_for_nodes_that_all_have_another_python(
    readable: Scene, second: str, minor: str | None
) -> None:
    other = {"address": "10.0.0.3", "version": second}
    found = for_its_nodes(readable, {}, {"version": "3.12.1"}, other)

    assert (found and found.minor) == minor


def test_a_bundle_is_made_for_the_oldest_glibc_of_the_nodes_whatever_is_set(readable: Scene) -> None:
    older = {"address": "10.0.0.3", "system": "glibc 2.31", "version": "3.11.2"}
    setting = {"python": "3.11", "platform": "linux"}

    assert for_its_nodes(readable, setting, {}, older) == TargetTag(
        "cpython", "3.11", Platform("linux", "x86_64", "gnu", (2, 31))
    )


def test_nodes_of_a_mac_run_what_is_for_their_machine_and_for_no_newer_system(readable: Scene) -> None:
    mac = {"abi": "cpython-311-darwin", "platform": "macosx-10.9-universal2", "machine": "arm64"}
    intel = {"host": "n2", "address": "10.0.0.3", "machine": "x86_64", "system": "macOS 14.5"}
    old = {"host": "n3", "address": "10.0.0.4", "system": "macOS 11.7"}
    readable.nodes({**mac, "system": "macOS 14.5"}, {**mac, **intel}, {**mac, **old})
    python = PythonTag("cpython", "3.11", "cpython-311-darwin", "macosx-13.0-arm64")

    with pytest.raises(BundleError) as caught:
        deliver(ARCHIVES, replace(MANIFEST, python=python), readable.store, readable.cluster)

    assert [line.partition(" has ")[0] for line in str(caught.value).splitlines()] == [
        "node n2 (10.0.0.3)",
        "node n3 (10.0.0.4)",
    ]
    assert caught.value.hint == "`--python 3.11` builds for it, `--platform macosx-14.5-x86_64` too"


@pytest.mark.parametrize("status", ["FAILED", "SUCCEEDED"])
def test_a_look_at_the_nodes_that_fails_is_a_warning(readable: Scene, status: str) -> None:
    readable.nodes(status=status)

    assert readable.deliver().bundle == f"s3://bucket/{BUNDLE}"
    assert [text for text in readable.said if text.startswith("warning: could not look at the nodes")]


def test_a_damaged_bundle_is_not_relayed(scene: Scene) -> None:
    (scene.directory / "store" / BUNDLE).write_bytes(b"poison")

    with pytest.raises(DigestMismatchError, match=re.escape(BUNDLE)):
        scene.deliver()
    assert scene.uploads == 0


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
    [kept] = (readable.directory / "cache/clusters").iterdir()
    document = json.loads(kept.read_text())
    kept.write_text(json.dumps({**document, "time": document["time"] - KEPT_WITH_FAULTS}))

    assert len(readable.dashboard.submitted) == 1
    assert (len(readable.said) > said) == (status == "FAILED" or "store" in second)
    readable.deliver()
    assert len(readable.dashboard.submitted) == looks


@pytest.mark.parametrize(("damage", "found"), [("cut", "no archive of it"), ("gone", "no such object")])
def test_a_layer_that_no_node_could_fetch_is_named_with_its_distribution(
    scene: Scene, damage: str, found: str
) -> None:
    stored = Stored(Digest(f"sha256:{'ab' * 32}"), MANIFEST, BUNDLE, "cd" * 32, 0, ARCHIVES.layers)
    run = prepare_run(stored, scene.cluster, JobOptions())
    submission = submit(run, stored, scene.store, scene.cluster, JobOptions())
    layer = scene.directory / "store" / ARCHIVES.layers[1]
    if damage == "gone":
        layer.unlink()
    else:
        layer.write_bytes(layer.read_bytes()[:50])
    scene.dashboard.jobs[run.id].update(
        status="FAILED", error_type="RUNTIME_ENV_SETUP_FAILURE", message="zipfile.BadZipFile on node 10.0.0.7"
    )

    ended = wait(submission, lambda _piece: None, lambda _ended: 22)

    assert isinstance(ended.error, JobStartError)
    assert f"bundle {stored.digest}: node 10.0.0.7: layer two 1: file {scene.store.url}/" in str(ended.error)
    assert ARCHIVES.layers[1] in str(ended.error)
    assert found in str(ended.error)
