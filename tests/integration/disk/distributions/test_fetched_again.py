from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.support.client import Client, versions
from tests.support.wheels import make_wheel

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def client(tmp_path: Path) -> Client:
    for name in ("site", "links"):
        (tmp_path / name).mkdir()
    return Client(tmp_path)


@pytest.mark.parametrize("name", ["alpha-1.0.dist-info", "beta-1.0.dist-info"])
def test_what_is_not_whole_any_more_is_fetched_again(client: Client, name: str) -> None:
    alpha = client.install("alpha-1.0", requires=["beta"])
    make_wheel(client.links, "beta-1.0")
    first = client.retargeted(alpha, python="3.12").distributions[0].metadata
    assert first is not None
    shutil.rmtree(first.parent / name)

    assert versions(client.retargeted(alpha, python="3.12")) == {"alpha": "1.0", "beta": "1.0"}
    assert (first.parent / name).is_dir()


def test_a_wheel_that_was_built_again_is_fetched_again(client: Client) -> None:
    alpha = client.install("alpha-1.0")
    first = client.retargeted(alpha, python="3.12").distributions[0].metadata
    make_wheel(client.links, "alpha-1.0", files={"alpha.py": b"built = 'again'"})

    second = client.retargeted(alpha, python="3.12").distributions[0].metadata

    assert first is not None
    assert second is not None
    assert (second.parent / "alpha.py").read_text() == "built = 'again'"
    assert first != second
