"""A job that is told by arguments or variables what to import finds it on a node."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from raybundle.config import load_settings
from raybundle.model import ScriptTarget
from raybundle.planning import plan
from raybundle.request import Request, prepare
from raybundle.resolve.driver.arguments import modules_named_by
from tests.support.small_project import tree

if TYPE_CHECKING:
    from pathlib import Path

FILES = {
    "job.py": "import library\n",
    "library.py": "",  # it stands for one that imports what it is given, such as luigi and jsonargparse
    "nets/__init__.py": "",
    "nets/big.py": "class Net:\n    pass\n",
    "settings.py": "",
    "flows.py": "class Daily:\n    pass\n",
    "main.py": "app = 1\n",
}


def taken(project: Path, *words: str, **variables: str) -> set[str]:
    """Returns the files of the project that travel with a job of these arguments."""
    settings = load_settings({"python": sys.executable}, {}, project)
    request = Request(
        ScriptTarget(project / "job.py"), settings, project, project, {"HOME": str(project.parent)}
    )
    request = replace(request, arguments=words, variables=variables)
    return {str(each.path).removeprefix("project/") for each in plan(prepare(request)).files}


@pytest.mark.parametrize(
    ("words", "variables", "file"),
    [
        (("--model=nets.big.Net", "--model.size=4"), {}, "nets/big.py"),
        (("--model", "nets.big.Net"), {}, "nets/big.py"),
        (("+model._target_=nets.big.Net",), {}, "nets/big.py"),
        (('{"class_path": "nets.big.Net"}',), {}, "nets/big.py"),
        (("--module", "flows", "Daily"), {}, "flows.py"),
        (("--plugins=flows,settings",), {}, "settings.py"),
        (("main:app",), {}, "main.py"),
        ((), {"DJANGO_SETTINGS_MODULE": "settings"}, "settings.py"),
        ((), {"HANDLER": "nets.big:Net"}, "nets/big.py"),
    ],
)
def test_a_module_that_arguments_or_variables_name_travels(
    tmp_path: Path, words: tuple[str, ...], variables: dict[str, str], file: str
) -> None:
    project = tree(tmp_path / "p", FILES)

    assert file in taken(project, *words, **variables)


def test_words_of_other_options_are_no_modules(tmp_path: Path) -> None:
    project = tree(tmp_path / "p", FILES)

    assert taken(project, "--mode", "flows", "settings", "--rate=0.5", "nets.txt", MODE="main") == {
        "job.py",
        "library.py",
    }


def test_names_are_read_from_files_of_arguments_too(tmp_path: Path) -> None:
    tree(tmp_path, {"args.txt": "--model nets.big.Net\n"})

    assert modules_named_by(["@args.txt", "--rate", "0.5"], tmp_path, tmp_path) == ("nets.big.Net",)
