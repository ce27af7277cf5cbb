from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from typing import TYPE_CHECKING

import pytest

from raybundle.errors import UsageError
from raybundle.resolve.resolve import ResolveSettings
from tests.integration.disk.resolve.test_resolve import run
from tests.support.bundled import Bundler
from tests.support.small_project import tree

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A directory whose real path is its name, as `sys.path` would have it."""
    return tmp_path.resolve()


def data_of(work: Path, settings: ResolveSettings | None = None) -> list[str]:
    """The data of `work/app/job.py`, relative to its project."""
    return [each.path.removeprefix("project/") for each in run(work / "app/job.py", settings).data]


def test_links_that_lead_back_end_also_in_a_package_behind_a_link(work: Path) -> None:
    tree(work / "app", {"job.py": "import pkg", "real/__init__.py": "", "real/data/x.csv": ""})
    (work / "app/pkg").symlink_to("real")
    (work / "app/real/data/loop").symlink_to(".")
    (work / "app/real/data/up").symlink_to("..")

    assert data_of(work) == ["pkg/data/x.csv"]


def test_two_folders_that_link_to_each_other_are_each_taken_once(work: Path) -> None:
    tree(work / "app", {"job.py": "import pkg", "pkg/__init__.py": "", "pkg/a/x": "", "pkg/b/y": ""})
    (work / "app/pkg/a/b").symlink_to("../b")
    (work / "app/pkg/b/a").symlink_to("../a")

    assert data_of(work) == ["pkg/a/b/y", "pkg/a/x", "pkg/b/a/x", "pkg/b/y"]


def test_a_link_to_a_folder_whose_name_starts_like_its_own_is_followed(work: Path) -> None:
    tree(work / "app", {"job.py": "import pkg", "pkg/__init__.py": "", "pkg/data/x": "", "pkg/data_v2/y": ""})
    (work / "app/pkg/data_v2/current").symlink_to("../data")

    assert data_of(work) == ["pkg/data/x", "pkg/data_v2/current/x", "pkg/data_v2/y"]


def test_include_follows_links_to_folders(work: Path) -> None:
    tree(work / "app", {"job.py": "", "data/v2/x.csv": ""})
    (work / "app/data/current").symlink_to("v2")
    (work / "app/data/v2/back").symlink_to("..")

    assert data_of(work, ResolveSettings(include=("data",))) == ["data/current/x.csv", "data/v2/x.csv"]


def test_data_of_a_namespace_package_travels_and_that_of_the_packages_in_it_does_not(work: Path) -> None:
    files = ["space/x.csv", "space/pages/x.html", "space/other/y.csv", "space/other/n.py", "space/venv/a.py"]
    tree(work / "app", {"job.py": "import space.m", "space/m.py": "", **dict.fromkeys(files, "")})

    assert data_of(work) == ["space/pages/x.html", "space/x.csv"]


def test_a_portion_that_holds_only_data_is_a_root_of_its_own(work: Path) -> None:
    tree(work / "app", {"job.py": "import space.m", "space/m.py": ""})
    tree(work / "lib", {"space/x.csv": ""})
    resolution = run(work / "app/job.py", PYTHONPATH=str(work / "lib"))

    assert [each.path for each in resolution.data] == ["root-1/space/x.csv"]
    assert resolution.path == ("project:.", "root:1", "stdlib", "ray")


def test_the_project_is_no_data_of_a_namespace_package_of_its_name(work: Path) -> None:
    tree(work / "app", {"job.py": "import app.m", "m.py": "", "notes.txt": ""})

    assert run(work / "app/job.py", PYTHONPATH=str(work)).data == ()


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a compiler")
def test_a_library_that_ctypes_loads_is_data_and_an_extension_module_is_not(work: Path) -> None:
    load = "import ctypes, os\nctypes.CDLL(os.path.join(os.path.dirname(__file__), 'libx.so'))"
    tree(work / "app", {"job.py": "import pkg", "pkg/__init__.py": load, "x.c": "int x;"})
    package = work / "app/pkg"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", package / "libx.so", work / "app/x.c"], check=True)
    (package / f"unused{sysconfig.get_config_var('EXT_SUFFIX')}").touch()
    subprocess.run([sys.executable, work / "app/job.py"], check=True)

    assert data_of(work) == ["pkg/libx.so"]


@pytest.mark.parametrize("pattern", ["", ".", "./", "a**b/["])
def test_an_include_that_is_no_pattern_is_named(work: Path, pattern: str) -> None:
    tree(work / "app", {"job.py": ""})
    if sys.version_info >= (3, 13) and "**" in pattern:
        pytest.skip("a pattern since Python 3.13")

    with pytest.raises(UsageError, match="in `include` is"):
        run(work / "app/job.py", ResolveSettings(include=(pattern,)))


def test_an_include_may_name_a_file_that_looks_like_a_pattern(work: Path) -> None:
    tree(work / "app", {"job.py": "", "data/a[1].csv": "", "data/a1.csv": ""})

    assert data_of(work, ResolveSettings(include=("data/a[1].csv",))) == ["data/a[1].csv"]


@pytest.mark.parametrize(
    "pattern", ["./pkg/a.csv", "/pkg/a.csv", "pkg/[ab].csv", "pkg/[!c].csv", "pkg/a.csv/"]
)
def test_an_exclude_may_start_at_the_project_and_have_character_classes(work: Path, pattern: str) -> None:
    files = {"job.py": "import pkg", "pkg/__init__.py": "", "pkg/a.csv": "", "pkg/c.csv": ""}
    tree(work / "app", files)

    assert data_of(work, ResolveSettings(exclude=(pattern,))) == ["pkg/c.csv"]


def test_an_exclude_may_name_a_file_that_looks_like_a_pattern(work: Path) -> None:
    tree(work / "app", {"job.py": "import pkg", "pkg/__init__.py": "", "pkg/[id].html": ""})

    assert data_of(work, ResolveSettings(exclude=("pkg/[id].html",))) == []


def test_a_text_of_examples_travels_with_the_package_that_has_it(work: Path) -> None:
    job = "import doctest\nprint(doctest.testfile('api.txt', package='pkg'))\n"
    files = {"job.py": job, "pkg/__init__.py": "", "pkg/api.txt": ">>> 3 + 4\n7\n"}
    bundler = Bundler(tree(work / "p", files), work)

    done = bundler.run()

    assert (done.returncode, done.stdout) == (0, "TestResults(failed=0, attempted=1)\n"), done.stderr
    [told] = bundler.told()
    assert "cannot know what `doctest.testfile('api.txt', package='pkg')` imports" in told
