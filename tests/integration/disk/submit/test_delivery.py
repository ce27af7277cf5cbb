"""How a bundle with layers reaches nodes: directly or through the Jobs API, whatever that answers."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from raybundle.errors import (
    ClusterError,
    DigestMismatchError,
    JobStartError,
    ObjectMissingError,
)
from raybundle.store.local import LocalStore
from raybundle.submission import relay
from raybundle.submission.deliver import deliver
from raybundle.submission.options import JobOptions
from raybundle.submission.packages import packages_of
from raybundle.submission.submit import prepare_run, submit
from raybundle.submission.wait import wait
from tests.support.delivery_scene import BUNDLE, LAYERS, PACKED, STORED, Scene, made
from tests.support.layer_archives import bound, make_layer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.fake_dashboard import Exchange


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with made(tmp_path, LocalStore(tmp_path / "store")) as scene:
        yield scene


def test_what_nodes_cannot_read_is_relayed_in_order_and_once(scene: Scene) -> None:
    first = scene.deliver()
    uploads = scene.uploads
    second = scene.deliver()

    assert [scene.dashboard.packages[url[6:]] for url in (first.bundle, *first.layers)] == [
        PACKED.data,
        *(archive for _, _, archive in LAYERS),
    ]
    assert second == first
    assert uploads == scene.uploads == 4


def test_an_archive_that_was_relayed_is_not_read_again(scene: Scene) -> None:
    first = scene.deliver()
    for key in STORED.layer_keys:
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

    stored = replace(STORED, layers=(bound(key, archive),))

    found = deliver(stored, scene.store, scene.cluster)
    [note] = (scene.directory / "cache/packages").iterdir()
    note.write_bytes(note.read_bytes()[:-10])  # as a full disk leaves it

    assert deliver(stored, scene.store, scene.cluster) == found
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
        ((403, b"no"), "not as a Ray dashboard does: no"),
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
    first, second, third = (scene.directory / "store" / key for key in STORED.layer_keys)
    third.write_bytes(third.read_bytes()[:-1])
    with pytest.raises(DigestMismatchError, match=re.escape(STORED.layer_keys[2])):
        scene.deliver()
    first.unlink()
    second.unlink()

    with pytest.raises(ObjectMissingError, match=f"{STORED.layer_keys[0]}, {STORED.layer_keys[1]}"):
        scene.deliver()


def test_two_submissions_have_one_runtime_env_byte_for_byte(scene: Scene) -> None:
    for _ in range(2):
        run = prepare_run(STORED, scene.cluster, JobOptions(env={"B": "1", "A": "2"}))
        submit(run, STORED, scene.store, scene.cluster, JobOptions())

    first, second = (json.dumps(job["runtime_env"]) for job in scene.dashboard.submitted)
    assert first == second
    assert list(json.loads(first)) == ["working_dir", "py_modules", "env_vars", "worker_process_setup_hook"]
    assert len(json.loads(first)["py_modules"]) == 3


def test_a_damaged_bundle_is_not_relayed(scene: Scene) -> None:
    (scene.directory / "store" / BUNDLE).write_bytes(b"poison")

    with pytest.raises(DigestMismatchError, match=re.escape(BUNDLE)):
        scene.deliver()
    assert scene.uploads == 0


@pytest.mark.parametrize(("damage", "found"), [("cut", "no archive of it"), ("gone", "no such object")])
def test_a_layer_that_no_node_could_fetch_is_named_with_its_distribution(
    scene: Scene, damage: str, found: str
) -> None:
    run = prepare_run(STORED, scene.cluster, JobOptions())
    submission = submit(run, STORED, scene.store, scene.cluster, JobOptions())
    layer = scene.directory / "store" / STORED.layer_keys[1]
    if damage == "gone":
        layer.unlink()
    else:
        layer.write_bytes(layer.read_bytes()[:50])
    scene.dashboard.jobs[run.id].update(
        status="FAILED", error_type="RUNTIME_ENV_SETUP_FAILURE", message="zipfile.BadZipFile on node 10.0.0.7"
    )

    ended = wait(submission, lambda _piece: None)

    assert isinstance(ended.error, JobStartError)
    assert f"bundle {STORED.digest}: node 10.0.0.7: layer two 1: file {scene.store.url}/" in str(ended.error)
    assert STORED.layer_keys[1] in str(ended.error)
    assert found in str(ended.error)
