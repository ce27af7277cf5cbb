"""Processes whose runtime_env has more than the bundle's: `py_modules`, `pip` and `uv` of a task's own."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.booting import install, last_json, make_interpreter, unpack
from tests.support.unpacked_layers import HandMade, deliver, make_layer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.support.booting import Unpacked

REQUIREMENTS = "ray_runtime_env_internal_pip_requirements.txt"


def on_node(tmp_path: Path, script: str, layers: Sequence[HandMade]) -> Unpacked:
    path = ("project:.", "stdlib", *(["layers"] if layers else []), "ray")
    files = {"project/job.py": f"{script}# {time.time_ns()}\n"}
    return deliver(unpack(tmp_path, files, path=path, layers=[layer.entry for layer in layers]), layers)


@pytest.mark.parametrize("with_layers", [True, False])
def test_a_tasks_own_py_modules_are_refused(tmp_path: Path, with_layers: bool) -> None:
    python = make_interpreter(tmp_path / "env", sys.executable)
    node = on_node(tmp_path, "print('RAN')\n", [make_layer("mine", {"mine.py": ""})] if with_layers else [])
    own = tmp_path / "py_modules_files" / "own"
    (own / "theirs").mkdir(parents=True)
    replaced = {"PYTHONPATH": f"{own}:{node.scratch}", "RAY_JOB_CONFIG_JSON_ENV_VAR": "{}"}

    done = node.driver(python, "job.py")
    with_own = node.run(python, "job.py", env=replaced)

    assert done.stdout == "RAN\n"
    assert (with_own.returncode, with_own.stdout) == (78, "")
    assert "py_modules cannot be combined with a bundle" in with_own.stderr


@pytest.mark.parametrize(
    "requirement", ["asked==2.0", "Asked[more] >= 2 ; python_version > '3'", "/a/asked.whl"]
)
def test_what_pip_installed_for_a_task_comes_before_the_layers_and_nothing_else_of_its_environment(
    tmp_path: Path, requirement: str
) -> None:
    place = tmp_path / "runtime_resources" / "pip" / "1f2e"
    python = make_interpreter(place / "virtualenv", sys.executable)
    (place / REQUIREMENTS).write_text(f"--no-cache-dir\n{requirement}\n")
    [site] = (place / "virtualenv").glob("lib/python3*/site-packages")
    install(site, "asked", "2.0", "Requires-Dist: brings\nRequires-Dist: ray\n")
    (site / "asked-2.0.dist-info" / "direct_url.json").write_text("{}")
    install(site, "brings", "3.0")
    install(site, "needed_too", "1.0")
    script = (
        "import asked, brings, importlib.util, json, kept, needed, sys\n"
        "found = [importlib.util.find_spec(name) is not None for name in ('needed_too', 'stray')]\n"
        "print(json.dumps([asked.VERSION, brings.VERSION, kept.VERSION, needed.__file__, found, sys.path]))\n"
    )
    layers = [make_layer(name, {f"{name}.py": "VERSION = 'layer'\n"}) for name in ("asked", "kept", "needed")]
    node = on_node(tmp_path, script, layers)

    done = node.driver(python, "job.py")

    asked, brings, kept, needed, found, path = last_json(done)
    assert [asked, brings, kept, found] == ["2.0", "3.0", "layer", [False, False]]
    assert "/environments/" in needed
    assert ["/links/" in entry for entry in path].index(True) == len(path) - 4
    assert done.stderr == (
        "raybundle: warning: `pip` or `uv` of a runtime_env comes before what the bundle brings: "
        "asked 2.0, brings 3.0\n"
    )
