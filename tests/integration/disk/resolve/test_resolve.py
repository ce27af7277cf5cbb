from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from raybundle.errors import BundleError, RaybundleError, RefusedFileError, UnresolvedImportError, UsageError
from raybundle.explain.chains import shortest_chain_to
from raybundle.model import ModuleName, ModuleTarget, Resolution, ScriptTarget
from raybundle.resolve.interpreter.describe import describe
from raybundle.resolve.missing.complete import require_complete
from raybundle.resolve.resolve import ResolveSettings, resolve
from tests.support.clocks import early, later
from tests.support.known import knowing
from tests.support.small_project import interpreter, tree

if TYPE_CHECKING:
    from collections.abc import Callable

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


def project(name: str, work: Path) -> Path:
    return Path(shutil.copytree(PROJECTS / name, work / name))


def run(
    script: Path,
    settings: ResolveSettings | None = None,
    clock: Callable[[], int] = time.time_ns,
    **environ: str,
) -> Resolution:
    work = script.parent
    while not (work / "pyproject.toml").exists():
        work = work.parent
    found = interpreter(work.parent, **environ)
    kept = knowing(work.parent / "cache", clock)
    return resolve(ScriptTarget(script), settings or ResolveSettings(), found, work, kept)


def names(resolution: Resolution) -> set[str]:
    return {str(module.name) for module in resolution.modules}


def found_by(resolution: Resolution) -> dict[str, str]:
    return {module.name: module.found_by for module in resolution.modules}


def test_a_script_takes_its_siblings_and_nothing_else(work: Path) -> None:
    resolution = run(project("sibling", work) / "jobs/job.py")

    assert [(each.name, each.path) for each in resolution.modules] == [
        ("__main__", "project/jobs/job.py"),
        ("late", "project/jobs/late.py"),
        ("sibling", "project/jobs/sibling.py"),
    ]
    assert resolution.path == ("project:jobs", "stdlib", "ray")


def test_edits_at_the_top_of_the_driver_make_roots_in_python_s_order(work: Path) -> None:
    resolution = run(project("two_roots", work) / "jobs/job.py")

    assert resolution.path == ("project:src", "project:jobs", "stdlib", "project:lib", "ray")
    assert resolution.warnings == ()


def test_a_namespace_package_spans_two_roots(work: Path) -> None:
    resolution = run(project("two_roots", work) / "jobs/job.py")
    roots = {module.name: module.root for module in resolution.modules}

    assert (roots[ModuleName("shared.left")], roots[ModuleName("shared.right")]) == (
        "project:src",
        "project:lib",
    )


def test_relative_imports_take_every_ancestor(work: Path) -> None:
    resolution = run(project("two_roots", work) / "jobs/job.py")

    assert {"features", "features.rules", "features.deep", "features.deep.down"} <= names(resolution)
    assert "features.unused" not in names(resolution)


def test_data_of_a_reached_package_travels_and_that_of_others_does_not(work: Path) -> None:
    resolution = run(project("package_data", work) / "job.py")

    assert [each.path for each in resolution.data] == [
        "project/model/templates/page.html",
        "project/model/weights.csv",
        "project/plugins/namespace_data.txt",
    ]


def test_include_takes_files_and_declares_modules(work: Path) -> None:
    settings = ResolveSettings(include=("config",))
    resolution = run(project("package_data", work) / "job.py", settings)

    assert "project/config/settings.toml" in [each.path for each in resolution.data]
    assert found_by(resolution)["config.extra"] == "declared"


def test_exclude_drops_data_but_never_an_imported_module(work: Path) -> None:
    settings = ResolveSettings(exclude=("model", "plugins"))
    resolution = run(project("package_data", work) / "job.py", settings)

    assert resolution.data == ()
    assert "model" in names(resolution)


def test_an_include_that_matches_nothing_is_a_warning(work: Path) -> None:
    resolution = run(project("sibling", work) / "jobs/job.py", ResolveSettings(include=("nowhere/*",)))

    assert [each.text for each in resolution.warnings] == ["`nowhere/*` in `include` matches no file"]


def test_guards_widening_and_doubt_each_show_how_a_module_was_found(work: Path) -> None:
    resolution = run(project("guards", work) / "job.py")

    assert found_by(resolution) == {
        "__main__": "static",
        "app": "static",
        "app.literal": "literal",
        "app.reached": "static",
        "app.slow": "static",
        "app.star": "static",
        "app.star.exported": "static",
        "app.steps": "prefix",
        "app.steps.one": "prefix",
        "app.steps.two": "prefix",
    }
    assert [(each.text, each.line) for each in resolution.warnings] == [
        ("cannot know what `import_module(name)` imports", 23)
    ]
    require_complete(resolution)


def test_all_missing_imports_are_reported_at_once_with_their_places(work: Path) -> None:
    source = "import gone.far\nfrom pkg import sub\nfrom .up import x\n"
    root = tree(work / "p", {"jobs/job.py": source, "jobs/pkg/other.py": ""})
    resolution = run(root / "jobs/job.py")

    with pytest.raises(UnresolvedImportError) as caught:
        require_complete(resolution)
    assert str(caught.value).splitlines() == [
        "cannot find `gone.far`, imported at jobs/job.py:1",
        "cannot find `pkg.sub`, imported at jobs/job.py:2",
        "cannot find `.up`, imported at jobs/job.py:3",
    ]


def test_a_fallback_is_required_when_what_it_stands_in_for_is_missing(work: Path) -> None:
    source = "try:\n  import gone\nexcept ImportError:\n  import gone_too\n"
    resolution = run(tree(work / "p", {"job.py": source}) / "job.py")

    assert [each.name for each in resolution.missing] == ["gone_too"]


def test_a_fallback_is_not_required_when_what_it_stands_in_for_is_there(work: Path) -> None:
    source = "try:\n  import here\nexcept ImportError:\n  import gone\n"
    resolution = run(tree(work / "p", {"job.py": source, "here.py": ""}) / "job.py")

    assert resolution.missing == ()


def test_a_member_of_a_third_party_namespace_that_is_not_installed_is_missing(
    work: Path, bare_venv: Path
) -> None:
    (next((work / "venv/lib").glob("python*")) / "site-packages/google/cloud").mkdir(parents=True)
    root = tree(work / "p", {"job.py": "from google.cloud import storage"})
    found = describe(bare_venv, {}, work, knowing(work / "cache"))
    resolution = resolve(
        ScriptTarget(root / "job.py"), ResolveSettings(), found, root, knowing(work / "cache")
    )

    assert [each.name for each in resolution.missing] == ["google.cloud.storage"]


def test_declared_roots_come_right_after_the_script_s_directory(work: Path) -> None:
    files = {"jobs/job.py": "import a", "src/a.py": "", "ext/a.py": ""}
    root = tree(work / "p", files)
    resolution = run(root / "jobs/job.py", ResolveSettings(roots=("src",)), PYTHONPATH=str(root / "ext"))

    assert resolution.path == ("project:jobs", "project:src", "stdlib", "ray")
    assert [each.text for each in resolution.warnings] == [
        f"`a` is {root}/src/a.py, which hides {root}/ext/a.py"
    ]


def test_a_declared_root_that_is_no_directory_is_an_error(work: Path) -> None:
    root = tree(work / "p", {"job.py": ""})

    with pytest.raises(UsageError, match="`src` in `roots`"):
        run(root / "job.py", ResolveSettings(roots=("src",)))


def test_roots_outside_the_project_are_numbered_by_the_path_and_hold_something(work: Path) -> None:
    root = tree(work / "p", {"job.py": "import b\nimport a\nimport inner"})
    tree(work / "x", {"a.py": "", "sub/inner.py": ""})
    tree(work / "y", {"b.py": ""})
    tree(work / "empty", {})
    path = os.pathsep.join(str(work / each) for each in ("empty", "y", "x/sub", "x"))
    resolution = run(root / "job.py", PYTHONPATH=path)

    assert resolution.path == ("project:.", "root:1", "root:2:sub", "root:2", "stdlib", "ray")
    assert [each.path for each in resolution.modules] == [
        "project/job.py",
        "root-2/a.py",
        "root-1/b.py",
        "root-2/sub/inner.py",
    ]


@pytest.mark.parametrize(("name", "driver"), [("pkg", "pkg.__main__"), ("pkg.tool", "pkg.tool")])
def test_a_module_target_starts_from_the_current_directory(work: Path, name: str, driver: str) -> None:
    files = {
        "pkg/__init__.py": "",
        "pkg/__main__.py": "from . import tool",
        "pkg/tool.py": "from . import deep",
    }
    root = tree(work / "p", {**files, "pkg/deep.py": ""})
    target = ModuleTarget(ModuleName(name))
    resolution = resolve(target, ResolveSettings(), interpreter(work), root, knowing(work / "cache"))

    assert {driver, "pkg", "pkg.deep"} <= names(resolution)
    assert shortest_chain_to(resolution, {"pkg.deep"})[-1].importer == "pkg.tool"


@pytest.mark.parametrize("name", ["nowhere", "json.tool", "pytest"])
def test_a_module_target_that_is_not_first_party_is_refused(work: Path, name: str) -> None:
    root = tree(work / "p", {"job.py": ""})
    target = ModuleTarget(ModuleName(name))

    with pytest.raises(RaybundleError, match=f"`-m {name}` is not a module of this project"):
        resolve(target, ResolveSettings(), interpreter(work), root, knowing(work / "cache"))


def test_a_sitecustomize_of_the_path_travels_and_one_beside_the_script_does_not(work: Path) -> None:
    root = tree(work / "p", {"job.py": "", "sitecustomize.py": "", "lib/usercustomize.py": ""})
    resolution = run(root / "job.py", PYTHONPATH=str(root / "lib"))

    assert names(resolution) == {"__main__", "usercustomize"}


@pytest.mark.parametrize("name", ["psutil", "setup_worker", "click"])
def test_a_module_that_would_shadow_one_of_ray_is_refused(work: Path, name: str) -> None:
    root = tree(work / "p", {"job.py": f"import {name}", f"{name}.py": ""})

    with pytest.raises(BundleError, match=f"{name}.py would be imported in place of"):
        run(root / "job.py")


def test_a_script_named_ray_is_refused(work: Path) -> None:
    with pytest.raises(BundleError, match=r"ray\.py would be imported in place of"):
        run(tree(work / "p", {"ray.py": "import ray"}) / "ray.py")


def test_a_link_to_a_file_inside_the_project_travels(work: Path) -> None:
    root = tree(work / "p", {"job.py": "import a", "real/b.py": ""})
    (root / "a.py").symlink_to(root / "real/b.py")

    assert names(run(root / "job.py")) == {"__main__", "a"}


@pytest.mark.parametrize("link", ["a.py", "pkg"])
def test_a_link_that_leads_out_of_every_root_is_refused(work: Path, link: str) -> None:
    tree(work / "x", {"a.py": "", "pkg/__init__.py": ""})
    root = tree(work / "p", {"job.py": "import a" if link == "a.py" else "import pkg"})
    (root / link).symlink_to(work / "x" / link)

    with pytest.raises(RefusedFileError, match="symbolic links lead out"):
        run(root / "job.py")


def test_an_archive_on_the_path_is_an_error_only_if_a_module_of_it_is_needed(work: Path) -> None:
    root = tree(work / "p", {"job.py": "", "needs.py": "import packed.module"})
    with zipfile.ZipFile(work / "lib.zip", "w") as archive:
        archive.writestr("packed/module.py", "")
    unneeded = run(root / "job.py", PYTHONPATH=str(work / "lib.zip"))

    assert [each.file for each in unneeded.warnings] == [work / "lib.zip"]
    with pytest.raises(BundleError, match=r"`packed` is in the archive .*lib\.zip"):
        run(root / "needs.py", PYTHONPATH=str(work / "lib.zip"))


def test_an_imported_file_that_cannot_be_read_is_refused(work: Path) -> None:
    root = tree(work / "p", {"job.py": "import a"})
    (root / "a.py").symlink_to("/proc/self/mem")  # not even root can read its first byte

    with pytest.raises(RefusedFileError, match=r"a\.py is imported but cannot be read"):
        run(root / "job.py")


def test_sockets_and_pipes_beside_a_package_are_skipped(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tree(work / "p", {"job.py": "import pkg", "pkg/__init__.py": ""})
    os.mkfifo(root / "pkg/pipe")
    monkeypatch.chdir(root / "pkg")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")

        assert run(root / "job.py").data == ()


def test_paths_that_differ_only_in_case_are_refused(work: Path) -> None:
    root = tree(work / "p", {"job.py": "import pkg", "pkg/__init__.py": "", "pkg/a.txt": "", "pkg/A.txt": ""})

    with pytest.raises(RefusedFileError, match=r"`project/pkg/A\.txt` and `project/pkg/a\.txt`"):
        run(root / "job.py")


def test_large_package_data_is_left_out_with_a_warning_unless_included(work: Path) -> None:
    root = tree(work / "p", {"job.py": "import pkg", "pkg/__init__.py": ""})
    with (root / "pkg/big.bin").open("wb") as file:
        file.truncate(10 * 1024 * 1024 + 1)
    left_out = run(root / "job.py")
    taken = run(root / "job.py", ResolveSettings(include=("pkg/*.bin",)))

    assert [each.file for each in left_out.warnings] == [root / "pkg/big.bin"]
    assert [each.path for each in taken.data] == ["project/pkg/big.bin"]


def test_a_third_party_import_names_its_distribution_by_record(work: Path) -> None:
    root = tree(work / "p", {"job.py": "import hypothesis.strategies\nimport _pytest\n"})
    owners = {each.name: each.modules for each in run(root / "job.py").distributions if each.modules}

    assert owners == {"hypothesis": ("hypothesis", "hypothesis.strategies"), "pytest": ("_pytest",)}


def test_what_ray_requires_is_provided_by_ray_where_nothing_travels(work: Path) -> None:
    if find_spec("ray") is None:
        pytest.skip("Ray is not installed")
    root = tree(work / "p", {"job.py": "import click\nimport hypothesis\n"})
    resolution = run(root / "job.py", ResolveSettings(dependencies="cluster"))
    provided = {each.name: each.provided_by for each in resolution.distributions}

    assert (provided["click"], provided["hypothesis"]) == ("ray", "cluster")
    assert "layers" not in resolution.path


def test_ray_need_not_be_installed_where_the_bundle_is_built(work: Path, bare_venv: Path) -> None:
    root = tree(work / "p", {"job.py": "import ray.data\nimport pandas\n"})
    found = describe(bare_venv, {}, work, knowing(work / "cache"))
    resolution = resolve(
        ScriptTarget(root / "job.py"), ResolveSettings(), found, root, knowing(work / "cache")
    )

    assert [each.name for each in resolution.missing] == ["pandas"]


def test_a_changed_file_and_a_new_shadowing_file_are_noticed(work: Path) -> None:
    root = tree(work / "p", {"jobs/job.py": "import a", "src/a.py": "", "src/b.py": ""})
    settings = ResolveSettings(roots=("src",))
    before = run(root / "jobs/job.py", settings)
    (root / "src/a.py").write_text("import b")
    (root / "jobs/b.py").write_text("")
    after = run(root / "jobs/job.py", settings)

    assert names(before) == {"__main__", "a"}
    assert [each.path for each in after.modules if each.name == "b"] == ["project/jobs/b.py"]


@pytest.mark.parametrize("clock", [early, later])
def test_a_change_that_keeps_size_and_time_is_noticed(work: Path, clock: Callable[[], int]) -> None:
    root = tree(work / "p", {"job.py": "import a", "a.py": "", "b.py": ""})
    os.utime(root / "job.py", (1, 1))
    run(root / "job.py", clock=clock)
    (root / "job.py").write_text("import b")
    os.utime(root / "job.py", (1, 1))

    assert names(run(root / "job.py", clock=clock)) == {"__main__", "b"}


def test_a_damaged_cache_is_an_empty_one(work: Path) -> None:
    root = project("guards", work)
    before = run(root / "job.py")
    for file in (work / "cache").glob("*/*"):
        file.write_bytes(file.read_bytes()[:-40] + b"]")

    assert run(root / "job.py") == before


def test_a_warm_answer_is_the_cold_one(work: Path) -> None:
    root = project("two_roots", work)
    cold = run(root / "jobs/job.py")
    for file in root.rglob("*.py"):
        os.utime(file, (1_000_000_000, 1_000_000_000))
    aged = run(root / "jobs/job.py")

    assert cold == aged == run(root / "jobs/job.py")


def test_the_shortest_chain_leads_from_the_driver(work: Path) -> None:
    resolution = run(project("two_roots", work) / "jobs/job.py")
    chain = shortest_chain_to(resolution, {"features.rules"})

    assert [(each.importer, each.imported, each.line) for each in chain] == [
        ("__main__", "features.clean", 7),
        ("features.clean", "features.rules", 1),
    ]
