"""Ray Serve on three nodes with file systems of their own: an edit under load, and applications apart."""

from __future__ import annotations

import json
import tempfile
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.nodes import Nodes, require_namespaces
from tests.support.served import CONFIG, FILES, Load, ask, ask_when_known
from tests.support.small_project import tree
from tests.support.users import user_environment
from tests.support.workplace import make_workplace

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.workplace import Workplace

pytestmark = [pytest.mark.nodes, pytest.mark.wide]

PORT = 8000
EVERY = "0.0.0.0"  # noqa: S104 - the nodes are on a bridge of this machine
SHARED = "/var/tmp"
"""A directory that the nodes share, as by NFS; /tmp is their own, and has the sources on this machine."""
EVERYWHERE = """\
  deployments:
  - name: Speaker
    num_replicas: 3
    max_replicas_per_node: 1
- name: second
"""
REQUESTS = 90
"""Requests after which each of three replicas has surely answered one."""


def deploy(work: Workplace) -> dict[str, Any]:
    done = work.raybundle("--json", "serve", "deploy", "--timeout", "5m", "serve.yaml")
    assert done.returncode == 0, done.stderr
    return {each["name"]: each for each in json.loads(done.stdout)["applications"]}


def test_an_edit_reaches_every_node_and_loses_no_request(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    require_namespaces()
    with Nodes(env=user_environment()) as nodes, tempfile.TemporaryDirectory(dir=SHARED) as store:
        nodes.up()
        config = CONFIG.format(host=EVERY, port=PORT).replace("- name: second\n", EVERYWHERE)
        work = make_workplace(tmp_path / "work", RAYBUNDLE_ADDRESS=nodes.address, RAYBUNDLE_STORE=store)
        tree(work.directory, {**FILES, "serve.yaml": config})
        url = f"{nodes.address.rpartition(':')[0]}:{PORT}"

        first = deploy(work)
        for name in ("first", "second"):
            ask_when_known(f"{url}/{name}")
        before = [ask(f"{url}/first") for _ in range(REQUESTS)]
        other = ask(f"{url}/second")
        (work.directory / "words" / "greeting.py").write_text('GREETING = "new"\n')
        with Load(f"{url}/first") as load:
            second = deploy(work)
        after = [ask(f"{url}/first") for _ in range(REQUESTS)]

    with capsys.disabled():
        print(f"{len(load.answers)} answers under load, the slowest after {load.longest:.1f} s")  # noqa: T201
    assert {each["speaker"]["node"] for each in before} == {"n0", "n1", "n2"}
    assert {each["speaker"]["node"] for each in after} == {"n0", "n1", "n2"}
    assert {each["speaker"]["greeting"] for each in before} == {"old"}
    assert {each["speaker"]["greeting"] for each in after} == {"new"}
    assert {each["speaker"]["bundle"] for each in before} == {first["first"]["bundle"]}
    assert {each["speaker"]["bundle"] for each in after} == {second["first"]["bundle"]}
    assert {each["speaker"]["other"] for each in before} == {False}
    assert (other["mark"], other["other"]) == ("other", True)
    assert (second["first"]["changed"], second["second"]["changed"]) == (True, False)
    assert load.failures == []
