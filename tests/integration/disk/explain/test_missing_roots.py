"""A module in a folder that nobody declared: the error names it, and following the hint settles it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.booting import make_interpreter
from tests.support.small_project import tree
from tests.support.workplace import Workplace, make_workplace

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow


@pytest.fixture
def work(tmp_path: Path) -> Workplace:
    return make_workplace(tmp_path / "work")


def git(directory: Path, *words: str) -> None:
    subprocess.run(["git", "-C", directory, *words], check=True, capture_output=True)


def refused(work: Workplace, project: Path, *words: str) -> str:
    """Builds what cannot be built, and returns what is said."""
    done = work.raybundle("build", *words, cwd=project)
    assert done.returncode == 3, done.stdout + done.stderr
    return done.stderr


def follow(hint: str, project: Path) -> list[str]:
    """Writes what a hint says into the settings of a project, and returns the roots."""
    [line] = re.findall(r"`(roots = \[[^]]*\])` in \[tool.raybundle\]", hint)
    kept = [each for each in (project / "pyproject.toml").read_text().splitlines() if "roots =" not in each]
    settings = [each for each in kept if each != "[tool.raybundle]"]
    (project / "pyproject.toml").write_text("\n".join([*settings, "[tool.raybundle]", line, ""]))
    return list(json.loads(line.removeprefix("roots = ")))


def modules(work: Workplace, project: Path, script: str) -> set[str]:
    """Plans with warnings as errors, and returns the names of the modules."""
    done = work.raybundle("--json", "plan", "--strict", script, cwd=project)
    assert done.returncode == 0, done.stderr
    return {each["name"] for each in json.loads(done.stdout)["modules"]}


def test_the_folder_of_a_package_is_named(work: Workplace) -> None:
    files = {"jobs/train.py": "import helpers.gpu\nfrom helpers import cpu\n"}
    project = tree(work.directory / "p", {**files, "libs/helpers/gpu.py": "", "libs/helpers/cpu.py": ""})
    (project / "libs/helpers/__init__.py").touch()

    said = refused(work, project, "jobs/train.py")

    assert "cannot find `helpers.gpu`, imported at jobs/train.py:1" in said
    assert 'hint: `roots = ["libs"]` in [tool.raybundle]: libs/helpers' in said
    assert "install its distribution" not in said
    assert follow(said, project) == ["libs"]
    assert {"helpers.gpu", "helpers.cpu"} < modules(work, project, "jobs/train.py")


def test_folders_of_a_module_and_of_a_namespace_package_are_named_beside_those_declared(
    work: Workplace,
) -> None:
    files = {
        "pyproject.toml": '[tool.raybundle]\nroots = ["known"]\n',
        "job.py": "import known_one\nimport flags\nfrom acme.core import Core\n",
        "known/known_one.py": "",
        "third_party/py/flags.py": "",
        "python/acme/core/__init__.py": "Core = 1\n",
        ".venv/lib/flags.py": "",
        "environment/pyvenv.cfg": "",
        "environment/flags.py": "",
        "artifacts/flags.py": "",
        ".gitignore": "artifacts/\n",
    }
    project = tree(work.directory / "p", files)
    git(project, "init", "--quiet")

    roots = follow(refused(work, project, "job.py"), project)

    assert roots[0] == "known"
    assert sorted(roots[1:]) == ["python", "third_party/py"]
    assert {"known_one", "flags", "acme.core"} < modules(work, project, "job.py")


def test_folders_of_what_those_modules_miss_in_turn_are_named_too(work: Workplace) -> None:
    files = {"job.py": "import one\n", "libs/one.py": "import two\n", "more/two.py": ""}
    project = tree(work.directory / "p", files)

    assert follow(refused(work, project, "job.py"), project) == ["libs", "more"]
    assert {"one", "two"} < modules(work, project, "job.py")


def test_a_folder_above_a_nested_project_is_named(work: Workplace) -> None:
    files = {"scripts/job.py": "import tools\nimport shared\n", "tools/__init__.py": "", "libs/shared.py": ""}
    repository = tree(work.directory / "p", {**files, "scripts/pyproject.toml": ""})
    git(repository, "init", "--quiet")

    said = refused(work, repository / "scripts", "job.py")

    assert sorted(follow(said, repository / "scripts")) == ["..", "../libs"]
    assert {"tools", "shared"} < modules(work, repository / "scripts", "job.py")


def test_the_folder_that_has_most_of_them_is_named(work: Workplace) -> None:
    files = {
        "job.py": "import one\nimport two\n",
        "a/one.py": "",
        "b/one.py": "",
        "b/two.py": "",
        "c/two.py": "",
    }
    project = tree(work.directory / "p", files)

    assert follow(refused(work, project, "job.py"), project) == ["b"]
    assert {"one", "two"} < modules(work, project, "job.py")


def test_the_folder_of_a_module_is_named_before_one_that_has_a_folder_of_its_name(work: Workplace) -> None:
    files = {"run/job.py": "import core\n\nprint(core.N)\n", "deps/core/core.py": "N = 1\n"}
    project = tree(work.directory / "p", files)

    assert follow(refused(work, project, "run/job.py"), project) == ["deps/core"]
    assert "core" in modules(work, project, "run/job.py")


def test_a_folder_that_does_not_help_is_not_named(work: Workplace) -> None:
    files = {"job.py": "import helper\n", "libs/helper.py": "import click\n", "libs/click.py": ""}
    project = tree(work.directory / "p", files)

    said = refused(work, project, "job.py")

    assert "roots = [" not in said
    assert "add the folder that holds `helper` to `roots`" in said


def test_what_is_nowhere_has_a_hint_of_its_own(work: Workplace) -> None:
    project = tree(work.directory / "p", {"job.py": "import helper\nimport nowhere\n", "libs/helper.py": ""})

    said = refused(work, project, "job.py")

    assert '`roots = ["libs"]` in [tool.raybundle]: libs/helper.py is there' in said
    assert "add the folder that holds `nowhere` to `roots` in [tool.raybundle], or install" in said
    follow(said, project)
    assert "cannot find `helper`" not in refused(work, project, "job.py")


def test_a_module_of_a_package_that_is_found_has_no_other_folder(work: Workplace) -> None:
    files = {"job.py": "import pkg.absent\n", "pkg/__init__.py": "", "libs/pkg/absent.py": ""}
    project = tree(work.directory / "p", files)

    assert "roots = [" not in refused(work, project, "job.py")


def test_the_warning_about_what_functions_import_names_its_folder(work: Workplace) -> None:
    files = {
        "pyproject.toml": '[tool.raybundle]\nroots = ["known"]\n',
        "job.py": "def later():\n    import helper\n    import nowhere\n    import pkg.absent\nimport pkg\n",
        "libs/helper.py": "",
        "libs/pkg/absent.py": "",
        "pkg/__init__.py": "",
        "known/one.py": "",
        "hiding/nowhere.py": "",
        "hiding/types.py": "",
    }
    project = tree(work.directory / "p", files)

    done = work.raybundle("plan", "job.py", cwd=project)
    assert follow(done.stderr, project) == ["known", "libs"]
    after = work.raybundle("--json", "plan", "job.py", cwd=project)

    assert done.returncode == after.returncode == 0, done.stderr + after.stderr
    assert "libs/helper.py is there; if the job does without them" in done.stderr
    assert 'optional = ["nowhere", "pkg.absent"]' in done.stderr
    assert "helper" in {each["name"] for each in json.loads(after.stdout)["modules"]}
    assert "roots = [" not in after.stderr


HELPERS = {
    "in a package": {"pkg/utils/__init__.py": "", "pkg/utils/vllm/__init__.py": "PATCH = 1\n"},
    "in a folder of a package": {"pkg/third_party/vllm/__init__.py": "PATCH = 1\n"},
    "beside it": {"patches/vllm/__init__.py": "PATCH = 1\n"},
    "a module": {"patches/vllm.py": "PATCH = 1\n"},
    "with a part": {"patches/vllm/__init__.py": "", "patches/vllm/engine/__init__.py": ""},
    "scripts": {"examples/vllm/serve.py": ""},
}
IMPORTS = "import vllm\nimport vllm.engine.arg_utils\n"


@pytest.mark.slow
@pytest.mark.parametrize("files", HELPERS.values(), ids=[*HELPERS])
@pytest.mark.parametrize("indent", ["", "    "], ids=["error", "warning"])
def test_a_helper_with_the_name_of_a_library_is_no_root(
    work: Workplace, files: dict[str, str], indent: str
) -> None:
    lines = "".join(f"{indent}{line}\n" for line in IMPORTS.splitlines())
    run = f"import pkg.other\ndef go():\n    pass\n{lines}"
    project = tree(
        work.directory / "p",
        {"job.py": "import pkg.run\n", "pkg/__init__.py": "", "pkg/run.py": run, **files},
    )
    (project / "pkg/other.py").touch()

    done = work.raybundle("plan", "job.py", cwd=project)
    why = work.raybundle("why", "job.py", "vllm", cwd=project)

    assert done.returncode == (0 if indent else 3)
    assert "vllm" in done.stderr
    assert "roots = [" not in done.stderr
    assert "roots = [" not in why.stdout + why.stderr


@pytest.mark.parametrize(
    "source", ["def go():\n    import vllm\n", "import vllm\n"], ids=["warning", "error"]
)
def test_a_helper_that_its_package_imports_is_no_root_for_the_bare_name(work: Workplace, source: str) -> None:
    files = {
        "job.py": f"import pkg.utils.vllm\n{source}",
        "pkg/__init__.py": "",
        "pkg/utils/__init__.py": "",
        "pkg/utils/vllm/__init__.py": "",
    }
    project = tree(work.directory / "p", files)

    assert "roots = [" not in work.raybundle("plan", "job.py", cwd=project).stderr


def test_a_folder_beside_a_package_is_named_before_one_in_it(work: Workplace) -> None:
    files = {
        "job.py": "import pkg\nimport one\nimport two\n",
        "pkg/__init__.py": "",
        "pkg/one.py": "",
        "pkg/two.py": "",
        "libs/one.py": "",
    }
    project = tree(work.directory / "p", files)

    assert follow(refused(work, project, "job.py"), project) == ["libs", "pkg"]
    assert work.raybundle("plan", "job.py", cwd=project).returncode == 0


def test_a_library_that_only_functions_import_is_found_whole_in_a_folder(work: Workplace) -> None:
    source = "def go():\n    from helpers.deep.one import x\n    import helpers\n"
    files = {"job.py": source, "libs/helpers/__init__.py": "", "libs/helpers/deep/one.py": "x = 1\n"}
    project = tree(work.directory / "p", files)

    said = work.raybundle("plan", "job.py", cwd=project).stderr

    assert follow(said, project) == ["libs"]
    assert {"helpers", "helpers.deep.one"} < modules(work, project, "job.py")


def test_the_warning_ends_with_its_hint(work: Workplace) -> None:
    files = {"job.py": "def later():\n    import helper\n", "libs/helper.py": ""}
    project = tree(work.directory / "p", files)

    follow(work.raybundle("plan", "job.py", cwd=project).stderr, project)

    assert modules(work, project, "job.py") == {"__main__", "helper"}


@pytest.mark.parametrize("word", ["sklearn", "sklearn.svm", "scikit-learn"])
def test_a_module_of_another_name_is_known_by_the_distribution_to_install(work: Workplace, word: str) -> None:
    project = tree(work.directory / "p", {"job.py": "import sklearn.svm\n"})
    empty = make_interpreter(work.directory / "env", sys.executable)
    python = ("--python", str(empty))

    said = refused(work, project, *python, "job.py")
    why = work.raybundle("why", *python, "job.py", word, cwd=project)

    assert (
        "to `roots` in [tool.raybundle], or install its distribution (`pip install scikit-learn`) into"
        in said
    )
    assert "`sklearn" in why.stderr + why.stdout
    assert "its distribution (`pip install scikit-learn`) is not installed" in why.stderr + why.stdout


def test_no_name_is_guessed_for_a_module_that_few_know(work: Workplace) -> None:
    project = tree(work.directory / "p", {"job.py": "import nobody_knows_this\n"})

    assert "pip install" not in refused(work, project, "job.py")
