"""`doctor` names the node and the cause, and is content once each is mended."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.integration.nodes.conftest import CREDENTIALS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.nodes.conftest import ThreeNodes
    from tests.support.workplace import Workplace

pytestmark = pytest.mark.nodes
CACHE = "/tmp/raybundle-0"


def examined(work: Workplace) -> tuple[int, list[tuple[str, str, str]]]:
    """Returns the exit code, and check, host and state of all that is not as it should be."""
    done = work.raybundle("--json", "doctor")
    assert done.stdout, done.stderr
    bad = [one for one in json.loads(done.stdout)["checks"] if one["state"] != "ok"]
    assert all(one["remedy"] for one in bad)
    hosts = [(one["check"], one["where"].partition(" ")[0], one["state"]) for one in bad]
    return done.returncode, hosts


@contextmanager
def spoilt(three_nodes: ThreeNodes, node: str, spoil: str, mend: str) -> Iterator[None]:
    three_nodes.nodes.run(node, ["sh", "-c", spoil])
    try:
        yield
    finally:
        three_nodes.nodes.run(node, ["sh", "-c", mend])


def test_each_node_that_differs_is_named_until_it_is_mended(three_nodes: ThreeNodes, tmp_path: Path) -> None:
    work = three_nodes.workplace(tmp_path / "work", "plain")

    with (
        spoilt(
            three_nodes, "n1", f"mv {CREDENTIALS} {CREDENTIALS}.away", f"mv {CREDENTIALS}.away {CREDENTIALS}"
        ),
        spoilt(three_nodes, "n2", f"mkdir -p {CACHE} && chmod 755 {CACHE}", f"chmod 700 {CACHE}"),
    ):
        code, bad = examined(work)
    mended = examined(work)

    assert (code, sorted(bad)) == (1, [("cache", "n2", "failed"), ("store", "n1", "warning")])
    assert mended == (0, [])
