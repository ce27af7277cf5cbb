"""A project to report on, with names and messages that try to break out of the page."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.small_project import tree

if TYPE_CHECKING:
    from pathlib import Path

HOSTILE = "</script><script>document.title='broken'</script><img src=x onerror=document.title='broken'>"
PROJECT = {
    "pyproject.toml": "[project]\nname = 'shop'\nversion = '1'\n",
    "job.py": (
        "import importlib, sys\n"
        "from shop import frames, models\n"
        "import packaging.version\n"
        f'importlib.import_module(sys.argv[1] + "{HOSTILE}")\n'
    ),
    "shop/__init__.py": "",
    "shop/frames.py": "from shop.deep import words\n",
    "shop/models.py": "from shop import frames\nfrom shop.deep.er import deepest\n",
    "shop/deep/__init__.py": "",
    "shop/deep/words.py": "WORDS = 1\n" + "# a comment that makes it larger\n" * 40,
    "shop/deep/er/__init__.py": "",
    "shop/deep/er/deepest.py": "",
    "shop/words.txt": "one\ntwo\n",
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the tests of a file keep: the library that draws is bundled once."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def project(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The project; its user has configured nothing."""
    for name in ("HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(home))
    monkeypatch.setenv("RAYBUNDLE_PYTHON", sys.executable)
    directory = tree(tmp_path / "shop", PROJECT)
    monkeypatch.chdir(directory)
    return directory
