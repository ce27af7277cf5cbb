"""A Ray cluster without raybundle, and an Airflow that reaches it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from raybundle.cluster.access import make_access
from raybundle.cluster.jobs import JobsClient
from tests.support.airflow import Airflow, make_airflow, require_airflow
from tests.support.nodes import node_environment
from tests.support.ray_head import RayHead, ray_head

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def head() -> Iterator[RayHead]:
    """A stock cluster."""
    require_airflow()
    with ray_head(node_environment() / "bin" / "python", num_cpus=4) as running:
        yield running


@pytest.fixture(scope="session")
def airflow(head: RayHead, tmp_path_factory: pytest.TempPathFactory) -> Airflow:
    """An Airflow whose default connection is the cluster."""
    return make_airflow(require_airflow(), tmp_path_factory.mktemp("airflow"), head.address)


@pytest.fixture
def client(head: RayHead) -> Iterator[JobsClient]:
    """A client of the cluster."""
    client = JobsClient(make_access(head.address, {}))
    yield client
    client.close()
