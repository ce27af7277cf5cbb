"""Where Python's own order of files, entries and edits decides which file is the module."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from raybundle.cache.documents import Cache
from raybundle.errors import BundleError
from raybundle.model import Resolution, ScriptTarget
from raybundle.resolve.interpreter.describe import describe
from raybundle.resolve.missing.complete import require_complete
from raybundle.resolve.resolve import ResolveSettings, resolve
from tests.support.clocks import early, later
from tests.support.known import knowing
from tests.support.slow import rest_slow

if TYPE_CHECKING:
    from collections.abc import Callable


SHOW = "\nimport sys\nprint(sys.modules['m'].__file__)\n"


@pytest.fixture
def work(tmp_path: Path) -> Path:
    return tmp_path.resolve()


def tree(directory: Path, files: dict[str, str]) -> Path:
    for name, text in {"pyproject.toml": "", **files}.items():
        file = directory / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return directory


def resolved(
    script: Path, settings: ResolveSettings | None = None, python: Path | None = None, **environ: str
) -> Resolution:
    work = script.parent
    found = describe(python or Path(sys.executable), environ, work, knowing(work.parent / "cache"))
    cache = knowing(work.parent / "cache")
    resolution = resolve(ScriptTarget(script), settings or ResolveSettings(), found, work, cache)
    require_complete(resolution)
    return resolution


def file_of(resolution: Resolution, name: str) -> str:
    return next((str(each.file) for each in resolution.modules if each.name == name), "")


def loaded(script: Path, python: Path | None = None, **environ: str) -> str:
    done = subprocess.run(
        [python or sys.executable, script], env=environ, cwd=script.parent, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    return done.stdout.strip()


def test_an_extension_beats_its_source_whose_imports_count_all_the_same(work: Path) -> None:
    root = tree(work / "p", {"job.py": "import fast", "fast.py": "import helper", "helper.py": ""})
    (root / f"fast{EXTENSION_SUFFIXES[0]}").touch()
    resolution = resolved(root / "job.py")

    assert file_of(resolution, "fast").endswith(EXTENSION_SUFFIXES[0])
    assert file_of(resolution, "helper") == str(root / "helper.py")
    assert resolution.warnings == ()


def test_an_extension_without_source_has_imports_that_are_not_known(work: Path) -> None:
    root = tree(work / "p", {"job.py": "import fast"})
    (root / f"fast{EXTENSION_SUFFIXES[0]}").touch()

    assert [each.text for each in resolved(root / "job.py").warnings] == [
        "`fast` is an extension module: its imports are not known"
    ]


@pytest.mark.parametrize("index", range(5))
def test_an_edit_of_the_path_counts_the_places_that_python_counts(work: Path, index: int) -> None:
    script = f"import sys\nsys.path.insert({index}, 'lib')\nimport statistics as m\nprint(m.__file__)\n"
    root = tree(work / "p", {"job.py": script, "lib/statistics.py": ""})
    real = loaded(root / "job.py")
    resolution = resolved(root / "job.py")

    assert file_of(resolution, "statistics") == (real if real.startswith(str(root)) else "")


def test_declared_roots_do_not_shift_the_places_of_edits(work: Path) -> None:
    script = "import sys\nsys.path.insert(3, 'lib')\nimport statistics as m, other\n" + SHOW.replace(
        "'m'", "'statistics'"
    )
    root = tree(work / "p", {"job.py": script, "lib/statistics.py": "", "more/other.py": "", "other.py": ""})
    resolution = resolved(root / "job.py", ResolveSettings(roots=("more",)))

    assert "lib/statistics.py" not in loaded(root / "job.py")
    assert file_of(resolution, "statistics") == ""


@pytest.mark.parametrize("inner", ["", "/inner"])
def test_a_module_that_python_takes_from_an_archive_is_refused(work: Path, inner: str) -> None:
    root = tree(work / "p", {"job.py": f"import sys\nsys.path.insert(0, '{work}/z.zip{inner}')\nimport m"})
    (root / "m.py").touch()
    with zipfile.ZipFile(work / "z.zip", "w") as archive:
        archive.writestr(f"{inner}/m.py".lstrip("/"), "")
    (root / "optional.py").write_text("try:\n    import m\nexcept ImportError:\n    pass\n")

    assert "z.zip" in loaded_with(root / "job.py")
    with pytest.raises(BundleError, match=r"`m` is in the archive .*z\.zip"):
        resolved(root / "job.py")
    (root / "m.py").unlink()
    with pytest.raises(BundleError, match=r"`m` is in the archive .*z\.zip"):
        resolved(root / "optional.py", PYTHONPATH=f"{work}/z.zip{inner}")


def loaded_with(script: Path) -> str:
    again = script.with_name("again.py")
    again.write_text(script.read_text() + SHOW)
    return loaded(again)


@pytest.fixture
def venv(work: Path) -> Path:
    """The interpreter of an environment in which nothing is installed, made long ago."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", work / "venv"], check=True)
    return work / "venv/bin/python"


def site_packages(python: Path) -> Path:
    return next((python.parent.parent / "lib").glob("python*/site-packages"))


@pytest.mark.parametrize(
    "change", rest_slow(["directory", "user site", "sitecustomize", "finder", "variable"])
)
def test_a_kept_description_is_that_of_now(work: Path, venv: Path, change: str) -> None:
    cache = Cache(work / "cache", later)
    site = site_packages(venv)
    future, environ = work / "future", {"PYTHONUSERBASE": str(work / "user"), "ADDED": str(work)}
    (site / "a.pth").write_text(f"{future}\n" if change == "directory" else "")
    if change == "variable":
        (site / "b.pth").write_text("import os, sys; sys.path.append(os.environ['ADDED'])\n")
    if change == "finder":
        (site / "b.pth").write_text("import __editable___x_finder\n")
    code = site / {"finder": "__editable___x_finder.py"}.get(change, "sitecustomize.py")
    code.write_text("")
    text = (site.parent / "site-packages").as_posix()
    (venv.parent.parent / "pyvenv.cfg").write_text(
        (venv.parent.parent / "pyvenv.cfg").read_text().replace("false", "true")
    )
    before = describe(venv, environ, work, cache)
    assert before == describe(venv, environ, work, cache)

    if change == "directory":
        future.mkdir()
    elif change == "user site":
        (work / "user" / "lib" / site.parent.name / "site-packages").mkdir(parents=True)
    elif change == "variable":
        environ["ADDED"] = text
    else:
        code.write_text("import sys; sys.path.append(__file__)")
    after = describe(venv, environ, work, cache)

    assert after.path != before.path


@pytest.mark.parametrize(("variable", "asked"), [("TERM", False), ("COVERAGE_PROCESS_START", True)])
def test_an_environment_with_coverage_is_asked_again_only_if_that_starts(
    work: Path, venv: Path, variable: str, asked: bool
) -> None:
    shutil.copy(site_packages(Path(sys.executable)) / "a1_coverage.pth", site_packages(venv))
    answers = []
    for environ in ({}, {variable: "x"}):
        describe(venv, environ, work, Cache(work / "cache", later))
        answers.append({each.stat().st_ino for each in (work / "cache").glob("interpreters/*")})

    assert (answers[0] != answers[1]) is asked


@pytest.mark.parametrize(("clock", "kept"), [(early, 0), (later, 1)])
def test_a_description_of_what_was_changed_just_now_is_not_kept(
    work: Path, venv: Path, clock: Callable[[], int], kept: int
) -> None:
    describe(venv, {}, work, Cache(work / "cache", clock))

    assert len(list((work / "cache").glob("interpreters/*"))) == kept


def test_what_is_printed_at_the_end_of_a_process_is_no_part_of_its_description(
    work: Path, venv: Path
) -> None:
    (site_packages(venv) / "noisy.pth").write_text("import atexit; atexit.register(print, '{bye}')\n")

    assert describe(venv, {}, work, Cache(work / "cache")).version[:2] == sys.version_info[:2]


def test_a_directory_inside_site_packages_is_not_first_party(work: Path, venv: Path) -> None:
    inside = site_packages(venv) / "zzsub"
    inside.mkdir()
    (inside / "zzmod.py").touch()
    (site_packages(venv) / "zz.pth").write_text("zzsub\n")
    tree(site_packages(venv), {"zz-1.dist-info/RECORD": "zzsub/zzmod.py,,\n", "zz-1.dist-info/METADATA": ""})
    root = tree(work / "p", {"job.py": "import zzmod"})

    assert file_of(resolved(root / "job.py", python=venv), "zzmod") == ""
    assert os.fspath(inside) in describe(venv, {}, root, Cache(work / "cache")).site


def test_an_import_before_an_edit_that_would_change_it_is_refused(work: Path) -> None:
    edit = "sys.path.insert(0, 'lib')"
    files = {"m.py": "", "lib/m.py": "", "lib/n.py": "", "lib/statistics.py": ""}
    root = tree(work / "p", {**files, "job.py": f"import sys\nimport m\n{edit}\nimport n\n{SHOW}"})
    tree(root, {"std.py": f"import sys\nif True:\n    import statistics\n{edit}\n"})
    tree(root, {"fine.py": f"import sys, json\n{edit}\nimport m, n\n{SHOW}"})

    assert loaded(root / "job.py") == str(root / "m.py")
    with pytest.raises(BundleError, match=r"job\.py:2: `m` is .*/p/m\.py here, and .*/lib/m\.py .*:3"):
        resolved(root / "job.py")
    with pytest.raises(BundleError, match=r"std\.py:3: `statistics` is the standard library's here"):
        resolved(root / "std.py")
    assert file_of(resolved(root / "fine.py"), "m") == loaded(root / "fine.py")


def test_the_file_of_a_script_behind_a_link_is_the_link(work: Path) -> None:
    script = "import os, sys\nhere = os.path.dirname(os.path.abspath(__file__))\n"
    script += "sys.path.insert(0, here + '/lib')\nimport m\n"
    root = tree(work / "p", {"src/job.py": script + SHOW, "src/lib/m.py": "", "bin/lib/m.py": ""})
    (root / "bin/job.py").symlink_to("../src/job.py")
    resolution = resolved(root / "bin/job.py")

    assert file_of(resolution, "m") == loaded(root / "bin/job.py") == str(root / "bin/lib/m.py")
    assert ["job.py is a link, and edits" in each.text for each in resolution.warnings] == [True]
    assert resolved(root / "src/job.py").warnings == ()


def test_a_script_behind_a_link_that_resolves_its_file_is_the_same_on_a_node(work: Path) -> None:
    script = "import sys\nfrom pathlib import Path\nhere = Path(__file__).resolve().parent\n"
    script += "sys.path.insert(0, str(here / 'lib'))\nimport m\n"
    root = tree(work / "p", {"src/job.py": script + SHOW, "src/lib/m.py": ""})
    (root / "job.py").symlink_to("src/job.py")
    resolution = resolved(root / "job.py")

    assert file_of(resolution, "m") == loaded(root / "job.py") == str(root / "src/lib/m.py")
    assert resolution.warnings == ()


@pytest.mark.parametrize("way", ["pkgutil", "pkg_resources"])
def test_a_package_that_extends_its_path_has_modules_on_the_whole_path(work: Path, way: str) -> None:
    init = {
        "pkgutil": "__path__ = __import__('pkgutil').extend_path(__path__, __name__)\n",
        "pkg_resources": "try:\n    __import__('pkg_resources').declare_namespace(__name__)\n"
        "except ImportError:\n    __path__ = __import__('pkgutil').extend_path(__path__, __name__)\n",
    }[way]
    script = "import pk.a, pk.b, sys\nsys.modules['m'] = pk.b\n" + SHOW
    root = tree(work / "p", {"job.py": script, "pk/__init__.py": init, "pk/a.py": ""})
    other = tree(work / "other", {"pk/__init__.py": init, "pk/b.py": ""})
    resolution = resolved(root / "job.py", PYTHONPATH=str(other))

    assert file_of(resolution, "pk.b") == loaded(root / "job.py", PYTHONPATH=str(other))
    assert file_of(resolution, "pk.b") == str(other / "pk/b.py")
