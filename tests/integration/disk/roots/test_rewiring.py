"""Modules that change `sys.path`, `__path__` or `sys.modules` as they load, here and in a bundle."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.bundled import Bundler
from tests.support.slow import rest_slow
from tests.support.small_project import tree

if TYPE_CHECKING:
    from pathlib import Path

PATH_EDITS = {
    "a package that adds what it vendors": {
        "job.py": "import tool\n\nprint(tool.answer())\n",
        "tool/__init__.py": "import os\nimport sys\n\n"
        "_vendor = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'vendor', 'gql-0.2.0')\n"
        "if _vendor not in sys.path:\n    sys.path.insert(0, _vendor)\n\n"
        "from tool_gql.client import ask\n\n\ndef answer():\n    return ask()\n",
        "tool/vendor/gql-0.2.0/tool_gql/__init__.py": "",
        "tool/vendor/gql-0.2.0/tool_gql/client.py": "def ask():\n    return 'vendored'\n",
    },
    "a helper module by pathlib, for a third one": {
        "job.py": "import lib.main\n\nprint(lib.main.NAME)\n",
        "lib/__init__.py": "from . import _bootstrap\n",
        "lib/_bootstrap.py": "import sys\nfrom pathlib import Path\n\n"
        "sys.path.append(str(Path(__file__).resolve().parent / '_vendor'))\n",
        "lib/main.py": "import sixish.moves\n\nNAME = sixish.moves.NAME\n",
        "lib/_vendor/sixish/__init__.py": "",
        "lib/_vendor/sixish/moves.py": "NAME = 'moved'\n",
    },
    "a loop over several, each with an edit of its own": {
        "job.py": "import ext\nimport b_one\n\nprint(b_one.NAME)\n",
        "ext/__init__.py": "import os, sys\n\nHERE = os.path.dirname(__file__)\n"
        "for name in ('a-1.0', 'b-2.0'):\n    sys.path.insert(0, os.path.join(HERE, name))\nimport a_one\n",
        "ext/a-1.0/a_one.py": "import os, sys\n\n"
        "sys.path.append(os.path.join(os.path.dirname(__file__), 'more'))\nimport deep\n",
        "ext/a-1.0/more/deep.py": "NAME = 'deep'\n",
        "ext/b-2.0/b_one.py": "import deep\n\nNAME = deep.NAME\n",
    },
}

PATH_EDITS["an edit for when the module is run itself"] = {
    "job.py": "import lib\n\nprint(lib.NAME)\n",
    "lib/__init__.py": "import os, sys\n\nif __name__ == '__main__':\n"
    "    sys.path.insert(0, os.path.join(os.path.dirname(__file__), 'tests'))\n    import helper\n\n"
    "NAME = 'lib'\n",
    "lib/tests/helper.py": "",
}

OWN_PATHS = {
    "a folder beside": {
        "job.py": "import sdk.azure\nfrom sdk import aws\n\nprint(sdk.azure.NAME, aws.NAME)\n",
        "sdk/__init__.py": "import os\n\n"
        "__path__.append(os.path.join(os.path.dirname(__file__), os.pardir, 'providers'))\n",
        "sdk/aws.py": "NAME = 'aws'\n",
        "providers/azure.py": "NAME = 'azure'\n",
    },
    "overrides that come first": {
        "job.py": "from sdk import core, extra\n\nprint(core.NAME, extra.NAME, extra.text())\n",
        "sdk/__init__.py": "from pathlib import Path\n\n"
        "__path__.insert(0, str(Path(__file__).parent.parent / 'overrides' / 'sdk'))\n",
        "sdk/core.py": "NAME = 'plain'\n",
        "sdk/extra.py": "raise ImportError\n",
        "overrides/sdk/extra.py": "from pathlib import Path\n\nNAME = 'mine'\n\n\n"
        "def text():\n    return (Path(__file__).parent / 'words.txt').read_text()\n",
        "overrides/sdk/words.txt": "words",
    },
    "a list that is put together": {
        "job.py": "import gen.api.pets\nimport gen.base\n\nprint(gen.api.pets.NAME, gen.base.NAME)\n",
        "gen/__init__.py": "import os as _os\n\n_HERE = _os.path.dirname(_os.path.abspath(__file__))\n"
        "__path__ = [_os.path.join(_HERE, '_generated')] + list(__path__)\n",
        "gen/base.py": "NAME = 'base'\n",
        "gen/_generated/api/__init__.py": "",
        "gen/_generated/api/pets.py": "NAME = 'pets'\n",
    },
}

ALIASES = {
    "other names": {
        "job.py": "import compat\nimport compat.jsonlib\nfrom compat.cfg import ConfigParser\n"
        "import oldname.models\n\n"
        "print(compat.jsonlib.dumps([1]), ConfigParser.__name__, oldname.models.NAME)\n",
        "newname/__init__.py": "",
        "newname/models.py": "NAME = 'models'\n",
        "compat/__init__.py": "import configparser\nimport json\nimport sys\n\nimport newname.models\n\n"
        "jsonlib = json\nsys.modules[__name__ + '.jsonlib'] = json\n"
        "sys.modules[__name__ + '.cfg'] = configparser\nsys.modules['oldname'] = newname\n"
        "sys.modules['oldname.models'] = newname.models\n",
    },
    "a package that was renamed": {
        "job.py": "import old.models\nfrom old import views\nimport old.made\n\n"
        "print(old.models.NAME, views.NAME, old.made.NAME)\n",
        "old/__init__.py": "import sys\nimport types\n\nimport new\n\nmade = types.ModuleType('old.made')\n"
        "made.NAME = 'made'\nnew.made = made\nsys.modules[__name__] = new\nsys.modules['old.made'] = made\n",
        "new/__init__.py": "",
        "new/models.py": "from .views import NAME as THEIRS\n\nNAME = 'new ' + THEIRS\n",
        "new/views.py": "NAME = 'views'\n",
    },
    "a table of modules that moved": {
        "job.py": "import legacy\nfrom legacy.models import NAME\nimport legacy.tools.deep\n\n"
        "print(NAME, legacy.tools.deep.NAME)\n",
        "legacy/__init__.py": "import importlib\nimport sys\n\n"
        "_MOVED = {'models': 'fresh.models', 'tools': 'fresh.tools'}\n"
        "for _old, _new in _MOVED.items():\n"
        "    _module = importlib.import_module(_new)\n"
        "    sys.modules[f'{__name__}.{_old}'] = _module\n"
        "    globals()[_old] = _module\n",
        "fresh/__init__.py": "",
        "fresh/models.py": "NAME = 'moved'\n",
        "fresh/tools/__init__.py": "",
        "fresh/tools/deep.py": "NAME = 'deep'\n",
    },
}

PROJECTS = {**PATH_EDITS, **OWN_PATHS, **ALIASES}


@pytest.mark.parametrize("kind", rest_slow(PROJECTS, 3))
def test_what_runs_here_runs_from_the_bundle_without_a_word(tmp_path: Path, kind: str) -> None:
    bundler = Bundler(tree(tmp_path / "project", PROJECTS[kind]), tmp_path)

    said, done = bundler.told(), bundler.run()

    assert (said, done.stdout, done.returncode) == ([], bundler.here(), 0), done.stderr


@pytest.mark.parametrize("kind", rest_slow(PROJECTS, 3))
def test_a_traced_run_adds_no_word_and_no_file(tmp_path: Path, kind: str) -> None:
    bundler = Bundler(tree(tmp_path / "project", PROJECTS[kind]), tmp_path)
    plain, traced = bundler.plan(), bundler.plan(traced=True)

    assert (traced.resolution.warnings, traced.digest) == ((), plain.digest)


def namespace(how: str, *, nested: str = "") -> dict[str, str]:
    """A namespace package over two roots, whose packages say so in the old ways."""
    files = {"pyproject.toml": '[tool.raybundle]\nroots = ["left", "right"]\n'}
    for side in ("left", "right"):
        files[f"{side}/corp/__init__.py"] = how
        if nested:
            files[f"{side}/corp/{nested}/__init__.py"] = how
        where = f"corp/{nested}" if nested else "corp"
        files[f"{side}/{where}/{side}_one/__init__.py"] = f"NAME = '{side}'\n"
    package = f"corp.{nested}" if nested else "corp"
    files["job.py"] = (
        "import os, sys\nHERE = os.path.dirname(os.path.abspath(__file__))\n"
        "sys.path += [os.path.join(HERE, 'left'), os.path.join(HERE, 'right')]\n"
        f"import {package}.left_one\nimport {package}.right_one\n"
        f"print({package}.left_one.NAME, {package}.right_one.NAME)\n"
    )
    return files


PKGUTIL = "__path__ = __import__('pkgutil').extend_path(__path__, __name__)\n"
FROM_PKGUTIL = "from pkgutil import extend_path\n\n__path__ = extend_path(__path__, __name__)\n"
PKG_RESOURCES = "__import__('pkg_resources').declare_namespace(__name__)\n"
IMPORTED = "import pkg_resources\n\npkg_resources.declare_namespace(__name__)\n"
EITHER = (
    "try:\n    __import__('pkg_resources').declare_namespace(__name__)\nexcept ImportError:\n"
    "    from pkgutil import extend_path\n    __path__ = extend_path(__path__, __name__)\n"
)


@pytest.mark.slow
@pytest.mark.parametrize("nested", ["", "ml"])
@pytest.mark.parametrize("how", [PKGUTIL, FROM_PKGUTIL, EITHER])
def test_a_namespace_of_pkgutil_over_two_roots_runs_without_a_word(
    tmp_path: Path, how: str, nested: str
) -> None:
    bundler = Bundler(tree(tmp_path / "project", namespace(how, nested=nested)), tmp_path)

    said, done = bundler.told(), bundler.run()

    assert (said, done.stdout) == ([], "left right\n"), done.stderr


@pytest.fixture(scope="module")
def with_setuptools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment of the tests' own Python, with the setuptools that comes with it."""
    if sys.version_info >= (3, 12):
        pytest.skip("this Python brings no setuptools")
    environment = tmp_path_factory.mktemp("env") / "env"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    return environment / "bin" / "python"


@pytest.mark.slow
@pytest.mark.parametrize(("how", "nested"), [(PKG_RESOURCES, ""), (IMPORTED, "ml"), (EITHER, "")])
def test_a_namespace_of_pkg_resources_over_two_roots_runs_without_a_word(
    tmp_path: Path, with_setuptools: Path, how: str, nested: str
) -> None:
    bundler = Bundler(tree(tmp_path / "project", namespace(how, nested=nested)), tmp_path, with_setuptools)

    said, done = bundler.told(), bundler.run()

    assert (said, done.stdout) == ([], "left right\n"), done.stderr


def installed_namespace(work: Path, *, own: bool) -> Bundler:
    """`acmens` in parts: `extra` is installed, `core` editable, `here` is a part of the project, if `own`."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", work / "env"], check=True)
    [site] = (work / "env").glob("lib/python3*/site-packages")
    core = tree(
        work / "dist-core", {"acmens/__init__.py": PKGUTIL, "acmens/core/__init__.py": "NAME = 'core'\n"}
    )
    tree(
        site,
        {
            "acmens/__init__.py": PKGUTIL,
            "acmens/extra/__init__.py": "NAME = 'extra'\n",
            "acmens_extra-1.0.dist-info/METADATA": "Name: acmens-extra\nVersion: 1.0\n",
            "acmens_extra-1.0.dist-info/RECORD": "acmens/__init__.py,,\nacmens/extra/__init__.py,,\n"
            "acmens_extra-1.0.dist-info/METADATA,,\nacmens_extra-1.0.dist-info/RECORD,,\n",
            "core.pth": f"{core}\n",
        },
    )
    names = ["core", "extra", *(["here"] if own else [])]
    job = "".join(f"import acmens.{each}\n" for each in names)
    files = {"job.py": f"{job}print({', '.join(f'acmens.{each}.NAME' for each in names)})\n"}
    if own:
        files |= {"acmens/__init__.py": FROM_PKGUTIL, "acmens/here/__init__.py": "NAME = 'here'\n"}
    return Bundler(tree(work / "project", files), work, work / "env" / "bin" / "python")


@pytest.mark.parametrize("own", rest_slow([True, False], 1))
def test_a_namespace_of_which_a_part_is_installed_runs_without_a_word(tmp_path: Path, own: bool) -> None:
    bundler = installed_namespace(tmp_path, own=own)

    said, done = bundler.told(), bundler.run()

    assert (said, done.stdout) == ([], bundler.here()), done.stderr
