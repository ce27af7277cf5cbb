"""Servers behind fsspec's drivers, each for the whole session."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support import store_servers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.store_servers import StoreServer


@pytest.fixture(scope="session")
def azure_server() -> Iterator[StoreServer]:
    with store_servers.azurite() as server:
        yield server


@pytest.fixture(scope="session")
def gcs_server() -> Iterator[StoreServer]:
    with store_servers.fake_gcs() as server:
        yield server


@pytest.fixture(scope="session")
def sftp_server() -> Iterator[StoreServer]:
    with store_servers.sftp() as server:
        yield server
