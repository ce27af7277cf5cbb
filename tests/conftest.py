"""Fixtures that several folders of tests share."""

from __future__ import annotations

import gc
import signal
from typing import TYPE_CHECKING

import pytest

import raybundle.cli  # noqa: F401 - it sets how often the collector runs, for a process that ends soon
from tests.support import durations
from tests.support.s3_server import S3Server, s3_server

gc.set_threshold(700, 10, 10)  # what a test leaves is found in that test

if TYPE_CHECKING:
    from collections.abc import Iterator


def pytest_configure(config: pytest.Config) -> None:
    """Logs how long each file takes, where scripts/test asks for it."""
    durations.register(config)


@pytest.fixture(scope="session", autouse=True)
def _interrupts() -> None:
    """Lets the commands that are tested be interrupted, also where whoever runs the tests ignores SIGINT."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    """A real S3 server for the whole session; each test takes a prefix of its own."""
    with s3_server() as server:
        yield server
