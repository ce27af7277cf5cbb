"""The command lines of the pages that need no cluster, run word for word, as a reader would type them."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.docs.shown_commands import IN_THE_CLONE, ON_DISK, ROOT
from tests.support.small_project import tree
from tests.support.workplace import make_workplace

if TYPE_CHECKING:
    from tests.support.workplace import Workplace

MAIN = "import argparse\n\nimport {0}\n\nparser = argparse.ArgumentParser()\n"
MAIN += "parser.add_argument('--epochs', default=1)\nprint(parser.parse_args().epochs)\n"
PROJECT = {
    "train.py": MAIN.format("trainer.model"),
    "job.py": MAIN.format("helpers.gpu"),
    "serve.py": "import trainer.model\n",
    "trainer/__init__.py": "",
    "trainer/model.py": "SIZE = 1\n",
    "helpers/__init__.py": "",
    "helpers/gpu.py": "",
    "reports/__init__.py": "",
    "reports/daily.py": "",
}


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """A reader with a repository, whose store has three versions of `train`."""
    base = tmp_path_factory.mktemp("reader")
    programs = Path(sys.executable).parent
    work = make_workplace(base / "work", PATH=f"{programs}:{os.environ['PATH']}")
    tree(work.directory, PROJECT)
    home = Path(work.environ["HOME"])
    for folder in (".local/share/bash-completion/completions", ".config/fish/completions"):
        (home / folder).mkdir(parents=True)
    git = "git init -qb main && git add . && git -c user.name=r -c user.email=r@x.y commit -qm one"
    assert work.command(["bash", "-c", git]).returncode == 0
    for size in (1, 2, 3):
        tree(work.directory, {"trainer/model.py": f"SIZE = {size}\n"})
        work.build("--name", "train", "train.py")
    return work


@pytest.mark.slow
@pytest.mark.parametrize("command", ON_DISK)
def test_a_command_of_a_page_runs(reader: Workplace, command: str) -> None:
    if "train-3" in command:
        reader.command(["rm", "-rf", "train-3"])

    done = reader.command(["bash", "-c", command])

    assert done.returncode == 0, done.stderr
    assert "error" not in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("command", IN_THE_CLONE)
def test_a_command_about_an_example_runs(reader: Workplace, command: str) -> None:
    done = reader.command(["bash", "-c", command], cwd=ROOT)

    assert done.returncode == 0, done.stderr
