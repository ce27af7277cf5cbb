"""What hints say about imports that resolve nowhere is followed, and settles them; and the jobs run."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.own_wheels import make_small_environment
from tests.support.own_wheels import make_wheel as make_own_wheel
from tests.support.slow import rest_slow
from tests.support.small_project import tree
from tests.support.wheels import install_wheel, make_wheel
from tests.support.workplace import PROJECTS, make_workplace

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.cluster.conftest import Embedded
    from tests.support.workplace import Workplace

STOPS = "import absent_a\nprint('ran')\n"
MAY_RUN = "def f():\n    import absent_a\nprint('ran')\n"
CONFIGURATION = {
    "optional": '[tool.raybundle]\noptional = ["absent_a"]\n',
    "cluster-provides": '[tool.raybundle]\ncluster-provides = ["absent-a"]\n',
    "roots": '[tool.raybundle]\nroots = ["lib/src"]\n',
}


@pytest.fixture
def work(tmp_path: Path) -> Workplace:
    """A project with a folder that holds the module and is no root, and a bare environment."""
    work = make_workplace(tmp_path / "work")
    tree(work.directory, {"lib/src/absent_a.py": ""})
    return work


def test_the_hint_of_an_error_names_what_settles_it_the_likeliest_first(tmp_path: Path) -> None:
    work = make_workplace(tmp_path / "work")
    tree(work.directory, {"job.py": STOPS})

    hint = work.raybundle("plan", "job.py").stderr.partition("hint: ")[2]

    words = ["`roots`", "install its distribution", "`try/except ImportError`", '`optional = ["absent_a"]`']
    places = [hint.find(word) for word in [*words, '`cluster-provides = ["absent_a"]`']]
    assert min(places) >= 0
    assert places == sorted(places)


@pytest.mark.slow
@pytest.mark.parametrize("source", [STOPS, MAY_RUN], ids=["error", "warning"])
@pytest.mark.parametrize("remedy", [*CONFIGURATION, "install", "try", "ignore"])
def test_each_remedy_settles_the_error_and_the_warning(work: Workplace, source: str, remedy: str) -> None:
    tree(work.directory, {"job.py": source})
    assert work.raybundle("plan", "--strict", "job.py").returncode == 3
    environ = {}

    match remedy:
        case "install":
            place = work.directory / "venv"
            subprocess.run([sys.executable, "-m", "venv", "--without-pip", place], check=True)
            [site] = place.glob("lib/python3*/site-packages")
            install_wheel(site, make_wheel(work.directory.parent, "absent_a-1.0"))
            environ = {"RAYBUNDLE_PYTHON": str(place / "bin/python")}
        case "try":
            tried = "try:\n    import absent_a\nexcept ImportError:\n    absent_a = None\n"
            tree(work.directory, {"job.py": tried})
        case "ignore":
            ignored = source.replace("import absent_a", "import absent_a  # raybundle: ignore")
            tree(work.directory, {"job.py": ignored})
        case _:
            tree(work.directory, {"pyproject.toml": CONFIGURATION[remedy]})
    done = work.raybundle("plan", "--strict", "job.py", env=environ)

    assert done.returncode == 0, done.stderr
    assert "absent_a" not in done.stderr


@pytest.mark.slow
def test_the_settings_that_the_hint_of_an_error_lists_can_be_pasted(tmp_path: Path) -> None:
    work = make_workplace(tmp_path / "work")
    tree(work.directory, {"job.py": "import _absent_a\nimport Absent_B.core\nimport absent_c\n"})
    hint = work.raybundle("plan", "job.py").stderr.partition("hint: ")[2]
    optional, provided = (
        re.findall(rf"`({key} = \[[^]]*\])`", hint)[0] for key in ("optional", "cluster-provides")
    )

    tree(work.directory, {"pyproject.toml": f"[tool.raybundle]\n{provided}\n"})
    after = work.raybundle("plan", "job.py")
    tree(work.directory, {"pyproject.toml": f"[tool.raybundle]\n{optional}\n"})
    done = work.raybundle("plan", "--strict", "job.py")

    assert provided == 'cluster-provides = ["Absent_B", "absent_c"]'
    assert "cannot find `_absent_a`" in after.stderr
    assert "bsent_B" not in after.stderr + done.stderr
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("word", rest_slow(["absent a", "absent-a", "a..b", ""], 1))
def test_what_no_import_can_name_is_refused_in_optional(work: Workplace, word: str) -> None:
    tree(work.directory, {"job.py": "", "pyproject.toml": f'[tool.raybundle]\noptional = ["{word}"]\n'})

    done = work.raybundle("plan", "job.py")

    assert done.returncode == 2
    assert f"{word!r} in `optional`" in done.stderr


@pytest.mark.ray
@pytest.mark.parametrize(
    ("project", "target", "said"),
    [
        ("absent-in-a-function", "job.py", "ok"),
        ("config-names-a-neighbour", "main.py", "ok"),
        *(
            pytest.param(project, "job.py", said, marks=pytest.mark.wide)
            for project, said in [
                ("absent-behind-optional", "slow"),
                ("absent-in-a-guess", "cpu"),
                ("guards-of-absent-modules", "ok"),
                ("platform-in-a-variable", "linux"),
                ("comment-on-long-statements", "ok"),
            ]
        ),
    ],
)
def test_a_job_with_absent_imports_runs_as_here(
    embedded: Embedded, tmp_path: Path, project: str, target: str, said: str
) -> None:
    work = embedded.workplace(tmp_path / "work")
    shutil.copytree(PROJECTS / f"field/{project}", work.directory, dirs_exist_ok=True)
    here = work.command([sys.executable, target])

    done = work.raybundle("submit", target)

    assert (here.stdout, here.returncode) == (f"{said}\n", 0), here.stderr
    assert done.returncode == 0, done.stderr
    assert said in done.stdout.splitlines()


@pytest.mark.ray
def test_an_import_that_was_let_pass_and_runs_says_that_it_was_absent(
    embedded: Embedded, tmp_path: Path
) -> None:
    work = embedded.workplace(tmp_path / "work")
    shutil.copytree(PROJECTS / "field/absent-in-a-function", work.directory, dirs_exist_ok=True)

    done = work.raybundle("submit", "job.py", "use")

    assert done.returncode == 20, done.stderr
    assert "No module named 'absent_hub'" in done.stdout
    assert "resolved nowhere when bundle sha256:" in done.stdout


@pytest.mark.ray
def test_what_only_the_nodes_have_is_asked_of_them(embedded: Embedded, tmp_path: Path) -> None:
    """The nodes of the embedded cluster are this environment; the bundle is built for a bare one."""
    work = embedded.workplace(tmp_path / "work")
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", bare], check=True)
    source = "import iniconfig\nprint('HAS', iniconfig.__name__)\n"
    provides = '[tool.raybundle]\ncluster-provides = ["{}"]\n'
    tree(work.directory, {"job.py": source, "pyproject.toml": provides.format("iniconfig")})
    python = {"RAYBUNDLE_PYTHON": str(bare / "bin/python")}

    there = work.raybundle("submit", "job.py", env=python)
    tree(work.directory, {"job.py": STOPS, "pyproject.toml": provides.format("absent-a")})
    lacking = work.raybundle("submit", "job.py", env=python)

    assert there.returncode == 0, there.stderr
    assert "HAS iniconfig" in there.stdout
    assert lacking.returncode == 22, lacking.stderr
    assert "expected absent-a in any version, found none" in lacking.stderr + lacking.stdout


TRIES = b"""import importlib

def text():
    name = "".join(["ta", "bs"])
    try:
        return importlib.import_module(name).TEXT
    except ImportError:
        raise RuntimeError("no tables: `pip install own-tabs`") from None
"""


@pytest.mark.ray
def test_an_error_that_names_an_installed_distribution_gives_the_line_that_bundles_it(
    embedded: Embedded, tmp_path: Path
) -> None:
    lib = make_own_wheel(tmp_path, "lib", "1.0", {"lib.py": TRIES})
    tabs = make_own_wheel(tmp_path, "own_tabs", "2.0", {"tabs.py": b"TEXT = 'ran'\n"})
    environ = {"RAYBUNDLE_PYTHON": str(make_small_environment(tmp_path / "env", lib, tabs))}
    work = embedded.workplace(tmp_path / "work")
    project = tree(tmp_path / "project", {"job.py": "import lib\nprint('TEXT', lib.text())\n"})

    failed = work.raybundle("submit", "job.py", cwd=project, env=environ)
    hint = failed.stderr.partition("hint: own-tabs 2.0 is installed here and is not in the bundle: ")[2]
    tree(project, {"pyproject.toml": f"[tool.raybundle]\n{hint.split('`')[1]}\n"})
    done = work.raybundle("submit", "job.py", cwd=project, env=environ)

    assert failed.returncode == 20
    assert (done.returncode, "TEXT ran" in done.stdout) == (0, True), done.stderr
