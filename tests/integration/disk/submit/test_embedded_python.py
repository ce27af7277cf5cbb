"""The embedded cluster runs on one Python of this machine; a bundle for another is refused at once."""

from __future__ import annotations

import json
import os
import sys
import sysconfig
from dataclasses import replace
from pathlib import Path

import pytest

from raybundle.bundle.values import PythonTag
from raybundle.cli.main import main
from raybundle.cluster.embedded import cluster
from raybundle.cluster.embedded.processes import find_process
from raybundle.cluster.embedded.record import LocalCluster, state_directory, write_record
from raybundle.config import load_settings, project_source
from raybundle.errors import BundleError, ClusterError
from raybundle.model import ScriptTarget
from raybundle.planning import plan
from raybundle.request import Request, prepare
from raybundle.submission.destination import find_embedded, require_embedded_for
from tests.support.booting import find_base
from tests.support.slow import rest_slow
from tests.support.small_project import tree

HERE = "{}.{}".format(*sys.version_info)
OTHER = "3.12" if HERE != "3.12" else "3.11"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose user has our environment, and no cluster."""
    for name in ("RAYBUNDLE_ADDRESS", "RAY_API_SERVER_ADDRESS", "RAY_ADDRESS", "RAYBUNDLE_STORE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in (("LOCAL_STATE", "state"), ("STORE", "store")):
        monkeypatch.setenv(f"RAYBUNDLE_{name}", str(tmp_path / value))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("VIRTUAL_ENV", sys.prefix)
    native = f"fast.cpython-{HERE.replace('.', '')}-s390x-linux-gnu.so"
    directory = tree(tmp_path / "project", {"job.py": "pass", "native_job.py": "import fast", native: ""})
    monkeypatch.chdir(directory)
    return directory


def pretend_running(python: str) -> None:
    """Records a cluster of this interpreter whose leader lives."""
    ours = find_process(os.getpid())
    assert ours is not None
    state_directory()
    write_record(LocalCluster("http://127.0.0.1:1", python, "2.60.0", "/nowhere", (ours,)))


def request(project: Path, **settings: str) -> Request:
    found = load_settings(settings, {}, project)
    return Request(ScriptTarget(project / "job.py"), found, project, project, os.environ)


@pytest.mark.parametrize(
    ("setting", "job", "wanted"),
    rest_slow(
        [
            (("--python", OTHER), "job.py", f"Python {OTHER} on"),
            (("--platform", "linux-s390x"), "native_job.py", "on linux-s390x"),
        ],
        1,
    ),
)
def test_what_the_embedded_cluster_cannot_run_is_refused_before_it_is_stored(
    project: Path, setting: tuple[str, ...], job: str, wanted: str, capfd: pytest.CaptureFixture[str]
) -> None:
    code = main(["submit", *setting, job])

    said = capfd.readouterr().err
    assert (code, (project.parent / "store").exists()) == (3, False)
    assert f"the embedded cluster runs Python {HERE} on" in said
    assert wanted in said
    assert f"without `{setting[0]}`" in said


@pytest.mark.slow
def test_what_the_embedded_cluster_runs_is_not_refused(project: Path) -> None:
    find_embedded(prepare(request(project))).require_python()
    find_embedded(prepare(request(project, python=HERE, platform="x86_64-manylinux_2_17"))).require_python()


@pytest.mark.slow
def test_another_platform_counts_only_for_a_bundle_with_native_files(project: Path) -> None:
    pure = prepare(request(project, platform="linux-s390x"))
    embedded = find_embedded(pure)

    embedded.require_python()
    embedded.require_platform(plan(pure).manifest.python)


@pytest.mark.slow
def test_a_setting_that_the_embedded_cluster_does_not_fulfil_is_named_with_its_file(project: Path) -> None:
    (project / "pyproject.toml").write_text('[tool.raybundle]\nplatform = "linux-s390x"\n')
    native = prepare(replace(request(project), target=ScriptTarget(project / "native_job.py")))

    with pytest.raises(BundleError, match=r"for Python .* on linux-s390x") as caught:
        find_embedded(native).require_platform(plan(native).manifest.python)

    assert str(caught.value.hint).endswith(f"without `platform` in {project_source(project)}")


def test_a_cluster_that_runs_on_another_python_than_the_environment_is_named(project: Path) -> None:
    other = find_base(OTHER) or pytest.skip(f"no Python {OTHER} here")
    pretend_running(other)

    with pytest.raises(BundleError, match=f"runs Python {OTHER} on .*{other}.* for Python {HERE}") as caught:
        find_embedded(prepare(request(project))).require_python()

    assert "raybundle local down" in str(caught.value.hint)


@pytest.mark.slow
@pytest.mark.usefixtures("project")
def test_a_bundle_of_the_store_starts_a_cluster_of_its_own_version_or_none() -> None:
    native = ("cpython-311-darwin", "macosx-11.0-arm64")

    assert Path(require_embedded_for(PythonTag("cpython", HERE), None, os.environ)).samefile(sys.executable)
    with pytest.raises(ClusterError, match=r"no Python 3\.98 with Ray"):
        require_embedded_for(PythonTag("cpython", "3.98"), None, os.environ)
    with pytest.raises(BundleError, match=f"runs Python {HERE} .* for Python 3.98"):
        require_embedded_for(PythonTag("cpython", "3.98"), sys.executable, os.environ)
    here = (sysconfig.get_config_var("SOABI"), sysconfig.get_platform())
    assert require_embedded_for(PythonTag("cpython", HERE, *here, "glibc 2.4"), None, os.environ)
    with pytest.raises(BundleError, match=r"with glibc .* for Python .* with glibc 2\.99"):
        require_embedded_for(PythonTag("cpython", HERE, *here, "glibc 2.99"), None, os.environ)
    with pytest.raises(BundleError, match=r"for Python .* on macosx-11\.0-arm64"):
        require_embedded_for(PythonTag("cpython", HERE, *native), None, os.environ)


@pytest.mark.slow
def test_a_version_names_an_interpreter_of_that_version_that_has_ray(project: Path) -> None:
    assert Path(cluster.interpreter(HERE)).samefile(sys.executable)
    with pytest.raises(ClusterError, match=r"no Python 3\.98 with Ray") as caught:
        cluster.interpreter("3.98")

    assert "--address" in str(caught.value.hint)
    assert not (project.parent / "state" / "cluster.json").exists()


@pytest.mark.slow
def test_a_version_is_also_looked_for_in_the_environment_beside_the_project(project: Path) -> None:
    python = project / ".venv/bin/python"
    answer = json.dumps([str(python), str(project / ".venv"), "2.60.0", "3.98"])
    tree(project, {".venv/bin/python": f"#!/bin/sh\necho '{answer}'\n"})
    python.chmod(0o755)

    assert cluster.interpreter("3.98") == str(python)


def test_a_relative_directory_of_the_user_is_no_place_for_the_cluster(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAYBUNDLE_LOCAL_STATE")
    monkeypatch.setenv("XDG_STATE_HOME", "here")
    monkeypatch.setenv("HOME", str(project.parent))

    assert state_directory() == project.parent / ".local/state/raybundle/local"
