"""A function of the project imports, or walks, what its callers give it: the calls say what travels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.bundled import Bundler
from tests.support.small_project import tree

if TYPE_CHECKING:
    from pathlib import Path

WALK = """
import importlib, pkgutil
def discover(package):
    found = []
    for info in pkgutil.iter_modules(package.__path__):
        found.append(importlib.import_module(package.__name__ + "." + info.name).NAME)
    return sorted(found)
"""
DEEP = """
from importlib import import_module
from pkgutil import walk_packages
def load_all(package_name: str, quiet=False):
    package = import_module(package_name)
    for _, name, is_pkg in walk_packages(package.__path__, prefix=package_name + "."):
        if not is_pkg:
            yield import_module(name).NAME
"""
BY_PATH = """
import importlib, pkgutil
def import_submodules(path, name):
    for each in pkgutil.iter_modules(path):
        importlib.import_module(f"{name}.{each.name}")
"""
BY_CLASS = """
import importlib, pkgutil
class Discoverer:
    def __init__(self, package):
        self.package = package
    def run(self):
        for each in pkgutil.iter_modules(self.package.__path__):
            yield importlib.import_module(self.package.__name__ + "." + each.name).NAME
"""
ONE = "import importlib\ndef fetch(name):\n    return importlib.import_module(name).NAME\n"
PLUGINS = {
    "app/__init__.py": "",
    "app/plugins/__init__.py": "",
    "app/plugins/alpha.py": "NAME = 'alpha'\n",
    "app/plugins/beta.py": "NAME = 'beta'\n",
    "app/plugins/deep/__init__.py": "NAME = 'deep'\n",
    "app/plugins/deep/leaf.py": "NAME = 'leaf'\n",
    "one.py": "NAME = 'one'\n",
    "other.py": "NAME = 'other'\n",
}
ALL = {"alpha", "beta", "deep"}

CALLS = {
    "a package": (WALK, "import app.plugins\nfrom lib import discover\nprint(discover(app.plugins))\n", ALL),
    "a member": (WALK, "import lib\nfrom app import plugins as p\nprint(lib.discover(package=p))\n", ALL),
    "a literal": (
        DEEP,
        "from lib import load_all\nprint(sorted(load_all('app.plugins')))\n",
        {*ALL, "leaf"},
    ),
    "a constant": (
        DEEP,
        "from lib import load_all\nPLACE = 'app.' + 'plugins'\nprint(sorted(load_all(PLACE, quiet=True)))\n",
        {*ALL, "leaf"},
    ),
    "a namespace": (WALK, "import lib\nimport spread.here\nprint(lib.discover(spread.here))\n", {"x"}),
    "an object": (
        BY_CLASS,
        "import app.plugins\nimport lib\nprint(sorted(lib.Discoverer(app.plugins).run()))\n",
        ALL,
    ),
    "one word": (ONE, "from lib import fetch\nprint(fetch('one'))\n", {"one"}),
    "another name": (ONE, "from lib import fetch as get\nprint(get('one'))\n", {"one"}),
    "a keyword": (
        "import importlib\ndef fetch(*, name):\n    return importlib.import_module(name).NAME\n",
        "import lib\nprint(lib.fetch(name='one'))\n",
        {"one"},
    ),
    "a coroutine": (
        ONE.replace("def", "async def"),
        "import asyncio, lib\nprint(asyncio.run(lib.fetch('one')))\n",
        {"one"},
    ),
    "several words": (
        ONE,
        "import lib\nfor each in ('one', 'other'):\n    print(lib.fetch(each))\n",
        {"one", "other"},
    ),
}


def project(tmp_path: Path, library: str, job: str, more: dict[str, str] | None = None) -> Bundler:
    files = {**PLUGINS, "spread/here/x.py": "NAME = 'x'\n", "lib.py": library, "job.py": job}
    return Bundler(tree(tmp_path / "p", {**files, **(more or {})}), tmp_path)


def taken(bundler: Bundler) -> set[str]:
    names = {str(each.name).rpartition(".")[2] for each in bundler.plan().resolution.modules}
    return names - {"__main__", "lib", "app", "plugins", "spread", "here"}


@pytest.mark.parametrize("kind", CALLS)
def test_what_calls_give_travels(tmp_path: Path, kind: str) -> None:
    library, job, wanted = CALLS[kind]
    bundler = project(tmp_path, library, job)

    assert taken(bundler) == wanted
    assert bundler.told() == [] or library is BY_CLASS


@pytest.mark.slow
@pytest.mark.parametrize("kind", CALLS)
def test_a_job_that_gives_modules_runs_as_here(tmp_path: Path, kind: str) -> None:
    library, job, _ = CALLS[kind]
    bundler = project(tmp_path, library, job)

    assert (bundler.run().stdout, bundler.here()) == (bundler.here(),) * 2


def test_a_package_that_gives_itself_travels_whole(tmp_path: Path) -> None:
    own = "from lib import import_submodules\nimport_submodules(__path__, __name__)\n"
    job = "import app.plugins\nprint(app.plugins.alpha.NAME, app.plugins.beta.NAME)\n"
    bundler = project(tmp_path, BY_PATH, job, {"app/plugins/__init__.py": own})

    assert taken(bundler) == ALL
    assert bundler.told() == []


def test_a_helper_that_another_module_passes_on_is_followed(tmp_path: Path) -> None:
    more = {"tools/__init__.py": "from .walks import discover\n", "tools/walks.py": WALK}
    job = "import app.plugins\nimport tools\nprint(tools.discover(app.plugins))\n"
    bundler = project(tmp_path, "", job, more)

    assert taken(bundler) - {"tools", "walks"} == ALL
    assert bundler.told() == []


UNKNOWN = [
    "import app.plugins, os\nimport lib\nlib.discover(app.plugins)\nlib.discover(__import__(os.name))\n",
    "import app.plugins\nimport lib\nlist(map(lib.discover, [app.plugins]))\nlib.discover(app.plugins)\n",
    "import sys\nimport lib\nlib.discover(sys)\n",
    "import app.plugins, os\nfrom lib import discover as d, discover\ndiscover(app.plugins)\nd(os.environ)\n",
]


@pytest.mark.parametrize("job", UNKNOWN)
def test_what_a_caller_may_give_besides_is_told(tmp_path: Path, job: str) -> None:
    told = project(tmp_path, WALK, job).told()

    assert any("lib.py:5: cannot know what `pkgutil.iter_modules" in each for each in told)


def test_a_helper_that_changes_the_name_is_told(tmp_path: Path) -> None:
    library = "import importlib\ndef fetch(name):\n    return importlib.import_module(name + '_impl')\n"

    told = project(tmp_path, library, "import lib\nprint(lib.fetch('one'))\n").told()

    assert any("lib.py:3: cannot know what" in each for each in told)
