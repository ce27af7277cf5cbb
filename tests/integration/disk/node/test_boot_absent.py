"""What an import that fails says in a job, and that everything else about it is as Python has it."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.booting import find_base, last_json, make_interpreter, unpack
from tests.support.unpacked_layers import deliver

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.booting import Unpacked

ABSENT = {
    "pyarrow": "pyarrow 21.0.0",
    "google": "protobuf 6.1",
    "virtual": "virtual 1",
    "absent_hub": "",
    "pkg.gone": "",
}


@pytest.fixture(scope="module", params=["3.10", "3.11", "3.12", "3.13"])
def python(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter of each supported version, with a `ray` to link to."""
    base = find_base(request.param) or pytest.skip(f"no Python {request.param} here")
    return make_interpreter(tmp_path_factory.mktemp("python") / "env", base)


def on_node(tmp_path: Path, python: Path, script: str) -> Unpacked:
    [library] = (python.parent.parent / "lib").glob("python3.*")
    files = {"project/job.py": f"{script}# {time.time_ns()}\n", "project/pkg/__init__.py": ""}
    return deliver(unpack(tmp_path, files, python=library.name.removeprefix("python")), [], ABSENT)


@pytest.mark.parametrize(
    ("module", "words"),
    [
        ("pyarrow", ["pyarrow 21.0.0 was installed where bundle", '`include = ["pyarrow"]`']),
        ("google.cloud", ["protobuf 6.1 was installed"]),
        (
            "pkg.later",
            [
                "nothing that was resolved imports it",
                '`include = ["pkg/later.py"]` (of a package, `["pkg/later"]`)',
                "why TARGET pkg.later",
            ],
        ),
        ("stray", ["installed on this node", "cluster-provides"]),
        ("absent_hub", ["resolved nowhere when bundle", "cluster-provides"]),
        ("absent_hub.client", ["resolved nowhere when bundle"]),
        ("pkg.gone", ["resolved nowhere when bundle"]),
        ("unheard_of", []),
    ],
)
def test_a_module_that_is_missing_is_explained(
    tmp_path: Path, python: Path, module: str, words: list[str]
) -> None:
    node = on_node(tmp_path, python, f"import pkg\nimport {module}\n")

    done = node.driver(python, "job.py")

    top = module.partition(".")[0] if module.startswith(("google", "absent_hub")) else module
    [_, _, said] = done.stderr.partition("ModuleNotFoundError: ")
    assert said.startswith(f"No module named '{top}'\n")
    assert [word for word in words if word not in said] == []
    assert "raybundle_path" not in done.stderr
    assert bool(words) == (said.count("\n") == 2)


def test_code_that_asks_whether_a_module_is_there_is_answered_as_always(tmp_path: Path, python: Path) -> None:
    script = (
        "import importlib, importlib.util, json, pickle, pkgutil, sys\n"
        "answers = [importlib.util.find_spec('pyarrow'), pkgutil.resolve_name.__name__]\n"
        "class Late:\n"
        "    @staticmethod\n"
        "    def find_spec(name, path=None, target=None):\n"
        "        if name == 'virtual': return importlib.util.spec_from_loader(name, Late)\n"
        "    @staticmethod\n"
        "    def create_module(spec): return None\n"
        "    @staticmethod\n"
        "    def exec_module(module): module.X = 7\n"
        "sys.meta_path.append(Late)\n"
        "import virtual\n"
        "answers.append(virtual.X)\n"
        "try: import pyarrow\n"
        "except ImportError as error:\n"
        "    same = pickle.loads(pickle.dumps(error))\n"
        "    answers += [type(error) is ModuleNotFoundError, error.name, same.msg == error.msg]\n"
        "try: from pkg import nothing_there\n"
        "except ImportError as error: answers += [type(error).__name__, str(error)[:18]]\n"
        "try: importlib.import_module('pyarrow')\n"
        "except ModuleNotFoundError as error: answers.append('21.0.0' in str(error))\n"
        "print(json.dumps(answers))\n"
    )
    node = on_node(tmp_path, python, script)

    answers = last_json(node.driver(python, "job.py"))

    expected = [None, "resolve_name", 7, True, "pyarrow", True, "ImportError", "cannot import name", True]
    assert answers == expected


def test_an_explanation_that_fails_hides_nothing(tmp_path: Path) -> None:
    python = make_interpreter(tmp_path / "env", sys.executable)
    script = (
        "import json, os\n"
        "os.unlink(os.environ['RAYBUNDLE_TREE'] + '/absent')\n"
        "try: import pyarrow\n"
        "except ModuleNotFoundError as error: print(json.dumps(str(error)))\n"
    )
    node = on_node(tmp_path, python, script)

    assert last_json(node.driver(python, "job.py")) == "No module named 'pyarrow'"
    assert json.loads((node.scratch / ".raybundle" / "delivery.json").read_text())["absent"] == ABSENT
