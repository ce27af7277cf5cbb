"""Source roots that nobody declared: `src/`, and the folders that packaging settings name."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING

import pytest

from raybundle.model import Resolution, ScriptTarget
from raybundle.resolve.answers.answers import answer
from raybundle.resolve.resolve import ResolveSettings, resolve
from tests.support.booting import make_venv
from tests.support.bundled import Bundler
from tests.support.installed import install
from tests.support.known import knowing
from tests.support.small_project import interpreter, tree

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A directory whose real path is its name, as `sys.path` would have it."""
    return tmp_path.resolve()


def run(
    project: Path, script: str = "job.py", settings: ResolveSettings | None = None, **environ: str
) -> Resolution:
    found = interpreter(project.parent, **environ)
    cache = knowing(project.parent / "scans")
    return resolve(ScriptTarget(project / script), settings or ResolveSettings(), found, project, cache)


def placed(resolution: Resolution) -> dict[str, str]:
    return {str(each.name): str(each.path) for each in resolution.modules if each.name != "__main__"}


def sources(resolution: Resolution) -> dict[str, str]:
    return {str(each.symbol): each.source for each in resolution.roots if each.source}


SETTINGS = {
    "setuptools-package-dir": (
        '[tool.setuptools]\npackage-dir = {"" = "lib"}\n',
        "tool.setuptools.package-dir",
    ),
    "setuptools-one-package": (
        '[tool.setuptools]\npackage-dir = {own = "lib/own"}\n',
        "tool.setuptools.package-dir",
    ),
    "setuptools-find": (
        '[tool.setuptools.packages.find]\nwhere = ["lib"]\n',
        "tool.setuptools.packages.find.where",
    ),
    "hatch-packages": (
        '[tool.hatch.build.targets.wheel]\npackages = ["lib/own"]\n',
        "tool.hatch.build.targets.wheel.packages",
    ),
    "hatch-sources": (
        '[tool.hatch.build.targets.wheel]\nsources = ["lib"]\n',
        "tool.hatch.build.targets.wheel.sources",
    ),
    "hatch-rewritten": ('[tool.hatch.build.sources]\n"lib" = ""\n', "tool.hatch.build.sources"),
    "hatch-dev-mode": ('[tool.hatch.build]\ndev-mode-dirs = ["lib"]\n', "tool.hatch.build.dev-mode-dirs"),
    "poetry": ('[tool.poetry]\npackages = [{include = "own", from = "lib"}]\n', "tool.poetry.packages"),
    "uv": ('[tool.uv.build-backend]\nmodule-root = "lib"\n', "tool.uv.build-backend.module-root"),
    "pdm": ('[tool.pdm.build]\npackage-dir = "lib"\n', "tool.pdm.build.package-dir"),
    "maturin": ('[tool.maturin]\npython-source = "lib"\n', "tool.maturin.python-source"),
    "scikit-build": (
        '[tool.scikit-build]\nwheel.packages = ["lib/own"]\n',
        "tool.scikit-build.wheel.packages",
    ),
}


@pytest.mark.parametrize("setting", SETTINGS)
def test_the_folder_that_a_packaging_setting_names_is_a_root(setting: str, work: Path) -> None:
    text, key = SETTINGS[setting]
    project = tree(work / "p", {"pyproject.toml": text, "job.py": "import own.deep\n"})
    tree(project / "lib", {"own/__init__.py": "", "own/deep.py": ""})
    (project / "lib/pyproject.toml").unlink()

    resolution = run(project)

    assert placed(resolution) == {"own": "project/lib/own/__init__.py", "own.deep": "project/lib/own/deep.py"}
    assert sources(resolution) == {"project:lib": f"pyproject.toml: {key}"}
    assert not resolution.warnings


@pytest.mark.parametrize(
    "text",
    [
        "[options]\npackage_dir =\n    =lib\n",
        "[options]\npackages = find:\n[options.packages.find]\nwhere = lib\n",
    ],
)
def test_the_folder_that_setup_cfg_names_is_a_root(text: str, work: Path) -> None:
    files = {"setup.cfg": text, "job.py": "import own\n", "lib/own.py": ""}
    project = tree(work / "p", files)

    assert placed(run(project)) == {"own": "project/lib/own.py"}


def test_src_is_a_root_without_any_setting(work: Path) -> None:
    project = tree(work / "p", {"jobs/job.py": "import own.deep\n", "src/own/deep.py": ""})

    resolution = run(project, "jobs/job.py")

    assert placed(resolution)["own.deep"] == "project/src/own/deep.py"
    assert sources(resolution) == {"project:src": "src/"}
    assert resolution.path == ("project:jobs", "stdlib", "project:src", "ray")


def test_src_that_is_a_package_is_not_a_root(work: Path) -> None:
    files = {"jobs/job.py": "import src.own\nimport own\n", "src/own.py": "", "src/__init__.py": ""}

    resolution = run(tree(work / "p", files), "jobs/job.py")

    assert placed(resolution) == {"src": "project/src/__init__.py", "src.own": "project/src/own.py"}
    assert [each.name for each in resolution.missing] == ["own"]


def test_members_of_a_workspace_are_roots_with_their_own_layout(work: Path) -> None:
    settings = '[tool.uv.workspace]\nmembers = ["packages/*", "apps/flat"]\nexclude = ["packages/old"]\n'
    files = {
        "pyproject.toml": settings,
        "job.py": "import first\nimport second.part\nimport flat\nimport old\n",
        "packages/a/pyproject.toml": "",
        "packages/a/src/first/__init__.py": "",
        "packages/b/pyproject.toml": '[tool.setuptools]\npackage-dir = {"" = "lib"}\n',
        "packages/b/lib/second/part.py": "",
        "packages/old/pyproject.toml": "",
        "packages/old/src/old.py": "",
        "apps/flat/pyproject.toml": "",
        "apps/flat/flat.py": "",
    }

    resolution = run(tree(work / "p", files))

    assert placed(resolution) == {
        "first": "project/packages/a/src/first/__init__.py",
        "second": "None",
        "second.part": "project/packages/b/lib/second/part.py",
        "flat": "project/apps/flat/flat.py",
    }
    assert [each.name for each in resolution.missing] == ["old"]


def test_members_of_a_hatch_workspace_are_roots(work: Path) -> None:
    settings = '[tool.hatch.envs.default.workspace]\nmembers = [{path = "libs/a"}, "libs/b"]\n'
    files = {
        "pyproject.toml": settings,
        "job.py": "import a\nimport b\n",
        "libs/a/src/a.py": "",
        "libs/b/b.py": "",
    }
    project = tree(work / "p", {**files, "libs/a/pyproject.toml": "", "libs/b/pyproject.toml": ""})

    assert placed(run(project)) == {"a": "project/libs/a/src/a.py", "b": "project/libs/b/b.py"}


def test_what_python_finds_itself_comes_before_the_layout(work: Path) -> None:
    project = tree(work / "p", {"job.py": "import own\nimport near\n", "src/own.py": "", "src/near.py": ""})
    (project / "near.py").touch()
    tree(work / "elsewhere", {"own.py": ""})

    resolution = run(project, PYTHONPATH=str(work / "elsewhere"))

    assert placed(resolution) == {"own": "root-1/own.py", "near": "project/near.py"}
    assert not resolution.warnings


def test_declared_roots_come_before_the_layout_which_stays(work: Path) -> None:
    files = {"job.py": "import own\nimport more\n", "src/own.py": "", "src/more.py": "", "libs/own.py": ""}

    resolution = run(tree(work / "p", files), settings=ResolveSettings(roots=("libs",)))

    assert placed(resolution) == {"own": "project/libs/own.py", "more": "project/src/more.py"}


def test_a_changed_setting_is_noticed_by_a_kept_answer(work: Path) -> None:
    project = tree(work / "p", {"job.py": "import own\n", "lib/own.py": "", "other/own.py": ""})
    cache, found = knowing(work / "scans"), interpreter(work)

    def places(setting: str) -> list[str]:
        (project / "pyproject.toml").write_text(setting)
        resolution = answer(ScriptTarget(project / "job.py"), ResolveSettings(), found, project, cache)
        return [str(each.path) for each in resolution.modules if each.name == "own"]

    by_setting = [
        places(f'[tool.pdm.build]\npackage-dir = "{name}"\n') for name in ("lib", "other", "absent")
    ]

    assert by_setting == [["project/lib/own.py"], ["project/other/own.py"], []]


def test_a_new_src_folder_is_noticed_by_a_kept_answer(work: Path) -> None:
    project = tree(work / "p", {"job.py": "import own\n"})
    cache, found = knowing(work / "scans"), interpreter(work)
    target = ScriptTarget(project / "job.py")
    missing = answer(target, ResolveSettings(), found, project, cache).missing

    (project / "src").mkdir()
    (project / "src/own.py").touch()
    resolution = answer(target, ResolveSettings(), found, project, cache)

    assert [each.name for each in missing] == ["own"]
    assert placed(resolution) == {"own": "project/src/own.py"}


@pytest.mark.parametrize(
    "text", ["= nothing", "[tool]\nhatch = 1\n", "[tool.uv.workspace]\nmembers = [1, '../x', '']\n"]
)
def test_settings_that_make_no_sense_name_no_root(text: str, work: Path) -> None:
    project = tree(work / "p", {"pyproject.toml": text, "job.py": "import own\n", "src/own.py": ""})

    assert placed(run(project)) == {"own": "project/src/own.py"}


def test_a_package_that_the_settings_call_otherwise_is_not_taken_for_one(work: Path) -> None:
    settings = '[tool.hatch.build.targets.wheel.sources]\n"lib/own" = "renamed"\n'
    project = tree(
        work / "p", {"pyproject.toml": settings, "job.py": "import renamed\n", "lib/own/__init__.py": ""}
    )

    assert [each.name for each in run(project).missing] == ["renamed"]


BY_PATH = """[tool.uv.sources]
gym-kit = { path = "./gym-kit", editable = true }
libs = [{ path = "../libs" }]
"""
BY_PATH_IN_POETRY = """[tool.poetry.dependencies]
gym-kit = { path = "gym-kit", develop = true }
python = "^3.10"
[tool.poetry.group.dev.dependencies]
libs = { path = "../libs" }
"""


@pytest.mark.parametrize("settings", [BY_PATH, BY_PATH_IN_POETRY], ids=["uv", "poetry"])
def test_projects_that_are_required_by_their_path_are_roots_with_their_own_layout(
    work: Path, settings: str
) -> None:
    files = {
        "pyproject.toml": settings,
        "job.py": "import gymkit\nimport shared.part\n",
        "gym-kit/gymkit.py": "",
    }
    project = tree(work / "repository/p", files)
    tree(work / "repository/libs", {"pyproject.toml": "", "src/shared/part.py": ""})

    resolution = run(project)

    assert placed(resolution) == {
        "gymkit": "project/gym-kit/gymkit.py",
        "shared": "None",
        "shared.part": "root-1/shared/part.py",
    }
    assert sources(resolution) == {
        "project:gym-kit": "required by pyproject.toml: gym-kit",
        "root:1": "../libs/src/",
    }


RENAMES = {
    "setuptools": '[tool.setuptools.package-dir]\nnewname = "lib"\n',
    "scikit-build": '[tool.scikit-build.wheel.packages]\nnewname = "lib"\n',
    "hatch": '[tool.hatch.build.targets.wheel.sources]\n"lib" = "newname"\n',
}


@pytest.mark.parametrize("tool", RENAMES)
def test_a_package_that_is_installed_under_another_name_is_told_with_what_settles_it(
    tmp_path: Path, tool: str
) -> None:
    core = {"lib/__init__.py": "", "lib/core.py": "print('done')\n", "job.py": "import newname.core\n"}
    make_venv(tmp_path / "env", sys.executable)
    [site] = (tmp_path / "env").glob("lib/python3*/site-packages")
    project = tree(tmp_path / "p", {"pyproject.toml": RENAMES[tool], **core})
    bundler = Bundler(project, tmp_path, tmp_path / "env" / "bin" / "python")

    [told] = bundler.told()
    install(site, "own", {"newname/__init__.py": b"", "newname/core.py": b"print('done')\n"})
    installed, ran = bundler.told(), bundler.run().stdout
    shutil.rmtree(site / "own-1.0.dist-info")
    shutil.rmtree(site / "newname")
    (project / "lib").rename(project / "newname")

    expected = "of pyproject.toml installs `lib` as `newname`: rename the folder to `newname`, or install the"
    assert told.startswith("cannot find `newname.core`, imported at job.py:1 | tool.")
    assert expected in told
    assert (installed, ran) == ([], "done\n")
    assert (bundler.told(), bundler.run().stdout) == ([], "done\n")
