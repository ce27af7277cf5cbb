"""Editable installs as each backend leaves them: what a real interpreter loads is what is resolved.

The files in site-packages are those that setuptools 65, hatchling, flit, pdm-backend, poetry-core and
uv_build write; a real build of one takes seconds.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from raybundle.cache.documents import Cache
from raybundle.model import ScriptTarget
from raybundle.resolve.interpreter.describe import describe
from raybundle.resolve.missing.complete import require_complete
from raybundle.resolve.resolve import ResolveSettings, resolve
from tests.support.bundled import Bundler
from tests.support.installed import install
from tests.support.slow import rest_slow
from tests.support.small_project import tree

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from raybundle.model import Resolution

SHOW = """
import json, sys
names = [name for name in sys.modules if name.partition(".")[0] in ("outside", "single", "acme")]
print(json.dumps({name: getattr(sys.modules[name], "__file__", None) for name in names}))
"""
FINDER = """
import sys
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import spec_from_file_location
from os.path import exists

MAPPING = {mapping!r}
NAMESPACES = {namespaces!r}
PLACEHOLDER = "__editable__.x.finder.__path_hook__"

class Mapped:
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        for file in (MAPPING.get(name, "") + end for end in ("/__init__.py", ".py")):
            if name in MAPPING and exists(file):
                return spec_from_file_location(name, file)
        parent = name.rpartition(".")[0]
        return PathFinder.find_spec(name, [MAPPING[parent]]) if parent in MAPPING else None

class Namespaces:
    @classmethod
    def hook(cls, path):
        if path != PLACEHOLDER:
            raise ImportError
        return cls

    @classmethod
    def find_spec(cls, name, target=None):
        if name not in NAMESPACES:
            return None
        spec = ModuleSpec(name, None, is_package=True)
        spec.submodule_search_locations = [*NAMESPACES[name], PLACEHOLDER]
        return spec

def install():
    sys.meta_path.append(Mapped)
    if NAMESPACES:
        sys.path_hooks.append(Namespaces.hook)
        sys.path.append(PLACEHOLDER)
"""
"""What setuptools' finder does (PEP 660), in its names: a mapping, and a path hook for namespace packages."""
REDIRECTOR = """
import sys
from importlib.util import spec_from_file_location

class RedirectingFinder:
    _redirections = {}

    @classmethod
    def map_module(cls, name, path):
        cls._redirections[name] = path

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if path is None and name in cls._redirections:
            return spec_from_file_location(name, cls._redirections[name])

    @classmethod
    def install(cls):
        sys.meta_path.append(cls)
"""
"""What the package `editables` does, on which hatchling and pdm-backend lean."""


def files(directory: Path, *names: str, **texts: str) -> Path:
    for name in names:
        file = directory / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(texts.get(file.stem, ""))
    return directory


def outside(work: Path) -> Path:
    """A project in the src layout."""
    names = ("pyproject.toml", "src/outside/__init__.py", "src/outside/module.py", "src/single.py")
    return files(work / "ext", *names)


def write_finder(site: Path, mapping: dict[str, str], namespaces: dict[str, list[str]]) -> None:
    name = "__editable___outside_1_finder"
    (site / f"{name}.py").write_text(FINDER.format(mapping=mapping, namespaces=namespaces))
    (site / "__editable__.outside-1.pth").write_text(f"import {name}; {name}.install()")


def direct_url(site: Path, project: Path) -> None:
    document = {"dir_info": {"editable": True}, "url": project.as_uri()}
    (site / "outside-1.dist-info").mkdir()
    (site / "outside-1.dist-info/direct_url.json").write_text(json.dumps(document))


def setuptools_static(work: Path, site: Path) -> None:
    (site / "__editable__.outside-1.pth").write_text(f"{outside(work)}/src\n")


def setuptools_finder(work: Path, site: Path) -> None:
    source = outside(work) / "src"
    write_finder(site, {"outside": f"{source}/outside", "single": f"{source}/single"}, {})


def setuptools_finder_namespaces(work: Path, site: Path) -> None:
    source = outside(work) / "src"
    one = files(work / "one", "acme/tool/__init__.py", "acme/tool/deep.py")
    two = files(work / "two", "acme/part.py", "acme/inner/leaf.py")
    mapping = {"outside": f"{source}/outside", "single": f"{source}/single", "acme.tool": f"{one}/acme/tool"}
    write_finder(site, mapping, {"acme": [f"{two}/acme"], "acme.inner": [f"{two}/acme/inner"]})


def setuptools_finder_empty_namespace(work: Path, site: Path) -> None:
    source = outside(work) / "src"
    one = files(work / "one", "acme/tool/__init__.py", "acme/tool/deep.py")
    mapping = {"outside": f"{source}/outside", "single": f"{source}/single", "acme.tool": f"{one}/acme/tool"}
    write_finder(site, mapping, {"acme": []})


def setuptools_strict(work: Path, site: Path) -> None:
    project = outside(work)
    links = project / "build/__editable__.outside-1-py3-none-any"
    (links / "outside").mkdir(parents=True)
    for name in ("outside/__init__.py", "outside/module.py", "single.py"):
        (links / name).symlink_to(project / "src" / name)
    (site / "__editable__.outside-1.pth").write_text(f"{links}\n")


def hatch(work: Path, site: Path) -> None:
    (site / "_editable_impl_outside.pth").write_text(f"{outside(work)}/src")


def hatch_exact(work: Path, site: Path) -> None:
    source = outside(work) / "src"
    files(site / "editables", "__init__.py", "redirector.py", redirector=REDIRECTOR)
    (site / "_editable_impl_outside.py").write_text(
        "from editables.redirector import RedirectingFinder as F\nF.install()\n"
        f"F.map_module('outside', '{source}/outside/__init__.py')\n"
        f"F.map_module('single', '{source}/single.py')"
    )
    (site / "_editable_impl_outside.pth").write_text("import _editable_impl_outside")


def flit_pth(work: Path, site: Path) -> None:
    (site / "outside.pth").write_text(f"{outside(work)}/src")
    direct_url(site, work / "ext")


def flit_symlink(work: Path, site: Path) -> None:
    source = outside(work) / "src"
    (site / "outside").symlink_to(source / "outside")
    (site / "single.py").symlink_to(source / "single.py")
    direct_url(site, work / "ext")


def uv_workspace(work: Path, site: Path) -> None:
    """Members of one workspace, each with its own file and layout."""
    members = work / "ext/packages"
    files(members / "outside", "src/outside/__init__.py", "src/outside/module.py")
    files(members / "single", "single.py")
    (site / "outside.pth").write_text(f"{members}/outside/src\n")
    (site / "_editable_impl_single.pth").write_text(f"{members}/single")


def portions(work: Path, site: Path) -> None:
    """A namespace package over the project, an editable root and an installed distribution."""
    setuptools_static(work, site)
    files(work / "ext/src/acme", "tool/__init__.py", "tool/deep.py")
    files(work / "project/acme", "part.py")
    files(site, "acme/installed.py", "acme-1.dist-info/METADATA", METADATA="Name: acme\nVersion: 1\n")
    (site / "acme-1.dist-info/RECORD").write_text("acme/installed.py,,\nacme-1.dist-info/METADATA,,\n")


NAMESPACED = "import acme.tool.deep\n"
STYLES: dict[Callable[[Path, Path], None], str] = {
    setuptools_static: "",
    setuptools_finder: "",
    setuptools_finder_namespaces: f"{NAMESPACED}import acme.part, acme.inner.leaf\n",
    setuptools_finder_empty_namespace: NAMESPACED,
    setuptools_strict: "",
    hatch: "",
    hatch_exact: "",
    flit_pth: "",
    flit_symlink: "",
    uv_workspace: "",
    portions: f"{NAMESPACED}import acme.part, acme.installed\n",
}


@pytest.fixture
def work(tmp_path: Path) -> Path:
    return tmp_path.resolve()


@pytest.fixture
def venv(work: Path) -> Path:
    """The interpreter of an environment in which nothing is installed."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", work / "venv"], check=True)
    return work / "venv/bin/python"


def resolved(work: Path, venv: Path, text: str, settings: ResolveSettings | None = None) -> Resolution:
    script = files(work / "project", "pyproject.toml", "job.py", job=text) / "job.py"
    found = describe(venv, {}, work, Cache(work / "cache"))
    cache = Cache(work / "cache")
    resolution = resolve(ScriptTarget(script), settings or ResolveSettings(), found, work, cache)
    require_complete(resolution)
    return resolution


def site_packages(venv: Path) -> Path:
    return next((venv.parent.parent / "lib").glob("python*/site-packages"))


@pytest.mark.parametrize("style", rest_slow(STYLES, 4), ids=lambda style: style.__name__)
def test_an_editable_install_gives_the_files_that_a_real_interpreter_loads(
    work: Path, venv: Path, style: Callable[[Path, Path], None]
) -> None:
    style(work, site_packages(venv))
    text = f"import outside.module, single\n{STYLES[style]}{SHOW}"

    resolution = resolved(work, venv, text)

    done = subprocess.run([venv, work / "project/job.py"], capture_output=True, text=True, check=True)
    loaded = {name: file for name, file in json.loads(done.stdout).items() if name != "acme.installed"}
    ours = {str(each.name): each.file for each in resolution.modules if each.name != "__main__"}
    assert set(ours) == set(loaded)
    for name, file in ours.items():
        assert file is loaded[name] if file is None else file.samefile(loaded[name])
    archived = {each.path.partition("/")[2] for each in resolution.modules if each.path}
    assert {"outside/__init__.py", "outside/module.py", "single.py"} <= {
        path.removeprefix("packages/outside/src/").removeprefix("src/") for path in archived
    }
    assert [each.text for each in resolution.warnings] == []


def test_of_a_package_that_a_directory_on_the_path_hides_its_finder_gives_the_modules(
    work: Path, venv: Path
) -> None:
    setuptools_finder(work, site_packages(venv))
    files(work / "project/outside", "notes.txt")
    resolution = resolved(work, venv, f"import outside.module{SHOW}")

    done = subprocess.run([venv, work / "project/job.py"], capture_output=True, text=True, check=True)
    loaded = {"outside": None, "outside.module": f"{work}/ext/src/outside/module.py"}
    assert json.loads(done.stdout) == loaded
    ours = {each.name: each.file and str(each.file) for each in resolution.modules}
    assert ours == {**loaded, "__main__": f"{work}/project/job.py"}


def test_a_package_that_is_mapped_to_a_directory_of_another_name_is_refused_with_what_settles_it(
    work: Path, venv: Path
) -> None:
    site, ours = site_packages(venv), {"__init__": "NAME = 'tool'\n"}
    project = tree(work / "p", {"job.py": "import acme.tool\nprint(acme.tool.NAME)\n"})
    bundler = Bundler(project, work, venv)
    mapping = {"acme.tool": f"{files(work / 'ext', '__init__.py', **ours)}"}
    write_finder(site, mapping, {"acme": []})

    [told] = bundler.told()
    (work / "named/acme").mkdir(parents=True)
    (work / "ext").rename(work / "named/acme/tool")
    write_finder(site, {"acme.tool": f"{work}/named/acme/tool"}, {"acme": []})
    named = bundler.run().stdout
    for file in site.glob("__editable__*"):
        file.unlink()
    install(site, "acme_tool", {"acme/tool/__init__.py": ours["__init__"].encode()})
    installed = bundler.run().stdout

    assert re.match(r"editable package `acme\.tool` is in a directory of another name: .*/ext \| ", told)
    assert told.endswith(" | name the directory as the package, or install the package without --editable")
    assert (named, installed) == ("tool\n", "tool\n")


def test_links_that_an_installer_makes_of_files_it_keeps_elsewhere_stay_third_party(
    work: Path, venv: Path
) -> None:
    site = site_packages(venv)
    (site / "six.py").symlink_to(files(work / "store", "six.py") / "six.py")
    (site / "linked").symlink_to(files(work / "env/site-packages/linked", "__init__.py"))
    resolution = resolved(work, venv, "import six, linked", ResolveSettings(dependencies="cluster"))

    assert [each.name for each in resolution.modules] == ["__main__"]


def test_a_package_behind_a_link_travels_under_the_name_of_the_link(work: Path, venv: Path) -> None:
    files(work / "project/shared/v2", "__init__.py", "module.py")
    (work / "project/outside").symlink_to("shared/v2")
    resolution = resolved(work, venv, "import outside.module")

    assert [each.path for each in resolution.modules][1:] == [
        "project/outside/__init__.py",
        "project/outside/module.py",
    ]
