"""How the command line checks a server's certificate and shows its own: TLS proxies before a real cluster."""

from __future__ import annotations

import json
import socket
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from tests.support.certificates import Certificates, Identity, make_certificates
from tests.support.proxy import Faults, Proxy
from tests.support.token_cluster import (
    COMMANDS,
    TokenCluster,
    assert_refused,
    live_through_three_jobs,
)

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.ray

ANSWERED = {("driver", True), ("task", True)}
"""What `path` says of the processes of a node, if both have the path of the boot."""

CAUSES = {"expired": "expired", "other_host": "not valid for '127.0.0.1'"}
"""Kinds of certificates, and what OpenSSL says of them."""


@pytest.fixture
def cluster(token_auth: TokenCluster) -> TokenCluster:
    return token_auth


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.mark.parametrize("way", ["http", "https with websockets"])
def test_every_command_works_with_a_token(
    cluster: TokenCluster, certificates: Certificates, tmp_path: Path, way: str
) -> None:
    tls, options = None, []
    if way != "http":
        tls, options = certificates.context(), ["--verify", str(certificates.authority)]
    faults = Faults(not_found=("/api/v0/",) if "websockets" in way else ())
    with Proxy(cluster.address, faults, tls=tls) as proxy:
        user = cluster.member(tmp_path, proxy.address)

        live_through_three_jobs(user, options)

    assert {headers.get("authorization") for headers in proxy.headers} == {cluster.bearer}
    websockets = ["/logs/tail" in request.path for request in proxy.requests]
    assert any(websockets) == ("websockets" in way)
    assert user.leaves(cluster.token) == []


def test_the_certificate_is_checked_by_the_named_authority(
    cluster: TokenCluster, certificates: Certificates, tmp_path: Path
) -> None:
    with Proxy(cluster.address, tls=certificates.context()) as proxy:
        user = cluster.member(tmp_path, proxy.address)
        by_flag = user.run("list", "--verify", str(certificates.authority))
        by_variable = user.work.raybundle("list", env={"RAYBUNDLE_VERIFY": str(certificates.authority)})
        by_name = user.run(
            *("list", "--verify", str(certificates.authority)),
            *("--address", proxy.address.replace("127.0.0.1", "localhost")),
        )

    assert [done.returncode for done in (by_flag, by_variable, by_name)] == [0, 0, 0], by_flag.stderr


def test_doctor_and_path_ask_the_nodes_of_a_cluster_behind_tls_and_a_token(
    cluster: TokenCluster, certificates: Certificates, tmp_path: Path
) -> None:
    with Proxy(cluster.address, tls=certificates.context()) as proxy:
        user = cluster.member(tmp_path, proxy.address, RAYBUNDLE_VERIFY="authority.pem")
        (user.work.directory / "authority.pem").write_bytes(certificates.authority.read_bytes())
        doctor = user.run("--json", "doctor", "job.py")
        path = user.run("--json", "path", "job.py")
        deadline = time.monotonic() + 30
        while sum(each.method == "DELETE" for each in proxy.requests) < 2 and time.monotonic() < deadline:
            time.sleep(0.1)

    removed = [each.path for each in proxy.requests if each.method == "DELETE"]
    assert len({each for each in removed if "/api/jobs/raybundle-probe-" in each}) == 2, removed
    assert doctor.returncode == 0, doctor.stdout + doctor.stderr
    checks = json.loads(doctor.stdout)["checks"]
    assert {"cluster", "python", "disk"} <= {each["check"] for each in checks}
    assert path.returncode == 0, path.stdout + path.stderr
    processes = json.loads(path.stdout)["processes"]
    assert {(each["process"], each["as_boot"]) for each in processes} == ANSWERED


def test_verify_false_checks_nothing(
    cluster: TokenCluster, certificates: Certificates, tmp_path: Path
) -> None:
    for identity in (certificates.expired, certificates.other_host):
        with Proxy(cluster.address, tls=certificates.context(identity)) as proxy:
            user = cluster.member(tmp_path / identity.certificate.stem, proxy.address)

            assert user.run("list", "--verify", "false").returncode == 0


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_an_unknown_authority_is_one_sentence_and_5(
    cluster: TokenCluster, certificates: Certificates, tmp_path: Path, words: tuple[str, ...]
) -> None:
    with Proxy(cluster.address, tls=certificates.context()) as proxy:
        error = assert_refused(cluster.member(tmp_path, proxy.address).run(*words))

    assert_clear(error, proxy.address, "issuer")
    assert proxy.requests == []


@pytest.mark.parametrize("kind", CAUSES)
@pytest.mark.parametrize("words", [("list",), ("submit", "job.py", "code", "0")], ids=" ".join)
def test_an_expired_certificate_and_one_of_another_host_are_one_sentence_and_5(
    cluster: TokenCluster, certificates: Certificates, tmp_path: Path, words: tuple[str, ...], kind: str
) -> None:
    identity: Identity = getattr(certificates, kind)
    with Proxy(cluster.address, tls=certificates.context(identity)) as proxy:
        user = cluster.member(tmp_path, proxy.address, RAYBUNDLE_VERIFY=str(certificates.authority))
        error = assert_refused(user.run(*words))

    assert_clear(error, proxy.address, CAUSES[kind])
    assert proxy.requests == []


def assert_clear(error: str, address: str, cause: str) -> None:
    assert address in error
    assert "certificate" in error
    assert cause in error
    assert "_ssl.c" not in error


def test_a_file_of_authorities_that_is_none_is_a_usage_error(cluster: TokenCluster, tmp_path: Path) -> None:
    (tmp_path / "no.pem").write_text("nothing")
    user = cluster.member(tmp_path, "https://127.0.0.1:1")

    for path in (tmp_path / "no.pem", tmp_path / "missing.pem"):
        done = user.run("list", "--verify", str(path))

        assert done.returncode == 2
        assert str(path) in done.stderr
        assert "Traceback" not in done.stderr


def test_client_certificates_are_shown_to_a_proxy_that_asks_for_them(
    cluster: TokenCluster, certificates: Certificates, tmp_path: Path
) -> None:
    client = certificates.client
    both = tmp_path / "both.pem"
    both.write_bytes(client.certificate.read_bytes() + client.key.read_bytes())
    faults = Faults(not_found=("/api/v0/",))
    with Proxy(cluster.address, faults, tls=certificates.context(asks_client=True)) as proxy:
        user = cluster.member(tmp_path, proxy.address, RAYBUNDLE_VERIFY=str(certificates.authority))
        flags = ["--client-cert", str(client.certificate), "--client-key", str(client.key)]
        done = user.run("submit", *flags, "job.py", "sleep", "4")
        by_variable = user.work.raybundle("list", env={"RAYBUNDLE_CLIENT_CERT": str(both)})

    assert (done.returncode, by_variable.returncode) == (0, 0), done.stderr
    assert [request for request in proxy.requests if request.path.endswith("/logs/tail")]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_client_certificate_that_is_missing_is_one_sentence_and_5(
    cluster: TokenCluster, certificates: Certificates, tmp_path: Path, words: tuple[str, ...]
) -> None:
    with strict_server(certificates.context(asks_client=True)) as address:
        user = cluster.member(tmp_path, address, RAYBUNDLE_VERIFY=str(certificates.authority))
        done = user.run(*words)

    error = assert_refused(done)
    assert address in error
    assert "_ssl.c" not in error
    assert "--client-cert" in done.stderr


def test_a_server_that_hangs_up_on_a_missing_client_certificate_is_one_sentence_and_5(
    cluster: TokenCluster, certificates: Certificates, tmp_path: Path
) -> None:
    with Proxy(cluster.address, tls=certificates.context(asks_client=True)) as proxy:
        user = cluster.member(tmp_path, proxy.address, RAYBUNDLE_VERIFY=str(certificates.authority))
        error = assert_refused(user.run("list"))

    assert proxy.address in error
    assert proxy.requests == []


@contextmanager
def strict_server(context: ssl.SSLContext) -> Iterator[str]:
    """A server that refuses clients by a TLS alert; the proxy, as all of asyncio, hangs up without a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=refuse_clients, args=(listener, context))
        thread.start()
        try:
            yield f"https://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def refuse_clients(listener: socket.socket, context: ssl.SSLContext) -> None:
    with suppress(OSError):
        while True:
            client, _ = listener.accept()
            with context.wrap_socket(client, server_side=True, do_handshake_on_connect=False) as stream:
                with suppress(OSError):
                    stream.do_handshake()
                with suppress(OSError):
                    socket.socket.shutdown(stream, socket.SHUT_WR)
                    while socket.socket.recv(stream, 4096):
                        pass  # or what the client has sent would make the kernel reset the connection
