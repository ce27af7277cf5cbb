"""The embedded cluster, made once, and a client of it."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from raybundle.cluster.access import make_access
from raybundle.cluster.jobs import JobsClient
from tests.support.workplace import Workplace, make_workplace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


CLUSTERS = {"embedded", "token_auth"}
"""Fixtures that start one."""
INDEX_WORD = secrets.token_hex(16)
"""A password in the environment of the cluster's node, for an index of wheels."""


def pytest_itemcollected(item: pytest.Item) -> None:
    """Marks what uses a cluster of the session."""
    if CLUSTERS & {*getattr(item, "fixturenames", ())}:
        item.add_marker(pytest.mark.ray)


@dataclass(frozen=True, slots=True)
class Embedded:
    """The embedded cluster of this test session; nothing else is configured for its users."""

    address: str
    state: Path

    @property
    def token(self) -> dict[str, str]:
        """The variable of a user who reaches the cluster through a proxy or with Ray's own clients."""
        return {"RAY_AUTH_TOKEN_PATH": str(self.state / "auth_token")}

    def workplace(self, directory: Path, project: str | None = None, **environ: str) -> Workplace:
        """Returns a copy of a project whose user has this embedded cluster running."""
        return make_workplace(directory, project, RAYBUNDLE_LOCAL_STATE=str(self.state), **environ)


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    """An embedded cluster, started and ended by the command line."""
    state = tmp_path_factory.mktemp("local-state")
    work = make_workplace(tmp_path_factory.mktemp("up") / "work", RAYBUNDLE_LOCAL_STATE=str(state))
    options = ("--num-cpus", "4", "--object-store-memory", "100000000")
    up = work.raybundle("--json", "local", "up", *options, env={"INDEX_WORD": INDEX_WORD})
    try:
        assert up.returncode == 0, up.stderr
        yield Embedded(json.loads(up.stdout)["address"], state)
    finally:
        work.raybundle("local", "down")


@pytest.fixture
def client(embedded: Embedded) -> Iterator[JobsClient]:
    """A client of the embedded cluster."""
    client = JobsClient(make_access(embedded.address, embedded.token))
    yield client
    client.close()
