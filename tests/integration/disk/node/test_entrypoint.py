"""The entrypoint of a job begins with the command that people know, and runs only the verified script."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from raybundle.bundle.values import Manifest, PythonTag, ScriptEntry
from raybundle.cluster.runtime_env import command_text, render_command, render_entrypoint
from raybundle.model import ArchivePath, RootSymbol
from tests.support.booting import make_interpreter, unpack, with_cache_at
from tests.support.field_runs import SUPERVISOR

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.booting import Unpacked

SCRIPT = "import json, sys; print(json.dumps(sys.argv))\n"
MANIFEST = Manifest(
    ScriptEntry(ArchivePath("project/jobs/job.py")),
    PythonTag("cpython", "3.11"),
    tuple(map(RootSymbol, ("project:jobs", "stdlib", "ray"))),
    (),
    (),
    (),
)
HARD = ["a b", "$X", "`echo x`", "'", '"; echo no; "', "; exec no", "> no", "…", "*"]


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter of the version of the tests."""
    return make_interpreter(tmp_path_factory.mktemp("python") / "env", sys.executable)


def on_node(directory: Path) -> Unpacked:
    (directory / "cache").mkdir()
    node = unpack(directory / "job", {"project/jobs/job.py": SCRIPT}, path=("project:jobs", "stdlib", "ray"))
    return with_cache_at(node, directory / "cache")


@pytest.mark.parametrize(
    "arguments",
    [[], ["--n", "1"], HARD, ["two\nlines"], ["x" * 500]],
    ids=["none", "plain", "hard", "lines", "long"],
)
def test_the_command_comes_first_and_arguments_arrive_byte_for_byte(
    tmp_path: Path, python: Path, arguments: list[str]
) -> None:
    node = on_node(tmp_path)
    entrypoint = render_command(MANIFEST, arguments)

    done = node.run(python, "-c", SUPERVISOR, entrypoint)

    assert entrypoint.startswith(": python jobs/job.py")
    assert json.loads(done.stdout) == [str(node.tree / "project/jobs/job.py"), *arguments], done.stderr
    assert not (node.scratch / "no").exists()
    if arguments != HARD:
        assert command_text(entrypoint) == command_text(render_entrypoint(MANIFEST, arguments))


def test_without_the_boot_nothing_runs_where_the_bare_command_would_run_the_unverified_script(
    tmp_path: Path, python: Path
) -> None:
    node = on_node(tmp_path)
    (node.scratch / "sitecustomize.py").unlink()

    def ended(shell: str) -> tuple[int, str]:
        environ = {**node.environ, "PATH": str(python.parent)}
        done = subprocess.run(
            ["/bin/sh", "-c", shell],
            cwd=node.scratch,
            env=environ,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout

    code, said = ended(render_command(MANIFEST, []))

    assert (code != 0, said) == (True, "")
    assert ended("python jobs/job.py") == (0, '["jobs/job.py"]\n')
