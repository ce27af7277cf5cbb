"""An import of a first-party name that fails on a node says what takes the module along, and that does."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from raybundle.cluster.jobs import JobInfo
from raybundle.cluster.outcome import job_error
from raybundle.resolve.missing.left_modules import MOST
from tests.support.bundled import Bundler
from tests.support.installed import install
from tests.support.remedies import both, change, setting, site_of
from tests.support.small_project import tree

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Case:
    """A job that fails on a node, what it says there, and what that names."""

    files: Mapping[str, str]
    says: str
    remedy: Callable[[Path], Any]


def loading(*parts: str, before: str = "") -> str:
    """A driver that imports a module by a name that only the run knows."""
    return (
        f"import importlib, os, sys\n\n{before}name = ''.join({list(parts)})\n\n\n"
        "def load():\n    return importlib.import_module(name)  # raybundle: ignore\n\n\n"
        "print(load().NAME)\n"
    )


DONE = "NAME = 'done'\n"
TOOLS = "sys.path.append(os.environ.get('TOOLS', os.path.dirname(__file__) + '/lib'))  # raybundle: ignore\n"
CASES = {
    "a module beside the driver": Case(
        {"job.py": loading("help", "ers"), "helpers.py": DONE},
        '`include = ["helpers.py"]`',
        setting(include=["helpers.py"]),
    ),
    "a module beside the driver, by a comment": Case(
        {"job.py": loading("help", "ers"), "helpers.py": DONE},
        "write `# raybundle: include=helpers` where it is imported",
        change("job.py", "# raybundle: ignore", "# raybundle: include=helpers"),
    ),
    "a package": Case(
        {
            "job.py": loading("plu", "gin"),
            "plugin/__init__.py": "from .deep import NAME\n",
            "plugin/deep.py": DONE,
        },
        '`include = ["plugin"]`',
        setting(include=["plugin"]),
    ),
    "a module of a folder without __init__": Case(
        {"job.py": loading("plugs.", "one"), "plugs/one.py": DONE},
        '`include = ["plugs"]`',
        setting(include=["plugs"]),
    ),
    "a module of a folder that is no root": Case(
        {"job.py": loading("fo", "o", before=TOOLS), "lib/foo.py": DONE},
        '`roots = ["lib"]` in [tool.raybundle] of pyproject.toml, then set `include = ["lib/foo.py"]`',
        setting(roots=["lib"], include=["lib/foo.py"]),
    ),
    "a module of a root": Case(
        {
            "src/main.py": "",
            "job.py": loading("fo", "o", before="import main\n"),
            "src/foo.py": DONE,
            "pyproject.toml": '[tool.raybundle]\nroots = ["src"]\n',
        },
        '`include = ["src/foo.py"]`',
        setting(roots=["src"], include=["src/foo.py"]),
    ),
    "a module that was nowhere, in a function": Case(
        {
            "job.py": "def load():\n    import pkg.gone\n\n    return pkg.gone.NAME\n\n\nprint(load())\n",
            "pkg/__init__.py": "",
        },
        "resolved nowhere when bundle",
        lambda project: (project / "pkg" / "gone.py").write_text(DONE),
    ),
    "a module that was nowhere": Case(
        {
            "job.py": "try:\n    import gone\nexcept ImportError:\n    pass\n" + loading("go", "ne"),
        },
        "resolved nowhere when bundle",
        both(
            lambda project: tree(project / "lib", {"gone.py": DONE}),
            setting(roots=["lib"]),
        ),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", CASES)
def test_following_what_the_node_says_makes_the_job_run(tmp_path: Path, kind: str) -> None:
    case = CASES[kind]
    bundler = Bundler(tree(tmp_path / "project", dict(case.files)), tmp_path)

    failed = bundler.run()
    case.remedy(bundler.project)

    assert failed.returncode == 1
    assert case.says in failed.stderr
    assert bundler.told() == []
    assert bundler.run().stdout == "done\n"


@pytest.mark.slow
def test_the_same_holds_beside_distributions_that_travel(tmp_path: Path) -> None:
    files = {"job.py": loading("help", "ers", before="import thing\n"), "helpers.py": DONE}
    project = tree(tmp_path / "project", files)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "env"], check=True)
    install(site_of(project), "thing", {"thing/__init__.py": b""})
    failed = Bundler(project, tmp_path, tmp_path / "env" / "bin" / "python").run()

    assert '`include = ["helpers.py"]`' in failed.stderr


def test_the_error_of_a_job_names_the_line_of_the_user_and_what_to_do(tmp_path: Path) -> None:
    bundler = Bundler(
        tree(tmp_path / "project", {"job.py": loading("help", "ers"), "helpers.py": DONE}), tmp_path
    )
    info = JobInfo("x", "FAILED", "", "Driver failed", 1, None, 1, 2, {}, "http://10.0.0.7:52365", "id")

    error = job_error(info, bundler.run().stderr)

    line = 1 + (bundler.project / "job.py").read_text().splitlines().index(
        "    return importlib.import_module(name)  # raybundle: ignore"
    )
    assert str(error).endswith(f"ModuleNotFoundError: No module named 'helpers' at job.py:{line}")
    assert error is not None
    assert '`include = ["helpers.py"]`' in str(error.hint)


def test_names_that_stay_do_not_change_the_digest_and_are_bounded(tmp_path: Path) -> None:
    project = tree(tmp_path / "project", {"job.py": "print('done')\n"})
    bundler = Bundler(project, tmp_path)
    alone = bundler.plan().digest
    tree(project, {f"module_{number}.py": "" for number in range(MOST + 5)})

    delivery = (bundler.unpacked().scratch / ".raybundle" / "delivery.json").read_text()

    assert bundler.plan().digest == alone
    assert len(re.findall(r"module_\d+\.py", delivery)) == MOST
