"""What an operator runs on a node: it verifies every byte of the cache, or removes what no job uses."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.disk.node.test_cache_damage import DRIVER, flip, made, node, place_of, python
from tests.support.booting import last_json

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.booting import Unpacked

__all__ = ["node", "python"]


def operate(node: Unpacked, action: str) -> tuple[int, Any]:
    """Runs the node's own copy of the tool with a plain Python."""
    [tool] = node.private.glob("boot/*/raybundle_verify.py")
    done = subprocess.run(
        [sys.executable, "-I", tool, action, "--json"], capture_output=True, text=True, check=False
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


@pytest.mark.slow
def test_verify_finds_a_bit_that_no_state_of_a_file_shows(node: Unpacked, python: Path) -> None:
    assert operate(node, "verify") == (0, {"cache": str(node.private), "schema_version": 1, "wrong": []})
    flipped = place_of(node, "environments/*/lib/more.py")
    flip(flipped)
    added = flipped.with_name("added.py")
    added.write_text("")

    code, document = operate(node, "verify")

    assert code == 3
    names = {each["file"].rpartition("/")[2] for each in document["wrong"]}
    assert names == {"more.py", "added.py"}
    last_json(node.driver(python, "job.py"))
    assert operate(node, "verify")[0] == 0


def test_clean_removes_what_no_job_uses_and_nothing_else(tmp_path: Path, python: Path) -> None:
    node = made(tmp_path / "job", python)
    process = subprocess.Popen(
        [python, "job.py", "wait"], cwd=node.scratch, env={**node.environ, **DRIVER}, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    expected = json.loads(process.stdout.readline())

    assert operate(node, "clean") == (0, {"cache": str(node.private), "schema_version": 1, "removed": []})

    process.communicate("")
    code, document = operate(node, "clean")
    assert (code, len(document["removed"])) == (0, 4)
    assert last_json(node.driver(python, "job.py")) == expected


@pytest.mark.slow
def test_clean_takes_the_cache_of_an_earlier_version(node: Unpacked) -> None:
    (node.private / "data").rmdir()

    code, document = operate(node, "clean")

    assert (code, len(document["removed"])) == (0, 4)
