"""Names of objects and REFs, and what URLs mean; nothing is read or written."""

from __future__ import annotations

import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from raybundle.errors import UsageError
from raybundle.model import Digest
from raybundle.publish import layout
from raybundle.store import open_store
from raybundle.store.aws import find_access

SOURCE = Path(__file__).resolve().parents[2]
DIGEST = Digest("sha256:" + "0123456789abcdef" * 4)
HEX = "0123456789abcdef" * 4
KEYS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "HOME": "/nowhere"}


def test_objects_lie_where_the_design_says() -> None:
    started = datetime(2026, 1, 1, 0, 30, tzinfo=timezone(timedelta(hours=2)))

    assert layout.manifest_key(DIGEST) == f"bundles/{HEX}/manifest.json"
    assert layout.archive_key(DIGEST, "b" * 64, "f" * 64) == f"bundles/{HEX}/{'b' * 64}-{'f' * 64}.zip"
    assert layout.graph_key(DIGEST) == f"bundles/{HEX}/graph.json"
    assert layout.name_key("train", 3) == "names/train/3.json"
    assert layout.run_key("r1", started) == "runs/2025/12/r1.json"


@pytest.mark.parametrize("name", ["train", "my-job_2.1", "abc", "abcdef0", "abcdef01x", "_x"])
def test_a_usable_name_is_taken_as_it_is(name: str) -> None:
    assert layout.check_name(name) == name


@pytest.mark.parametrize(
    "name", ["", ".x", "a/b", "a b", "ü", "a@1", "abcdef01", "ABCDEF01", "x" * 129, "x\n"]
)
def test_a_name_that_could_be_something_else_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="cannot be the name of a bundle"):
        layout.check_name(name)


@pytest.mark.parametrize(
    "url",
    ["", " ", "s3://", "s3://x", "s3:///prefix", "s3:/bucket", "file://host/dir", "s3:b", "file:///a%00b"],
)
def test_what_names_no_store_is_a_usage_error(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_store(url, {})

    assert caught.value.hint


@pytest.mark.parametrize("url", ["s3://key:s3cret@bucket/x", "ftp://user:s3cret@host/x"])
def test_a_password_in_a_url_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(UsageError, match="holds a password") as caught:
        open_store(url, {})

    assert "s3cret" not in str(caught.value)


def test_a_scheme_nobody_knows_and_a_driver_that_is_missing_are_usage_errors() -> None:
    with pytest.raises(UsageError, match="no driver for quux:// is installed"):
        open_store("quux://x", {})
    with pytest.raises(UsageError, match="no driver for dropbox:// is installed") as caught:
        open_store("dropbox://x", {})

    assert "dropbox" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("/var/a b", "file:///var/a%20b"),
        ("file:///var/a%20b", "file:///var/a%20b"),
        ("file://localhost/var", "file:///var"),
        ("s3://bucket/a/b/", "s3://bucket/a/b"),
        ("s3a://bucket", "s3://bucket"),
        ("memory://a", "memory://a"),
    ],
)
def test_a_url_has_one_spelling(url: str, expected: str) -> None:
    assert open_store(url, {}).url == expected


def test_nodes_get_a_url_only_for_schemes_that_ray_reads() -> None:
    assert open_store("s3://bucket/p", {}).node_url("a/b") == "s3://bucket/p/a/b"
    assert open_store("memory://a", {}).node_url("a/b") is None


@pytest.mark.parametrize(
    ("environ", "region", "endpoint"),
    [
        ({}, "us-east-1", None),
        ({"AWS_DEFAULT_REGION": "eu-west-1"}, "eu-west-1", None),
        ({"AWS_DEFAULT_REGION": "eu-west-1", "AWS_REGION": "eu-north-1"}, "eu-north-1", None),
        ({"AWS_ENDPOINT_URL": "http://a", "AWS_ENDPOINT_URL_S3": "http://b"}, "us-east-1", "http://b"),
        ({"AWS_ENDPOINT_URL": "http://a", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"}, "us-east-1", None),
    ],
)
def test_region_and_endpoint_come_from_the_environment(
    environ: dict[str, str], region: str, endpoint: str | None
) -> None:
    access = find_access(KEYS | environ, None)

    assert (access.region, access.endpoint) == (region, endpoint)


def test_a_session_token_travels_with_its_keys() -> None:
    access = find_access(KEYS | {"AWS_SESSION_TOKEN": "token"}, None)

    assert access.credentials()["token"] == "token"


def test_the_layer_imports_no_client_before_a_store_is_opened() -> None:
    code = "import sys, raybundle.store, raybundle.publish.layout; print(sorted(sys.modules))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=SOURCE, capture_output=True, text=True, check=True
    ).stdout

    assert "raybundle.store.base" in loaded
    for client in ("obstore", "boto3", "botocore", "fsspec", "asyncio", "configparser"):
        assert f"'{client}'" not in loaded
