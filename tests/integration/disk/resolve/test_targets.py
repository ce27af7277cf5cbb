"""What a real interpreter loads for each kind of target, and with which path, is what is resolved."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipapp
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from raybundle.bundle.collect import collect
from raybundle.bundle.manifest import make_manifest
from raybundle.cache.documents import Cache
from raybundle.cli.request import parse_command
from raybundle.cluster.runtime_env import render_entrypoint
from raybundle.errors import BundleError, UsageError
from raybundle.resolve.driver.project import project_of
from raybundle.resolve.interpreter.describe import describe
from raybundle.resolve.missing.complete import require_complete
from raybundle.resolve.resolve import ResolveSettings, resolve
from tests.support.booting import Unpacked, find_base, make_interpreter, unpack_bundle
from tests.support.known import knowing

if TYPE_CHECKING:
    from raybundle.model import Interpreter, Resolution

SHOW = """
import json, os, sys
files = {name: getattr(module, "__file__", None) or "" for name, module in list(sys.modules.items())}
print(json.dumps({
    "path": sys.path, "modules": {n: f for n, f in files.items() if f.startswith(os.environ["PROJECT"])},
    "spec": __spec__ and __spec__.name, "package": __package__, "file": __file__, "argv": sys.argv,
}))
"""
OPTIONAL = "try:\n    import beside\nexcept ImportError:\n    pass\n"
"""Imports a module that is beside a script, and there only if Python looks there."""
FILES = {
    "pyproject.toml": '[project]\nname = "p"\n[project.scripts]\nmy-tool = "tool.main:Tool.run"\n',
    "jobs/job.py": OPTIONAL + "import far\n" + SHOW,
    "jobs/beside.py": "",
    "lib/far.py": "",
    "pkg/__init__.py": "",
    "pkg/inner.py": "",
    "pkg/__main__.py": "from . import inner\n" + SHOW,
    "pkg/other.py": "from pkg import inner\n" + SHOW,
    "app/__main__.py": "import beside_app\n" + SHOW,
    "app/beside_app.py": "",
    "lib/tool/__init__.py": "",
    "lib/tool/main.py": "class Tool:\n    @staticmethod\n    def run():\n"
    "        import __main__\n        exec(SHOW, vars(__main__))\n        return 3\n\n"
    f"SHOW = {SHOW!r}\n",
    "lib/onpath.py": OPTIONAL + SHOW,
}


def written(directory: Path, files: dict[str, str]) -> Path:
    for name, text in {"pyproject.toml": "", **files}.items():
        file = directory / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return directory


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return written(tmp_path.resolve() / "p", FILES)


def environment(project: Path, **more: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "PROJECT": str(project), "PYTHONPATH": str(project / "lib"), **more}


def resolved(
    words: list[str], cwd: Path, python: Path | None = None, environ: dict[str, str] | None = None
) -> Resolution:
    target = parse_command(words).target
    cache = cwd.parent / "cache"
    found = describe(
        python or Path(sys.executable), environ or environment(cwd), cwd, knowing(cache), target.options
    )
    return _resolved(words, cwd, found, cache)


def _resolved(words: list[str], cwd: Path, found: Interpreter, cache: Path) -> Resolution:
    target = parse_command(words).target
    settings = ResolveSettings(project=project_of(target, cwd))
    resolution = resolve(target, settings, found, cwd, knowing(cache))
    require_complete(resolution)
    return resolution


def real(python: Path, words: list[str], cwd: Path, environ: dict[str, str]) -> dict[str, Any]:
    done = subprocess.run(
        [python, *words], cwd=cwd, env=environ, capture_output=True, text=True, check=False, timeout=60
    )
    shown: dict[str, Any] = json.loads(done.stdout)
    return shown


def python_of(version: str) -> Path:
    return Path(find_base(version) or pytest.skip(f"no Python {version} here"))


@pytest.mark.parametrize("version", ["3.10", "3.11", "3.13"])
@pytest.mark.parametrize(
    ("words", "safe"),
    [
        (["jobs/job.py"], False),
        (["-P", "jobs/job.py"], True),
        (["app"], False),
        (["-P", "app"], True),
        (["-um", "pkg"], False),
        (["-m", "pkg.other"], False),
        (["-Ps", "-m", "onpath"], True),
        (["jobs/job.py"], True),
    ],
    ids=str,
)
def test_modules_and_path_are_those_of_a_real_interpreter(
    project: Path, monkeypatch: pytest.MonkeyPatch, version: str, words: list[str], safe: bool
) -> None:
    python = python_of(version)
    if "P" in words[0] and version == "3.10":
        pytest.skip("Python 3.10 has no -P")
    monkeypatch.chdir(project)
    more = {"PYTHONSAFEPATH": "1"} if safe and "P" not in words[0] else {}
    environ = environment(project, **more)
    shown = real(python, words, project, environ)

    resolution = resolved(["--", "python", *words], project, python, environ)

    modules = {each.name: str(each.file) for each in resolution.modules if each.file}
    loaded = shown["modules"]
    if words[-2:][0].endswith("m"):
        [driver] = [name for name, file in modules.items() if file == loaded["__main__"]]
        loaded[driver] = loaded.pop("__main__")
    assert modules == loaded
    directories = {root.symbol: str(root.directory) for root in resolution.roots}
    ours = [directories[symbol] for symbol in resolution.path if symbol in directories]
    assert ours == [entry for entry in shown["path"] if entry in ours]


def test_on_python_3_10_a_script_cannot_be_isolated_on_the_nodes(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    (project / "jobs/job.py").write_text(SHOW)

    with pytest.raises(BundleError, match=r"Python 3\.10 on the nodes has no option"):
        resolved(["--", "python", "-I", "jobs/job.py"], project, python_of("3.10"))
    resolution = resolved(["--", "python", "-I", "jobs/job.py"], project, python_of("3.11"))
    assert resolution.path == ("stdlib", "ray")


def test_e_and_i_leave_out_pythonpath_and_their_answer_is_kept_apart(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)

    assert resolved(["jobs/job.py"], project).path == ("project:jobs", "project:lib", "stdlib", "ray")
    for options in ("-E", "-I", "-sE"):
        with pytest.raises(BundleError, match="cannot find `far`"):
            resolved(["--", "python", options, "jobs/job.py"], project)


@pytest.fixture(scope="module", params=["3.10", "3.13"])
def node_python(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter of the oldest and the newest version, with a `ray` to link to."""
    return make_interpreter(tmp_path_factory.mktemp("python") / "env", str(python_of(request.param)))


def bundled(resolution: Resolution, directory: Path) -> tuple[Unpacked, str]:
    """The bundle on a node, and the shell line that the supervisor runs there."""
    files = collect(resolution, Cache(directory / "cache"))
    manifest = make_manifest(resolution, files)
    return unpack_bundle(directory, manifest, files), render_entrypoint(manifest, ["a b"])


def on_node(python: Path, node: Unpacked, entrypoint: str) -> subprocess.CompletedProcess[str]:
    node.run(python, "-c", "")  # the supervisor: its boot makes the tree
    found = {"RAYBUNDLE_PYTHON": str(python), "RAYBUNDLE_TREE": str(node.tree), "PROJECT": str(node.tree)}
    return node.run(Path("/bin/sh"), "-c", entrypoint, env={**found, "RAY_JOB_CONFIG_JSON_ENV_VAR": "{}"})


NOTEBOOK = {
    "nbformat": 4,
    "metadata": {"language_info": {"name": "python"}},
    "cells": [
        {"cell_type": "markdown", "source": ["# a title\n", "import nowhere"]},
        {"cell_type": "code", "source": ["%load_ext autoreload\n", "import beside\n", "import far"]},
        {"cell_type": "code", "source": ["%%bash\n", "import nowhere"]},
        {"cell_type": "code", "source": SHOW},
    ],
}


@pytest.mark.parametrize(
    ("words", "modules", "path", "name"),
    [
        (["jobs/job.py"], {"__main__", "beside", "far"}, ["jobs", "lib"], "job.py"),
        (["--", "python", "-P", "jobs/job.py"], {"__main__", "far"}, ["lib"], "job.py"),
        (["app"], {"__main__", "beside_app"}, ["app"], "__main__.py"),
        (["my-tool"], {"__main__", "tool", "tool.main"}, [".raybundle/bin", "lib"], "my-tool"),
        (["jobs/note.ipynb"], {"__main__", "beside", "far"}, ["jobs", "lib"], "note.ipynb.py"),
        (["-m", "pkg"], {"__main__", "pkg", "pkg.inner"}, ["."], "__main__.py"),
    ],
    ids=str,
)
def test_a_driver_on_a_node_has_the_path_that_was_resolved(  # noqa: PLR0917 - a table
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    node_python: Path,
    words: list[str],
    modules: set[str],
    path: list[str],
    name: str,
) -> None:
    (project / "jobs/note.ipynb").write_text(json.dumps(NOTEBOOK, indent=1))
    monkeypatch.chdir(project)
    if "-P" in words and "3.10" in str(next((node_python.parent.parent / "lib").iterdir())):
        pytest.skip("Python 3.10 has no -P")

    node, entrypoint = bundled(resolved(words, project, node_python), project.parent)
    done = on_node(node_python, node, entrypoint)

    assert done.returncode == (3 if words == ["my-tool"] else 0), done.stderr
    shown = json.loads(done.stdout)
    assert set(shown["modules"]) == modules
    tree = f"{node.tree}/project"
    assert [each for each in shown["path"] if each.startswith(tree)] == [
        tree if each == "." else f"{tree}/{each}" for each in path
    ]
    assert Path(shown["argv"][0]).name == name
    assert shown["argv"][1:] == ["a b"]


def test_a_console_script_of_an_editable_install_is_that_of_its_entry_points(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = project.parent / "venv/bin/python"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", python.parent.parent], check=True)
    [site] = python.parent.parent.glob("lib/python*/site-packages")
    metadata = written(
        site / "p-1.dist-info",
        {
            "entry_points.txt": "[console_scripts]\nother-tool = pkg.cli:main [extra]\n",
            "direct_url.json": json.dumps({"url": project.as_uri(), "dir_info": {"editable": True}}),
        },
    )
    (site / "p.pth").write_text(f"{project}\n")
    (project / "pkg/cli.py").write_text("from . import inner\ndef main(): ...\n")
    monkeypatch.chdir(project)
    resolution = resolved(["other-tool"], project, python, {})

    assert [each.name for each in resolution.modules] == ["__main__", "pkg", "pkg.cli", "pkg.inner"]
    assert [(each.file, each.line) for each in resolution.edges if each.importer == "__main__"] == [
        (metadata / "entry_points.txt", 2)
    ] * 2


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere", "the target nowhere does not exist: it is no file, no directory with a"),
        ("jobs/nowhere", "the target jobs/nowhere does not exist"),
        ("jobs", "the target jobs does not exist: it is no file"),
        ("./jobs", "the target ./jobs is a directory without `__main__.py`"),
        ("app.pyz", "the target app.pyz is an archive, which cannot travel"),
        ("old.pyc", "the target old.pyc is byte-code without source"),
        ("bad-tool", r"pyproject\.toml:5: the script bad-tool is 'tool', and not `module:function`"),
    ],
)
def test_a_target_that_cannot_be_run_from_a_bundle_is_refused(
    project: Path, monkeypatch: pytest.MonkeyPatch, name: str, message: str
) -> None:
    zipapp.create_archive(project / "app", project / "app.pyz", interpreter="/usr/bin/env python3")
    (project / "old.pyc").touch()
    with (project / "pyproject.toml").open("a") as file:
        file.write('bad-tool = "tool"\n')
    monkeypatch.chdir(project)

    with pytest.raises(UsageError, match=message):
        resolved([name], project)


def test_options_that_a_job_goes_without_are_warnings(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    resolution = resolved(["--", "python", "-u", "-W", "error", "-Xdev", "app"], project)

    assert [each.text for each in resolution.warnings] == [
        "the job's driver runs without the option `-Werror` of Python",
        "the job's driver runs without the option `-Xdev` of Python",
    ]


def test_a_script_that_is_safe_and_not_first_on_the_path_is_a_warning(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python_of("3.11")
    monkeypatch.chdir(project)
    environ = environment(project, PYTHONPATH=f"{project}/lib:{project}/jobs")
    resolution = resolved(["--", "python", "-P", "jobs/job.py"], project, python_of("3.11"), environ)

    assert resolution.path == ("project:lib", "project:jobs", "stdlib", "ray")
    assert ["and on the nodes it comes first" in each.text for each in resolution.warnings] == [True]
