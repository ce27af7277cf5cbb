"""What data of a project costs: memory, seconds, and bytes to and from an S3 store; cold, and unchanged."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from measure import timed

from tests.support.proxy import Proxy
from tests.support.s3_server import s3_server

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

MIB = 1 << 20
FILE = 64 * MIB
"""Largest file of the data."""


def measure(work: Path, environ: Mapping[str, str], mebibytes: int) -> dict[str, Any]:
    """Returns the figures of a cold build and of an unchanged one that `include`s so much data."""
    project = make_project(work / "data", mebibytes * MIB)
    found: dict[str, Any] = {"mebibytes": mebibytes}
    with s3_server() as server, Proxy(server.endpoint) as proxy:
        store = {"RAYBUNDLE_STORE": server.prefix(), **server.environ, "AWS_ENDPOINT_URL": proxy.address}
        command = [sys.executable, "-m", "raybundle", "build", "job.py"]
        for name in ("cold", "unchanged"):
            before = proxy.sent, proxy.received
            took = timed(command, {**environ, **store}, project)
            found[name] = {
                "seconds": round(took.wall, 2),
                "cpu": round(took.cpu, 2),
                "peak_mebibytes": round(took.peak),
                "sent_mebibytes": round((proxy.sent - before[0]) / MIB, 2),
                "received_mebibytes": round((proxy.received - before[1]) / MIB, 2),
            }
    return found


def make_project(directory: Path, size: int) -> Path:
    """Makes a project whose data cannot be compressed, and is older than what a cache distrusts."""
    (directory / "data").mkdir(parents=True)
    (directory / "job.py").write_text("print(1)\n")
    (directory / "pyproject.toml").write_text('[tool.raybundle]\ninclude = ["data/**"]\n')
    for number in range(-(-size // FILE)):
        file = directory / "data" / f"{number:04}.bin"
        with file.open("wb") as stream:
            for _ in range(min(FILE, size - number * FILE) // MIB):
                stream.write(os.urandom(MIB))
    return directory
