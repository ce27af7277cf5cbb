"""`distutils`, which Python has no more since 3.12, and which setuptools brings."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.booting import find_base
from tests.support.bundled import Bundler
from tests.support.own_wheels import install, make_wheel
from tests.support.site_packages import SitePackages, travelling
from tests.support.small_project import tree

if TYPE_CHECKING:
    from pathlib import Path

SETUPTOOLS = {
    "_distutils_hack/__init__.py": "",
    "setuptools/__init__.py": "",
    "setuptools/_distutils/__init__.py": "",
    "setuptools/_distutils/util.py": "",
}


@pytest.mark.parametrize("job", ["import distutils.util\n", "from distutils import util\n", "import lib\n"])
def test_setuptools_travels_with_what_imports_its_distutils(tmp_path: Path, job: str) -> None:
    site = SitePackages(tmp_path)
    site.install("setuptools-80.0", SETUPTOOLS)
    site.install("lib-1.0", {"lib.py": "import distutils.util\n"})

    assert "setuptools" in travelling(site.resolved(job))


HACK = b"""import importlib, importlib.abc, importlib.util

class Loader(importlib.abc.Loader):
    def create_module(self, spec):
        module = importlib.import_module("setuptools._distutils")
        module.__name__ = "distutils"
        return module

    def exec_module(self, module):
        pass

class DistutilsMetaFinder:
    def find_spec(self, name, path, target=None):
        return importlib.util.spec_from_loader(name, Loader(), origin=__file__)

def add_shim():
    import sys
    sys.meta_path.insert(0, Shim())

class Shim(DistutilsMetaFinder):
    def find_spec(self, name, path, target=None):
        return super().find_spec(name, path) if name == "distutils" else None
"""
"""The part of setuptools that its `.pth` file calls, in the form that it has since version 60."""


@pytest.mark.slow
def test_distutils_of_setuptools_is_imported_on_a_node(tmp_path: Path) -> None:
    base = find_base("3.12")
    assert base is not None
    python = tmp_path / "env" / "bin" / "python"
    subprocess.run([base, "-m", "venv", "--without-pip", tmp_path / "env"], check=True)
    files = {
        "_distutils_hack/__init__.py": HACK,
        "distutils-precedence.pth": b"import _distutils_hack; _distutils_hack.add_shim()\n",
        "setuptools/__init__.py": b"",
        "setuptools/_distutils/__init__.py": b"",
        "setuptools/_distutils/util.py": b"def strtobool(text):\n    return int(text == 'yes')\n",
    }
    install(python, make_wheel(tmp_path, "setuptools", "80.0", files))
    job = "import distutils\nfrom distutils.util import strtobool\n\nprint(strtobool('yes'))\n"
    bundler = Bundler(tree(tmp_path / "project", {"job.py": job}), tmp_path, python)
    done = bundler.run()

    assert (done.stdout, done.returncode) == ("1\n", 0), done.stderr
    assert (bundler.told(), bundler.here()) == ([], "1\n")
