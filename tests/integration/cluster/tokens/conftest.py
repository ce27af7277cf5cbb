"""A cluster with token authentication, made once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.token_cluster import TokenCluster, token_cluster

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def token_auth() -> Iterator[TokenCluster]:
    """A cluster that wants a token."""
    with token_cluster() as cluster:
        yield cluster
