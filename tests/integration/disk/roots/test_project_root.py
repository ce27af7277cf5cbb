"""The project's root on the path: what plain Ray's working directory finds, and what Python finds stays."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from raybundle.model import ModuleName, ModuleTarget, Resolution, ScriptTarget
from raybundle.resolve.answers.answers import answer
from raybundle.resolve.interpreter.describe import describe
from raybundle.resolve.missing.complete import require_complete
from raybundle.resolve.resolve import ResolveSettings, resolve
from raybundle.resolve.trace.run import Run, observe
from tests.support.known import knowing
from tests.support.small_project import interpreter, tree

PROJECTS = Path(__file__).parents[3] / "projects"


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A directory whose real path is its name, as `sys.path` would have it."""
    return tmp_path.resolve()


@pytest.fixture
def bare_venv(work: Path) -> Path:
    """The interpreter of an environment in which nothing is installed."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", work / "venv"], check=True)
    return work / "venv/bin/python"


def run(script: Path, settings: ResolveSettings | None = None, **environ: str) -> Resolution:
    work = script.parent
    while not (work / "pyproject.toml").exists() and not (work / ".git").exists():
        work = work.parent
    found = interpreter(work.parent, **environ)
    return resolve(ScriptTarget(script), settings or ResolveSettings(), found, work, knowing(work / "cache"))


def in_venv(script: Path, python: Path, settings: ResolveSettings | None = None) -> Resolution:
    project = script.parent.parent
    found = describe(python, {}, project, knowing(project.parent / "cache"))
    cache = knowing(project.parent / "scans")
    return resolve(ScriptTarget(script), settings or ResolveSettings(), found, project, cache)


def names(resolution: Resolution) -> set[str]:
    return {str(module.name) for module in resolution.modules}


def texts(resolution: Resolution) -> list[str]:
    return [each.text for each in resolution.warnings]


def site_packages(python: Path) -> Path:
    return next(python.parent.parent.glob("lib/python*/site-packages"))


def test_a_script_in_a_folder_finds_a_package_at_the_project_s_root(work: Path) -> None:
    project = Path(shutil.copytree(PROJECTS / "root_package", work / "rooted"))

    resolution = run(project / "scripts/job.py")

    assert names(resolution) == {"__main__", "tools"}
    assert resolution.path == ("project:scripts", "stdlib", "project:.", "ray")
    assert not resolution.missing
    assert not resolution.warnings


def test_a_module_and_a_namespace_package_at_the_root_are_found(work: Path) -> None:
    job = "import settings\nimport jobs.steps.first\n"
    project = tree(work / "p", {"tools/run.py": job, "settings.py": "", "jobs/steps/first.py": ""})

    resolution = run(project / "tools/run.py")

    assert {"settings", "jobs", "jobs.steps", "jobs.steps.first"} <= names(resolution)


def test_without_a_pyproject_the_root_is_that_of_the_repository(work: Path) -> None:
    project = work / "repository"
    for name, text in {
        "examples/basic/train.py": "from models.net import Net\n",
        "models/net.py": "Net = 1\n",
    }.items():
        (project / name).parent.mkdir(parents=True)
        (project / name).write_text(text)
    subprocess.run(["git", "init", "--quiet", project], check=True)

    resolution = run(project / "examples/basic/train.py")

    assert resolution.project == project
    assert "models.net" in names(resolution)


def test_a_bundle_that_takes_nothing_from_the_root_is_as_before(work: Path) -> None:
    project = tree(work / "p", {"scripts/job.py": "import near\n", "scripts/near.py": "", "far.py": ""})

    resolution = run(project / "scripts/job.py")

    assert names(resolution) == {"__main__", "near"}
    assert resolution.path == ("project:scripts", "stdlib", "ray")


def test_what_python_finds_beside_the_script_stays(work: Path) -> None:
    project = tree(work / "p", {"scripts/job.py": "import both\n", "scripts/both.py": "", "both.py": ""})

    resolution = run(project / "scripts/job.py")

    assert [each.path for each in resolution.modules] == ["project/scripts/job.py", "project/scripts/both.py"]
    assert not resolution.warnings


def test_what_python_finds_on_its_own_path_stays(work: Path) -> None:
    project = tree(
        work / "p", {"scripts/job.py": "import both\nimport colorsys\n", "both.py": "", "colorsys.py": ""}
    )
    (work / "elsewhere").mkdir()
    (work / "elsewhere/both.py").touch()

    resolution = run(project / "scripts/job.py", PYTHONPATH=str(work / "elsewhere"))

    assert [each.path for each in resolution.modules] == ["project/scripts/job.py", "root-1/both.py"]


def test_what_is_declared_comes_before_the_root(work: Path) -> None:
    project = tree(work / "p", {"scripts/job.py": "import both\n", "libs/both.py": "", "both.py": ""})

    resolution = run(project / "scripts/job.py", ResolveSettings(roots=("libs",)))

    assert [each.path for each in resolution.modules] == ["project/scripts/job.py", "project/libs/both.py"]


def test_an_installed_module_stays_and_a_warning_names_the_one_at_the_root(
    work: Path, bare_venv: Path
) -> None:
    project = tree(work / "p", {"scripts/job.py": "import tools\n", "tools/__init__.py": ""})
    (site_packages(bare_venv) / "tools.py").touch()

    before = in_venv(project / "scripts/job.py", bare_venv)
    (project / "tools").rename(project / "own_tools")
    after = in_venv(project / "scripts/job.py", bare_venv)

    assert names(before) == names(after) == {"__main__"}
    assert before.path == after.path
    taken, other = site_packages(bare_venv) / "tools.py", project / "tools/__init__.py"
    assert f"`tools` is {taken}, as Python takes it here, and not {other}" in texts(before)
    assert not after.warnings


def test_a_copy_of_the_project_that_is_installed_is_warned_of_until_it_is_editable(
    work: Path, bare_venv: Path
) -> None:
    project = tree(work / "p", {"scripts/job.py": "import own\n", "src/own/__init__.py": ""})
    shutil.copytree(project / "src/own", site_packages(bare_venv) / "own")

    before = in_venv(project / "scripts/job.py", bare_venv)
    shutil.rmtree(site_packages(bare_venv) / "own")
    (site_packages(bare_venv) / "own.pth").write_text(f"{project}/src\n")
    after = in_venv(project / "scripts/job.py", bare_venv)

    assert f"{project}/src/own/__init__.py" in "".join(texts(before))
    assert names(after) == {"__main__", "own"}
    assert not after.warnings


def test_a_package_at_the_root_does_not_hide_an_installed_namespace(work: Path, bare_venv: Path) -> None:
    project = tree(work / "p", {"scripts/job.py": "import acme.core\n", "acme/__init__.py": ""})
    (site_packages(bare_venv) / "acme").mkdir()
    (site_packages(bare_venv) / "acme/core.py").touch()

    assert names(in_venv(project / "scripts/job.py", bare_venv)) == {"__main__"}


def test_the_root_adds_its_part_to_a_namespace(work: Path) -> None:
    job = "import acme.here\nimport acme.there\n"
    project = tree(work / "p", {"scripts/job.py": job, "scripts/acme/here.py": "", "acme/there.py": ""})

    resolution = run(project / "scripts/job.py")

    assert names(resolution) == {"__main__", "acme", "acme.here", "acme.there"}
    assert resolution.path == ("project:scripts", "stdlib", "project:.", "ray")


def test_folders_that_are_called_as_what_ray_imports_are_nothing_new(work: Path, bare_venv: Path) -> None:
    files = {"ray/tune.py": "", "ray/__init__.py": "", "psutil/__init__.py": "", "tests/test_ray.py": ""}
    job = "import ray\ntry:\n    import psutil\nexcept ImportError:\n    pass\n"
    project = tree(work / "p", {"scripts/job.py": job, **files})

    resolution = in_venv(project / "scripts/job.py", bare_venv)

    assert names(resolution) == {"__main__"}
    assert resolution.path == ("project:scripts", "stdlib", "ray")
    assert not resolution.missing


def test_a_folder_without_python_is_not_a_package(work: Path) -> None:
    files = {"wandb_logs/run-1/files/config.yaml": "", "wandb_logs/latest.log": ""}
    project = tree(work / "p", {"scripts/job.py": "import wandb_logs\n", **files})

    assert [each.name for each in run(project / "scripts/job.py").missing] == ["wandb_logs"]


def test_options_that_keep_the_script_s_directory_from_the_path_keep_the_root_from_it(work: Path) -> None:
    project = tree(work / "p", {"scripts/job.py": "import tools\n", "tools.py": ""})

    resolution = run(project / "scripts/job.py", PYTHONSAFEPATH="1")

    assert [each.name for each in resolution.missing] == ["tools"]


def test_a_module_target_in_a_subdirectory_finds_the_root(work: Path) -> None:
    project = tree(work / "p", {"jobs/train.py": "import tools\n", "tools.py": ""})
    target = ModuleTarget(ModuleName("train"))

    resolution = resolve(
        target, ResolveSettings(), interpreter(work), project / "jobs", knowing(work / "scans")
    )

    assert names(resolution) == {"train", "tools"}
    assert resolution.path == ("project:jobs", "stdlib", "project:.", "ray")


def test_included_modules_under_the_root_can_be_imported(work: Path) -> None:
    job = "import importlib, sys\nimportlib.import_module(sys.argv[1])  # raybundle: ignore\n"
    project = tree(
        work / "p", {"scripts/job.py": job, "plugins/a.py": "import plugins_base\n", "plugins_base.py": ""}
    )

    resolution = run(project / "scripts/job.py", ResolveSettings(include=("plugins/*.py",)))

    assert {"plugins.a", "plugins_base"} <= names(resolution)
    assert "project:." in resolution.path


def test_an_included_script_that_imports_its_neighbour_is_not_refused(work: Path) -> None:
    files = {"scripts/job.py": "", "bin/convert.py": "import neighbour\n", "bin/neighbour.py": ""}
    project = tree(work / "p", {**files, "bin/template.py": "{{ name }} = \n"})

    resolution = run(project / "scripts/job.py", ResolveSettings(include=("bin",)))

    require_complete(resolution)
    assert {str(each.path) for each in resolution.modules if each.path} == {
        "project/scripts/job.py",
        "project/bin/convert.py",
        "project/bin/neighbour.py",
        "project/bin/template.py",
    }
    assert not resolution.warnings


def placed(script: Path, cwd: Path, settings: ResolveSettings | None = None) -> list[str]:
    found, cache = interpreter(cwd), knowing(script.parent / "cache")
    resolution = answer(ScriptTarget(script), settings or ResolveSettings(), found, cwd, cache)
    return [str(each.path) for each in resolution.modules if each.path]


def test_a_nested_project_sees_the_outer_one_where_the_command_is_given_there(work: Path) -> None:
    files = {"scripts/pyproject.toml": "", "scripts/jobs/job.py": "import tools\n", "tools.py": ""}
    project = tree(work / "p", files)
    script = project / "scripts/jobs/job.py"

    assert run(script).project == project / "scripts"
    assert placed(script, project) == ["project/jobs/job.py", "root-1/tools.py"]
    assert placed(script, project / "scripts") == ["project/jobs/job.py"]
    assert placed(script, work) == ["project/jobs/job.py"]


def test_without_any_mark_of_a_project_the_current_directory_is_a_root(work: Path) -> None:
    for name, text in {
        "p/scripts/job.py": "import tools\n",
        "p/tools.py": "",
        "tools/__init__.py": "",
    }.items():
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        (work / name).write_text(text)
    script = work / "p/scripts/job.py"

    assert placed(script, work / "p/scripts") == ["project/job.py"]
    assert placed(script, work / "p") == ["project/job.py", "root-1/tools.py"]
    assert placed(script, work) == ["project/job.py", "root-1/tools/__init__.py"]


def test_a_traced_run_has_the_roots_of_the_job(work: Path) -> None:
    files = {
        "scripts/job.py": "import importlib\nfor name in 'tools', 'own':\n    importlib.import_module(name)\n"
    }
    project = tree(work / "p", {**files, "tools.py": "", "src/own.py": ""})
    script = ScriptTarget(project / "scripts/job.py")

    traced, code = observe(Run(script, project, (), project, dict(os.environ)), interpreter(work))

    assert code == 0
    assert {"tools", "own"} <= {each.name for each in traced.modules}


def test_metadata_that_an_earlier_install_left_at_the_root_is_not_taken(work: Path) -> None:
    files = {"scripts/job.py": "import importlib.metadata\nimport tools\n", "tools.py": ""}
    project = tree(
        work / "p", {**files, "own.egg-info/PKG-INFO": "Metadata-Version: 2.1\nName: own\nVersion: 0\n"}
    )

    resolution = run(project / "scripts/job.py")

    assert names(resolution) == {"__main__", "tools"}
    assert not resolution.data
