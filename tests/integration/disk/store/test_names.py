"""Names of bundles: versions, tags with their history, and what a REF means."""

from __future__ import annotations

import subprocess
import sys
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest

from raybundle.errors import ObjectMissingError, StoreError, UsageError
from raybundle.model import Digest
from raybundle.publish.catalogue import list_bundles, tag_bundle
from raybundle.publish.layout import manifest_key
from raybundle.publish.names import history, parse_moment, record_name
from raybundle.publish.putting import prepare
from raybundle.publish.refs import find_ref, look_up
from raybundle.publish.runs.records import record_start
from raybundle.publish.runs.run import new_run
from raybundle.store import Store, open_store
from tests.support.workplace import make_workplace

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.s3_server import S3Server

A, B, C = (Digest("sha256:" + letter * 64) for letter in "abc")
RACER = """
import os, sys
from raybundle.model import Digest
from raybundle.publish.names import record_name
from raybundle.store import open_store
store = open_store(sys.argv[1], os.environ)
print(record_name(store, "train", Digest(sys.argv[2])))
"""


@pytest.fixture(params=["local", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, dict[str, str]]:
    """The URL of a store, and the environment in which it opens."""
    if request.param == "local":
        return str(tmp_path / "store"), {}
    server: S3Server = request.getfixturevalue("s3")
    return server.prefix(), dict(server.environ)


@pytest.fixture
def store(place: tuple[str, dict[str, str]]) -> Store:
    url, environ = place
    found = open_store(url, environ)
    for digest in (A, B, C):
        found.put_new(manifest_key(digest), b"{}")
    return found


def test_a_new_bundle_gets_the_next_version_and_a_known_one_keeps_its_own(store: Store) -> None:
    versions = [record_name(store, "train", digest) for digest in (A, A, B, C, C)]

    assert versions == [1, 1, 2, 3, 3]
    assert [look_up(store, ref) for ref in ("train", "train@1", "train@2", "train@3")] == [C, A, B, C]


def test_a_name_leads_to_what_was_recorded_last_also_if_it_is_an_earlier_version(store: Store) -> None:
    steps = (A, B, A, B, C, A, A)
    seen = [(record_name(store, "train", each), look_up(store, "train") == each) for each in steps]

    assert seen == [(1, True), (2, True), (1, True), (2, True), (3, True), (1, True), (1, True)]
    assert history(store, "train") == ((1, 2, 3), (1, 2, 3))


def test_what_others_put_beside_bundles_and_names_is_neither(store: Store) -> None:
    record_name(store, "train", A)
    version, manifest = store.get("names/train/1.json"), store.get(manifest_key(A))
    for folder in ("my copy", "deadbeef01", "train~"):
        store.put_new(f"names/{folder}/1.json", version)
    for folder in (f"{'a' * 64}.bak", "a" * 63, f"{'a' * 64}/old", "README"):
        store.put_new(f"bundles/{folder}/manifest.json", manifest)

    listed = list_bundles(store)

    assert [(each.digest, [name.name for name in each.names]) for each in listed] == [
        (A, ["train"]), (B, []), (C, []),
    ]  # fmt: skip
    assert look_up(store, "aaaaaaaa") == A


@pytest.mark.slow
def test_eight_processes_that_record_one_name_get_different_versions_and_none_is_lost(
    place: tuple[str, dict[str, str]], store: Store
) -> None:
    url, environ = place
    digests = [Digest(f"sha256:{number:064x}") for number in range(7)]
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, url, digest], stdout=subprocess.PIPE, text=True, env=environ
        )
        for digest in [*digests, digests[0]]
    ]

    said = [int(racer.communicate(timeout=60)[0]) for racer in racers]

    assert sorted(said[:7]) == list(range(1, 8))
    assert said[7] == said[0]
    assert [look_up(store, f"train@{version}") for version in said[:7]] == digests


def test_a_tag_moves_and_keeps_where_it_was(store: Store) -> None:
    steps = [tag_bundle(store, digest, "production") for digest in (A, B, A)]

    assert steps == [(A, 1), (B, 2), (A, 1)]
    assert look_up(store, "production") == A
    assert find_ref(store, "production").name == "production@1"


def test_a_tag_is_a_ref_for_another_tag(store: Store) -> None:
    record_name(store, "train", A)
    record_name(store, "train", B)

    tag_bundle(store, "train@1", "production")

    assert look_up(store, "production") == A


def test_a_name_at_a_time_is_what_it_was_then(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    noon = datetime(2026, 11, 25, 12, tzinfo=timezone.utc)
    for days, digest in enumerate((A, B, A)):
        moment = (noon + timedelta(days=days)).isoformat()
        monkeypatch.setattr("raybundle.publish.names._now", lambda moment=moment: moment)
        record_name(store, "train", digest)

    refs = {
        "train@{2026-11-25}": A,
        "train@{2026-11-26}": B,
        "train@{2026-11-27T11:59}": B,
        "train@{2026-11-27T13:00+01:00}": A,
        "train@{2026-11-27T12:00:00Z}": A,
        "train@{2030-01-01}": A,
    }
    assert {ref: look_up(store, ref) for ref in refs} == refs
    with pytest.raises(ObjectMissingError, match=r"no bundle train@\{2026-11-24\} in") as caught:
        look_up(store, "train@{2026-11-24}")
    assert caught.value.hint == "train has the versions 1, 2"


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "9999-12-31", "2026-11-26 25:00"])
def test_what_is_not_a_time_is_a_usage_error(text: str) -> None:
    if text == "9999-12-31":
        assert parse_moment(text).year == 9999
        return
    with pytest.raises(UsageError, match="is not a time"):
        parse_moment(text)


def test_the_id_of_a_run_leads_to_its_bundle(store: Store) -> None:
    for run_id in (None, "nightly-7"):
        run = new_run(B, (), {}, "http://127.0.0.1:1", run_id)
        record_start(store, run)

        found = find_ref(store, run.id)

        assert (found.digest, found.run is not None) == (B, True)


def test_a_name_precedes_the_id_of_a_run(store: Store) -> None:
    record_start(store, new_run(A, (), {}, "http://127.0.0.1:1", "train"))
    record_name(store, "train", B)

    assert look_up(store, "train") == B


def test_a_version_whose_object_is_damaged_is_named_and_blocks_no_other(store: Store) -> None:
    store.put_new("names/train/1.json", b"{}")

    assert record_name(store, "train", A) == 2
    assert look_up(store, "train") == A
    with pytest.raises(StoreError, match=r"names/train/1.json in .* is damaged"):
        look_up(store, "train@1")


@pytest.mark.parametrize("digest", [A, B, C])
def test_a_damaged_move_is_followed_by_a_new_one(store: Store, digest: Digest) -> None:
    record_name(store, "train", A)
    record_name(store, "train", B)
    store.put_new("names/train/moves/1.json", b"")
    with pytest.raises(StoreError, match=r"names/train/moves/1.json in .* is damaged") as caught:
        look_up(store, "train")
    assert "`raybundle tag` a bundle train again" in str(caught.value.hint)

    record_name(store, "train", digest)

    assert look_up(store, "train") == digest


def test_damaged_names_do_not_hide_the_list_of_bundles(store: Store) -> None:
    prepare(store)
    record_name(store, "train", A)
    store.put_new("names/train/2.json", b"")
    store.put_new("names/train/moves/1.json", b"")

    listed = {each.digest: each.names for each in list_bundles(store)}

    assert [(each.version, each.current) for each in listed[A]] == [(1, False)]


def test_a_tag_for_what_is_not_there_is_refused(store: Store) -> None:
    record_name(store, "train", Digest("sha256:" + "d" * 64))

    for ref in ("train", "99999999", "nothing"):
        with pytest.raises(ObjectMissingError):
            tag_bundle(store, ref, "production")
    with pytest.raises(UsageError, match="cannot be the name of a bundle"):
        tag_bundle(store, A, "a/b")
    assert history(store, "production") == ((), ())


def test_bundles_are_listed_with_their_names_and_a_damaged_one_too(store: Store) -> None:
    record_name(store, "train", A)
    record_name(store, "train", B)
    tag_bundle(store, A, "production")

    found = {each.digest: each for each in list_bundles(store)}

    assert list(found) == [A, B, C]
    assert [(one.name, one.version, one.current) for one in found[A].names] == [
        ("production", 1, True),
        ("train", 1, False),
    ]
    assert found[C].names == ()
    assert found[C].target is None


@pytest.mark.slow
def test_commands_record_tag_and_list(tmp_path: Path) -> None:
    work = make_workplace(tmp_path / "work")
    (work.directory / "job.py").write_text("print(1)\n")

    built = work.raybundle("build", "--name", "train", "job.py")
    again = work.raybundle("build", "--name", "train", "job.py")
    tagged = work.raybundle("tag", "train@1", "production")
    listed = work.raybundle("bundles")

    digest = built.stdout.strip()
    assert "recorded as train@1" in built.stderr
    assert "recorded as train@1" in again.stderr
    assert f"production is production@1, {digest}" in tagged.stderr
    header, row = listed.stdout.splitlines()
    assert header.split()[0] == "BUNDLE"
    assert row.split()[0] == digest[:19]
    assert row.endswith("production@1* train@1*")
    assert work.raybundle("show", "production").stdout.startswith(f"bundle   {digest}\n")


def test_a_name_that_cannot_be_one_is_refused_before_anything_is_built(tmp_path: Path) -> None:
    work = make_workplace(tmp_path / "work")
    (work.directory / "job.py").write_text("print(1)\n")

    done = work.raybundle("build", "--name", "a/b", "job.py")

    assert done.returncode == 2
    assert "cannot be the name of a bundle" in done.stderr
    assert work.raybundle("bundles").stdout.splitlines()[1:] == []
