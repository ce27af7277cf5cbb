"""S3 over HTTP with a server that checks signatures: who may do what, and how a refusal reads."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from raybundle.errors import StoreAccessError, UsageError
from raybundle.publish.putting import prepare, put_compared
from raybundle.store import open_store

if TYPE_CHECKING:
    from collections.abc import Callable

    from raybundle.store import Store
    from tests.support.s3_server import S3Server

SOURCE = Path(__file__).resolve().parents[4]
QUICK = 15.0
"""Seconds within which a dead endpoint is an error."""

USES: dict[str, Callable[[Store], object]] = {
    "get": lambda store: store.get("a"),
    "put_new": lambda store: store.put_new("a", b"x"),
    "large put_new": lambda store: store.put_new("a", bytes(2 << 20)),
    "size": lambda store: store.size("a"),
    "keys": lambda store: store.keys(""),
}
EVERY_USE = pytest.mark.parametrize("use", USES.values(), ids=USES)


def in_child(code: str, environ: dict[str, str], *, seconds: float = 20) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return subprocess.run(
        [sys.executable, "-c", code],
        env=inherited | {"PYTHONPATH": str(SOURCE), "AWS_EC2_METADATA_DISABLED": "true"} | environ,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


@EVERY_USE
def test_a_wrong_secret_is_named_without_being_shown(s3: S3Server, use: Callable[[Store], object]) -> None:
    environ = {**s3.environ, "AWS_SECRET_ACCESS_KEY": "wrong-secret"}

    with pytest.raises(StoreAccessError, match=r"SignatureDoesNotMatch.*in the environment") as caught:
        use(open_store(s3.prefix(), environ))

    assert s3.bucket in str(caught.value)
    assert "secret key" in str(caught.value.hint)
    assert "wrong-secret" not in str(caught.value)
    assert s3.rw.access not in str(caught.value)


@EVERY_USE
def test_an_unknown_access_key_is_refused(s3: S3Server, use: Callable[[Store], object]) -> None:
    environ = {**s3.environ, "AWS_ACCESS_KEY_ID": "nobody"}

    with pytest.raises(StoreAccessError, match="InvalidAccessKeyId"):
        use(open_store(s3.prefix(), environ))


@EVERY_USE
def test_a_missing_bucket_is_named_with_its_endpoint(s3: S3Server, use: Callable[[Store], object]) -> None:
    with pytest.raises(StoreAccessError, match=f"no bucket not-there at {s3.endpoint}"):
        use(open_store("s3://not-there/prefix", s3.environ))


DEAD = ("keys", "large put_new")
"""Uses of a dead endpoint that test_fault_table.py does not have."""


@pytest.mark.slow
@pytest.mark.parametrize("use", [USES[name] for name in DEAD], ids=DEAD)
def test_a_dead_endpoint_is_an_error_soon(s3: S3Server, use: Callable[[Store], object]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{taken.getsockname()[1]}"
        started = time.monotonic()

        with pytest.raises(StoreAccessError, match=f"{dead}: connection refused"):
            use(open_store(s3.prefix(), {**s3.environ, "AWS_ENDPOINT_URL": dead}))

    assert time.monotonic() - started < QUICK


@pytest.mark.slow
def test_an_endpoint_that_never_answers_is_an_error_soon(s3: S3Server) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        started = time.monotonic()

        with pytest.raises(StoreAccessError, match="no answer in time"):
            prepare(open_store(s3.prefix(), {**s3.environ, "AWS_ENDPOINT_URL": endpoint}))

    assert time.monotonic() - started < QUICK


def test_a_read_only_identity_reads_and_may_not_write(s3: S3Server) -> None:
    url = s3.prefix()
    prepare(open_store(url, s3.environ))
    store = open_store(url, s3.environ_of(s3.ro))

    prepare(store)

    assert store.keys("") == ["store.json"]
    with pytest.raises(StoreAccessError, match=r"cannot write a to .*AccessDenied") as caught:
        put_compared(store, "a", b"x")
    assert "s3:PutObject" in str(caught.value.hint)


def test_keys_in_the_environment_load_neither_boto3_nor_fsspec(s3: S3Server) -> None:
    code = f"""if True:
        import os, sys
        from raybundle.store import open_store
        print(bool(open_store({s3.prefix()!r}, os.environ).put_new("a", b"x")))
        print({{"boto3", "botocore", "fsspec", "s3fs", "asyncio"}} & sys.modules.keys())"""

    child = in_child(code, dict(s3.environ))

    assert (child.stdout, child.stderr) == ("True\nset()\n", "")


def write_profile(home: Path, s3: S3Server, *, services: bool = False) -> None:
    (home / ".aws").mkdir()
    endpoint = f"endpoint_url = {s3.endpoint}\n"
    if services:
        endpoint = f"services = here\n[services here]\ns3 =\n  {endpoint}"
    (home / ".aws" / "config").write_text(f"[profile dev]\nregion = eu-north-1\n{endpoint}")
    keys = f"aws_access_key_id = {s3.rw.access}\naws_secret_access_key = {s3.rw.secret}\n"
    (home / ".aws" / "credentials").write_text(f"[dev]\n{keys}[default]\naws_access_key_id = nobody\n")


@pytest.mark.parametrize("services", [False, True], ids=["endpoint_url", "services section"])
def test_a_profile_gives_keys_region_and_endpoint(s3: S3Server, tmp_path: Path, services: bool) -> None:
    write_profile(tmp_path, s3, services=services)
    store = open_store(s3.prefix(), {"HOME": str(tmp_path), "AWS_PROFILE": "dev"})

    assert store.put_new("a", b"x")
    assert store.get("a") == b"x"


def test_files_named_by_variables_are_read(s3: S3Server, tmp_path: Path) -> None:
    write_profile(tmp_path, s3)
    environ = {
        "AWS_CONFIG_FILE": str(tmp_path / ".aws" / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / ".aws" / "credentials"),
    }

    assert open_store(s3.prefix(), environ, profile="dev").put_new("a", b"x")


def test_a_profile_that_is_asked_for_beats_keys_in_the_environment(s3: S3Server, tmp_path: Path) -> None:
    write_profile(tmp_path, s3)
    environ = {"HOME": str(tmp_path), "AWS_ACCESS_KEY_ID": "nobody", "AWS_SECRET_ACCESS_KEY": "wrong"}

    assert open_store(s3.prefix(), environ, profile="dev").put_new("a", b"x")


def test_keys_in_the_environment_beat_the_profile_that_is_named_there(s3: S3Server, tmp_path: Path) -> None:
    write_profile(tmp_path, s3)
    environ = {"HOME": str(tmp_path), "AWS_PROFILE": "dev", **s3.environ_of(s3.ro)}

    with pytest.raises(StoreAccessError, match=r"AccessDenied \(credentials: AWS_ACCESS_KEY_ID"):
        open_store(s3.prefix(), environ).put_new("a", b"x")


def test_a_refusal_names_the_profile(s3: S3Server, tmp_path: Path) -> None:
    write_profile(tmp_path, s3)
    credentials = tmp_path / ".aws" / "credentials"
    credentials.write_text(credentials.read_text().replace(s3.rw.secret, "wrong-secret"))

    with pytest.raises(StoreAccessError, match=r"profile dev \(shared-credentials-file\)") as caught:
        open_store(s3.prefix(), {"HOME": str(tmp_path), "AWS_PROFILE": "dev"}).keys("")

    assert "wrong-secret" not in str(caught.value)


def test_an_unknown_profile_is_a_usage_error(s3: S3Server, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no AWS profile 'nobody'"):
        open_store(s3.prefix(), {"HOME": str(tmp_path)}, profile="nobody").keys("")


def test_no_credentials_anywhere_says_where_it_looked(s3: S3Server, tmp_path: Path) -> None:
    code = f"""if True:
        import os
        from raybundle.store import open_store
        open_store({s3.prefix()!r}, os.environ).keys("")"""

    child = in_child(code, {"HOME": str(tmp_path), "AWS_ENDPOINT_URL": s3.endpoint})

    assert "StoreAccessError: no AWS credentials: looked in the environment" in child.stderr


NO_URLS = ("minio:9000", "http://", "http://a b", "ftp://minio", "http://h:99999", "http://h ", "http://é")
UNUSABLE = [
    *(("AWS_ENDPOINT_URL", value) for value in NO_URLS),
    ("AWS_REGION", "eu-west-1\n"),
    ("AWS_ACCESS_KEY_ID", "key\n"),
    ("AWS_SECRET_ACCESS_KEY", "\x7fsecret"),
    ("AWS_SESSION_TOKEN", "a\nb"),
]
"""Values that obstore would panic at, or that no server takes."""


@pytest.mark.parametrize(("name", "value"), UNUSABLE)
def test_a_value_that_no_request_can_have_is_a_usage_error(s3: S3Server, name: str, value: str) -> None:
    with pytest.raises(UsageError, match=name) as caught:
        open_store(s3.prefix(), {**s3.environ, name: value}).keys("")

    assert (value in str(caught.value)) == (name == "AWS_ENDPOINT_URL")


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("endpoint_url = minio:9000", "'minio:9000' .* is not the URL"),
        ("region = \x7f", "region"),
        ("credential_process = cat {answer}", "profile odd"),
    ],
)
def test_a_profile_with_such_a_value_is_a_usage_error(tmp_path: Path, line: str, named: str) -> None:
    with pytest.raises(UsageError, match=named):
        odd_profile(tmp_path, line).keys("")


@pytest.mark.parametrize("command", ["echo no JSON", "/not/there", "echo []", "false"])
def test_a_program_that_gives_no_credentials_is_an_access_error(tmp_path: Path, command: str) -> None:
    with pytest.raises(StoreAccessError, match="cannot get AWS credentials for profile odd: ") as caught:
        odd_profile(tmp_path, f"credential_process = {command}").keys("")

    assert "\n" not in str(caught.value)


def odd_profile(directory: Path, line: str) -> Store:
    """Returns the store of a user with a profile that has one line."""
    answer, config = directory / "answer.json", directory / "config"
    answer.write_text(json.dumps({"Version": 1, "AccessKeyId": "a\n", "SecretAccessKey": "b"}))
    config.write_text(f"[profile odd]\n{line.format(answer=answer)}\n")
    environ = {"AWS_CONFIG_FILE": str(config), "HOME": str(directory)}
    return open_store("s3://bucket", environ, profile="odd")


def test_a_certificate_file_that_is_missing_is_a_usage_error(s3: S3Server) -> None:
    environ = {**s3.environ, "AWS_CA_BUNDLE": "/nowhere/ca.pem"}

    with pytest.raises(UsageError, match=r"cannot read AWS_CA_BUNDLE /nowhere/ca\.pem"):
        open_store(s3.prefix(), environ).keys("")


FORK = """if True:
    import os
    from raybundle.store import open_store
    store = open_store({url!r}, os.environ)
    if {used}:
        store.put_new("a", b"x")
    if (child := os.fork()) == 0:
        try:
            print(bool(store.put_new("b", b"x")), flush=True)
        except BaseException as error:
            print(type(error).__name__, error.hint, flush=True)
        os._exit(0)
    os.waitpid(child, 0)
    print(bool(store.put_new("c", b"x")))"""


def test_a_child_forked_before_the_first_use_works(s3: S3Server) -> None:
    child = in_child(FORK.format(url=s3.prefix(), used=False), dict(s3.environ))

    assert (child.stdout, child.stderr) == ("True\nTrue\n", "")


def test_a_child_forked_after_the_first_use_is_refused_and_does_not_hang(s3: S3Server) -> None:
    child = in_child(FORK.format(url=s3.prefix(), used=True), dict(s3.environ))

    assert child.stdout.startswith("StoreAccessError start it without a fork")
    assert child.stdout.endswith("\nTrue\n")
