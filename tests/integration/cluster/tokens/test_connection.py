"""Who the command line says it is: tokens, headers and passwords, on a cluster with token authentication."""

from __future__ import annotations

import base64
import json
import secrets
from typing import TYPE_CHECKING

import pytest

from tests.support.certificates import make_certificates
from tests.support.proxy import Faults, Proxy
from tests.support.token_cluster import (
    COMMANDS,
    TokenCluster,
    User,
    assert_refused,
    live_through_three_jobs,
)

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.ray

ELSEWHERE = "224.0.0.1:8265"
"""Not loopback, and needs no network: a multicast address, to which the kernel itself refuses connections."""


@pytest.fixture
def cluster(token_auth: TokenCluster) -> TokenCluster:
    return token_auth


# Token


def test_the_token_is_found_in_the_variable(cluster: TokenCluster, tmp_path: Path) -> None:
    user = cluster.user(tmp_path, RAY_AUTH_TOKEN=cluster.token)

    assert user.run("list").returncode == 0


def test_the_token_is_found_in_the_file_that_the_variable_names(
    cluster: TokenCluster, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text(cluster.token + "\n")
    user = cluster.user(tmp_path, RAY_AUTH_TOKEN_PATH=str(tmp_path / "token"))

    assert user.run("list").returncode == 0


def test_the_token_is_found_in_the_file_of_the_home_directory(cluster: TokenCluster, tmp_path: Path) -> None:
    user = cluster.user(tmp_path)
    put_token_in_home(user, cluster.token)

    assert user.run("list").returncode == 0


def put_token_in_home(user: User, token: str) -> None:
    file = user.home / ".ray" / "auth_token"
    file.parent.mkdir()
    file.write_text(token)


def test_the_variable_beats_the_named_file_and_that_the_one_of_the_home_directory(
    cluster: TokenCluster, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("named")
    with Proxy(cluster.address) as proxy:
        user = cluster.user(tmp_path, proxy.address)
        put_token_in_home(user, "home")
        named = {"RAY_AUTH_TOKEN_PATH": str(tmp_path / "token")}
        for environ in ({}, named, {**named, "RAY_AUTH_TOKEN": "variable"}):
            user.work.raybundle("list", env=environ)

    sent = [headers["authorization"] for headers in proxy.headers]
    assert sent == ["Bearer home", "Bearer named", "Bearer variable"]


def test_auth_mode_disabled_sends_no_token(cluster: TokenCluster, tmp_path: Path) -> None:
    with Proxy(cluster.address) as proxy:
        user = cluster.member(tmp_path, proxy.address, RAY_AUTH_MODE="disabled")
        put_token_in_home(user, cluster.token)

        error = assert_refused(user.run("list"))

    assert "401" in error
    assert [headers for headers in proxy.headers if "authorization" in headers] == []


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("json_option", [[], ["--json"]], ids=["text", "json"])
@pytest.mark.parametrize("wrong", [True, False], ids=["wrong", "missing"])
def test_a_wrong_or_missing_token_is_one_sentence_and_5(
    cluster: TokenCluster, tmp_path: Path, words: tuple[str, ...], json_option: list[str], wrong: bool
) -> None:
    token = {"RAY_AUTH_TOKEN": secrets.token_urlsafe(32)} if wrong else {}
    user = User(cluster.user(tmp_path, **token).work, tuple(token.values()))

    error = assert_refused(user.run(*json_option, *words))

    assert cluster.address in error
    assert "token" in error or "credentials" in error


# Headers


def test_headers_of_the_flag_beat_those_of_the_variable_and_go_with_every_request(
    cluster: TokenCluster, tmp_path: Path
) -> None:
    with Proxy(cluster.address, Faults(not_found=("/api/v0/",))) as proxy:
        variable = json.dumps({"X-Team": "variable", "X-Only-There": "1"})
        user = cluster.member(tmp_path, proxy.address, RAY_JOB_HEADERS=variable)
        by_variable = user.run("list")
        of_variable = proxy.headers[:]
        by_flag = user.run("submit", "--headers", '{"X-Team": "flag"}', "job.py", "sleep", "4")
        of_flag = proxy.headers[len(of_variable) :]

    assert (by_variable.returncode, by_flag.returncode) == (0, 0), by_flag.stderr
    assert {(headers["x-team"], headers["x-only-there"]) for headers in of_variable} == {("variable", "1")}
    assert {(headers["x-team"], headers.get("x-only-there")) for headers in of_flag} == {("flag", None)}
    assert [headers for headers in of_flag if headers.get("upgrade") == "websocket"]


def test_an_authorization_header_of_the_user_beats_the_token(cluster: TokenCluster, tmp_path: Path) -> None:
    user = cluster.user(tmp_path, RAY_AUTH_TOKEN="another")

    done = user.run("list", "--headers", json.dumps({"Authorization": cluster.bearer}))

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "text", ['{"Authorization": "Bearer hush-hush"', '["hush-hush"]', '{"X": "hush-hush\\n"}']
)
def test_headers_that_are_none_are_refused_and_not_shown(
    cluster: TokenCluster, tmp_path: Path, text: str
) -> None:
    user = User(cluster.user(tmp_path).work, ("hush-hush",))

    assert user.run("list", "--headers", text).returncode == 2


# Password


def test_a_password_in_the_address_is_sent_and_never_shown(cluster: TokenCluster, tmp_path: Path) -> None:
    certificates = make_certificates(tmp_path)
    pair = "Ann Smith:p@ss/w:rd-" + secrets.token_hex(4)
    basic = "Basic " + base64.b64encode(pair.encode()).decode()
    faults = Faults(exchange=(basic, cluster.bearer), not_found=("/api/v0/",))
    with Proxy(cluster.address, faults, tls=certificates.context()) as proxy:
        user = with_password(cluster, tmp_path, proxy, pair, RAYBUNDLE_VERIFY=str(certificates.authority))

        live_through_three_jobs(user)

    assert {headers.get("authorization") for headers in proxy.headers} == {basic}
    assert [secret for secret in user.secrets if user.leaves(secret)] == []


@pytest.mark.parametrize("json_option", [[], ["--json"]], ids=["text", "json"])
def test_config_show_hides_the_password_of_an_address(
    cluster: TokenCluster, tmp_path: Path, json_option: list[str]
) -> None:
    with Proxy(cluster.address) as proxy:
        user = with_password(cluster, tmp_path, proxy, "user:hush-hush")

        shown = user.run(*json_option, "config", "show")

    assert shown.returncode == 0
    assert f"127.0.0.1:{proxy.port}" in shown.stdout


def test_a_wrong_password_is_one_sentence_and_5(cluster: TokenCluster, tmp_path: Path) -> None:
    with Proxy(cluster.address, Faults(exchange=("Basic eDp5", cluster.bearer))) as proxy:
        user = with_password(cluster, tmp_path, proxy, "user:wrong-password")

        for words in COMMANDS:
            assert "401" in assert_refused(user.run(*words))


@pytest.mark.parametrize(
    "address", ["https://user:{}@127.0.0.1:none", "ftp://user:{}@127.0.0.1", "https://user:{}@"]
)
def test_an_address_that_is_refused_does_not_show_its_password(
    cluster: TokenCluster, tmp_path: Path, address: str
) -> None:
    password = secrets.token_hex(8)
    user = User(cluster.user(tmp_path).work, (password,))

    done = user.run("--address", address.format(password), "list")

    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def with_password(cluster: TokenCluster, directory: Path, proxy: Proxy, pair: str, **environ: str) -> User:
    """Returns a user of the proxy whose address has user and password, in percent-encoding."""
    user, password = pair.split(":", 1)
    coded = "".join(f"%{byte:02X}" for byte in password.encode())
    address = proxy.address.replace("://", f"://{user.replace(' ', '%20')}:{coded}@")
    shown = base64.b64encode(pair.encode()).decode()
    work = cluster.user(directory, address, **environ).work
    return User(work, (cluster.token, password, coded, pair, shown))


# In the clear


@pytest.mark.parametrize(
    ("address", "token", "warned"),
    [
        (f"http://{ELSEWHERE}", True, True),
        (ELSEWHERE, True, True),
        (f"http://user:password@{ELSEWHERE}", False, True),
        (f"http://{ELSEWHERE}", False, False),
        (f"https://{ELSEWHERE}", True, False),
        ("http://127.0.0.1:1", True, False),
        ("http://localhost:1", True, False),
        ("http://[::1]:1", True, False),
    ],
)
def test_credentials_over_plain_http_to_another_machine_are_warned_of(
    cluster: TokenCluster, tmp_path: Path, address: str, token: bool, warned: bool
) -> None:
    user = (cluster.member if token else cluster.user)(tmp_path)

    done = user.run("list", "--address", address)

    warnings = [line for line in done.stderr.splitlines() if "in the clear" in line]
    assert len(warnings) == warned
    assert all(line.startswith("warning: ") for line in warnings)
    assert "user:password" not in done.stderr
