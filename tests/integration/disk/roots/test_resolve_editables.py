from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from raybundle.cache.documents import Cache
from raybundle.errors import BundleError, UsageError
from raybundle.model import ScriptTarget
from raybundle.resolve.interpreter.describe import describe, find_interpreter
from raybundle.resolve.resolve import ResolveSettings, resolve

if TYPE_CHECKING:
    from raybundle.model import Resolution

FINDER = """
import sys
from importlib.util import spec_from_file_location
MAPPING = {mapping!r}
NAMESPACES = {{}}
class _EditableFinder:
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name in MAPPING:
            return spec_from_file_location(name, MAPPING[name] + "/__init__.py")
def install():
    sys.meta_path.append(_EditableFinder)
"""
"""The shape of what setuptools writes for an editable install (PEP 660)."""


def site_packages(python: Path) -> Path:
    return next((python.parent.parent / "lib").glob("python*/site-packages"))


def package(directory: Path, **modules: str) -> Path:
    directory.mkdir(parents=True)
    for name, text in modules.items():
        (directory / f"{name}.py").write_text(text)
    return directory


def run(python: Path, work: Path) -> Resolution:
    project = work / "project"
    project.mkdir(exist_ok=True)
    (project / "pyproject.toml").touch()
    (project / "job.py").write_text("import outside.module\n")
    found = describe(python, {}, work, Cache(work / "cache"))
    cache = Cache(work / "cache")
    return resolve(ScriptTarget(project / "job.py"), ResolveSettings(), found, project, cache)


@pytest.fixture
def work(tmp_path: Path) -> Path:
    return tmp_path.resolve()


@pytest.fixture
def venv(work: Path) -> Path:
    """The interpreter of an environment in which nothing is installed."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", work / "venv"], check=True)
    return work / "venv/bin/python"


@pytest.fixture
def uv() -> str:
    found = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
    if found is None:
        pytest.skip("uv is not installed")
    return found


def test_a_static_pth_makes_a_root_outside_the_project(venv: Path, work: Path) -> None:
    package(work / "ext/src/outside", __init__="", module="")
    (site_packages(venv) / "outside.pth").write_text(f"{work}/ext/src\n")
    resolution = run(venv, work)

    assert resolution.path == ("project:.", "stdlib", "root:1", "ray")
    assert [each.path for each in resolution.modules][1:] == [
        "root-1/outside/__init__.py",
        "root-1/outside/module.py",
    ]


def test_a_finder_hook_makes_a_root_at_the_parent_of_the_package(venv: Path, work: Path) -> None:
    directory = package(work / "ext/src/outside", __init__="", module="")
    name = "__editable___outside_1_finder"
    (site_packages(venv) / f"{name}.py").write_text(FINDER.format(mapping={"outside": str(directory)}))
    (site_packages(venv) / "__editable__.outside-1.pth").write_text(f"import {name}; {name}.install()\n")
    resolution = run(venv, work)

    assert [(each.symbol, each.directory) for each in resolution.roots][1:] == [("root:1", work / "ext/src")]
    assert "root-1/outside/module.py" in [each.path for each in resolution.modules]


@pytest.mark.slow
def test_a_real_editable_install_by_setuptools_is_followed(venv: Path, work: Path, uv: str) -> None:
    source = package(work / "ext/code", setup="from setuptools import setup\nsetup()")
    package(source / "outside", __init__="", module="")
    package(source / "unrelated", __init__="")
    (source / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["setuptools>=64"]\nbuild-backend = "setuptools.build_meta"\n'
        '[project]\nname = "outside"\nversion = "1"\n[tool.setuptools]\npackages = ["outside"]\n'
    )
    subprocess.run([uv, "pip", "install", "--quiet", "--python", venv, "--editable", source], check=True)
    resolution = run(venv, work)

    assert list(site_packages(venv).glob("__editable___*_finder.py"))
    assert resolution.roots[-1].directory == source
    assert resolution.missing == ()


def test_a_new_pth_is_noticed_by_the_kept_description(venv: Path, work: Path) -> None:
    (work / "lib").mkdir()
    before = describe(venv, {}, work, Cache(work / "cache"))
    (site_packages(venv) / "new.pth").write_text(f"{work}/lib\n")
    after = describe(venv, {}, work, Cache(work / "cache"))

    assert str(work / "lib") not in before.path
    assert str(work / "lib") in after.path


def test_the_description_has_the_entries_of_pythonpath_and_none_of_the_probe(venv: Path, work: Path) -> None:
    (work / "lib").mkdir()
    found = describe(venv, {"PYTHONPATH": "lib"}, work, Cache(work / "cache"))
    asked = subprocess.run(
        [venv, "-c", "import sys; print('\\n'.join(sys.path[1:]))"],
        env={"PYTHONPATH": "lib"},
        cwd=work,
        capture_output=True,
        text=True,
        check=True,
    )

    assert list(found.path) == asked.stdout.splitlines()
    assert found.path[0] == str(work / "lib")


def test_what_is_no_python_cannot_be_described(work: Path) -> None:
    impostor = work / "python"
    impostor.write_text("#!/bin/sh\nexit 3\n")
    impostor.chmod(0o755)

    with pytest.raises(BundleError, match="cannot describe itself"):
        describe(impostor, {}, work, Cache(work / "cache"))


def test_the_interpreter_is_the_requested_else_the_active_else_the_project_s_else_our_own(work: Path) -> None:
    for name in ("active", "project/.venv"):
        (work / name / "bin").mkdir(parents=True)
        (work / name / "bin/python").touch()
    active = {"VIRTUAL_ENV": str(work / "active")}
    requested = str(work / "active/bin/python")

    assert str(find_interpreter(requested, work / "project", {})) == requested
    assert find_interpreter(None, work / "project", active) == work / "active/bin/python"
    assert find_interpreter(None, work / "project", {}) == work / "project/.venv/bin/python"
    assert str(find_interpreter(None, work, {})) == sys.executable


def test_a_minor_version_is_looked_up_on_path(work: Path) -> None:
    (work / "python3.12").write_text("")
    (work / "python3.12").chmod(0o755)

    assert find_interpreter("3.12", work, {"PATH": str(work)}) == work / "python3.12"
    with pytest.raises(UsageError, match=r"`3\.13`"):
        find_interpreter("3.13", work, {"PATH": str(work)})


def test_the_project_s_root_comes_after_what_an_editable_finder_maps(venv: Path, work: Path) -> None:
    package(work / "project/libs/outside", __init__="", module="")
    package(work / "project/outside", __init__="")
    package(work / "project/scripts", job="import outside.module\nimport at_the_root\n")
    (work / "project/at_the_root.py").touch()
    (work / "project/pyproject.toml").touch()
    mapping = {"outside": str(work / "project/libs/outside")}
    (site_packages(venv) / "__editable___outside_1_finder.py").write_text(FINDER.format(mapping=mapping))
    text = "import __editable___outside_1_finder; __editable___outside_1_finder.install()\n"
    (site_packages(venv) / "__editable__.outside-1.pth").write_text(text)

    found = describe(venv, {}, work, Cache(work / "cache"))
    cache = Cache(work / "cache")
    script = ScriptTarget(work / "project/scripts/job.py")
    resolution = resolve(script, ResolveSettings(include=("outside",)), found, work / "project", cache)

    files = {str(module.name): module.path for module in resolution.modules}
    assert files["outside"] == "project/libs/outside/__init__.py"
    assert resolution.path == ("project:scripts", "stdlib", "project:libs", "project:.", "ray")
