"""Directories that are on `sys.path` for a while, or that another function puts there, are roots."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.bundled import Bundler
from tests.support.small_project import tree

if TYPE_CHECKING:
    from pathlib import Path

HEAD = "import os, sys\nfrom pathlib import Path\nHERE = Path(__file__).resolve().parent\n"
USE = "    import helper\nprint(helper.NAME)\n"
GENERATOR = """
import sys
from contextlib import contextmanager
@contextmanager
def extra_path(path):
    sys.path.insert(0, str(path))
    try:
        yield
    finally:
        sys.path.remove(str(path))
"""
CLASS = """
import sys
class extra_path:
    def __init__(self, *paths):
        self.paths = [str(each) for each in paths]
    def __enter__(self):
        sys.path[:0] = self.paths
    def __exit__(self, *_):
        del sys.path[:len(self.paths)]
"""
PLAIN = """
import sys
def extra_path(directory, *, first=True):
    if str(directory) not in sys.path:
        sys.path.insert(0 if first else len(sys.path), str(directory))
"""
CAUGHT = "except (KeyError, ImportError):\n    pass\n"
PROJECTS = {
    "generator": {"job.py": f"{HEAD}{GENERATOR}with extra_path(HERE / 'lib'):\n{USE}"},
    "generator elsewhere": {
        "tools.py": GENERATOR,
        "job.py": f"{HEAD}import tools\nwith tools.extra_path(os.path.join(HERE, 'lib')):\n{USE}",
    },
    "relative": {"job.py": f"{HEAD}{GENERATOR}with extra_path('lib'):\n{USE}"},
    "relative, by its place": {
        "job.py": f"{HEAD}sys.path.append('lib')\nimport helper\ndel sys.path[sys.path.index('lib')]\n"
        "sys.path.append('lib')\nsys.path.remove('lib')\nprint(helper.NAME)\n"
    },
    "class": {"job.py": f"{HEAD}{CLASS}with extra_path(HERE / 'other', HERE / 'lib'):\n{USE}"},
    "class of a package": {
        "tools/__init__.py": "from .paths import extra_path\n",
        "tools/paths.py": CLASS,
        "job.py": f"{HEAD}from tools import extra_path\nwith extra_path(HERE / 'lib'):\n{USE}",
    },
    "exit stack": {
        "tools.py": CLASS,
        "job.py": f"{HEAD}from contextlib import ExitStack\nfrom tools import extra_path\n"
        f"with ExitStack() as stack:\n    stack.enter_context(extra_path(HERE / 'lib'))\n{USE}",
    },
    "function elsewhere": {
        "tools.py": PLAIN,
        "job.py": f"{HEAD}import tools\ntools.extra_path(HERE / 'lib', first=False)\nif True:\n{USE}",
    },
    "module that another one prepares": {
        "tools.py": PLAIN,
        "setting.py": f"{HEAD}from tools import extra_path\nextra_path(HERE / 'lib')\n",
        "job.py": f"import setting\nif True:\n{USE}",
    },
    "patch of an object": {
        "job.py": f"{HEAD}from unittest import mock\n"
        f"with mock.patch.object(sys, 'path', [str(HERE / 'lib'), *sys.path]):\n{USE}"
    },
    "patch by name": {
        "job.py": f"{HEAD}from unittest.mock import patch\n"
        f"with patch('sys.path', sys.path + [str(HERE / 'lib')]):\n{USE}"
    },
    "monkeypatch": {
        "job.py": f"{HEAD}import pytest\nwith pytest.MonkeyPatch.context() as m:\n"
        f"    m.syspath_prepend(HERE / 'lib')\n{USE}"
    },
}


def bundler_of(tmp_path: Path, files: dict[str, str]) -> Bundler:
    more = {"lib/helper.py": "NAME = 'helper'\n", "other/unused.py": "", "pyproject.toml": ""}
    return Bundler(tree(tmp_path / "p", {**more, **files}), tmp_path)


@pytest.mark.parametrize("kind", PROJECTS)
def test_a_directory_that_is_on_the_path_for_a_while_is_a_root(tmp_path: Path, kind: str) -> None:
    bundler = bundler_of(tmp_path, PROJECTS[kind])

    assert "project/lib/helper.py" in {each.path for each in bundler.plan().files}
    assert bundler.told() == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", PROJECTS)
def test_a_job_with_such_a_directory_runs_as_here(tmp_path: Path, kind: str) -> None:
    bundler = bundler_of(tmp_path, PROJECTS[kind])

    done = bundler.run()

    assert (done.stdout, bundler.here()) == ("helper\n", "helper\n"), done.stderr


def test_a_directory_that_a_fixture_adds_is_told_with_its_root(tmp_path: Path) -> None:
    fixture = (
        "import pytest\n@pytest.fixture(autouse=True)\ndef path(monkeypatch):\n"
        "    monkeypatch.syspath_prepend('lib')\n"
    )
    test = "def test():\n    import helper\n    assert helper.NAME == 'helper'\n"
    job = "import pytest\nprint(int(pytest.main(['-q', '-p', 'no:cacheprovider', 'checks'])))\n"
    files = {"checks/conftest.py": fixture, "checks/test_it.py": test, "job.py": job}
    bundler = bundler_of(tmp_path, files)

    assert any("conftest.py:4: " in each and "add `lib` to `roots`" in each for each in bundler.told())
    assert [each for each in bundler.told(roots=["lib"]) if "`sys.path`" in each] == []


def test_a_directory_that_only_the_run_knows_is_told(tmp_path: Path) -> None:
    job = f"{HEAD}import tools\ntry:\n    with tools.extra_path(os.environ['X']):\n        import helper\n"
    bundler = bundler_of(tmp_path, {"tools.py": GENERATOR, "job.py": job + CAUGHT})

    assert any("tools.py:6: cannot evaluate this change of `sys.path`" in each for each in bundler.told())
