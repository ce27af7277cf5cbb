from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from raybundle.cache.documents import Cache
from raybundle.config import load_settings
from raybundle.errors import RefusedFileError, UnresolvedImportError, UsageError
from raybundle.model import ScriptTarget
from raybundle.planning import Plan, plan
from raybundle.request import Prepared, Request, prepare
from raybundle.resolve.interpreter.describe import describe
from raybundle.resolve.interpreter.node_python import NodePython
from raybundle.resolve.interpreter.platforms import Platform, parse_platform
from tests.support.small_project import tree
from tests.support.wheels import elf

HERE = "{}.{}".format(*sys.version_info)
OTHER = "3.12" if HERE != "3.12" else "3.11"


def request(project: Path, **settings: str) -> Request:
    """Returns what a user asks for whose active environment is ours."""
    environ = {"VIRTUAL_ENV": sys.prefix, "XDG_CACHE_HOME": str(project.parent / "cache"), "PATH": ""}
    found = load_settings(settings, {}, project)
    return Request(ScriptTarget(project / "job.py"), found, project, project, environ)


def prepared(project: Path, nodes: NodePython | None = None, **settings: str) -> Prepared:
    return prepare(request(project, **settings), nodes)


def planned(project: Path, **settings: str) -> Plan:
    return plan(prepared(project, None, **settings))


def modules(found: Plan) -> list[str]:
    return [str(each.name) for each in found.resolution.modules]


def test_a_version_that_is_active_is_nothing_special(tmp_path: Path) -> None:
    project = tree(tmp_path / "project", {"job.py": "pass"})

    assert planned(project, python=HERE).manifest_bytes == planned(project).manifest_bytes


def test_with_an_environment_another_version_is_that_of_the_nodes(tmp_path: Path) -> None:
    project = tree(tmp_path / "project", {"job.py": "pass"})

    found = planned(project, python=OTHER)

    assert found.manifest.python.minor == OTHER
    assert found.resolution.interpreter.executable.startswith(sys.prefix)


def test_without_an_environment_a_version_is_looked_for_on_the_path(tmp_path: Path) -> None:
    project = tree(tmp_path / "project", {"job.py": "pass"})
    asked = request(project, python=OTHER)

    with pytest.raises(UsageError, match=f"cannot find the Python interpreter `{OTHER}`"):
        prepare(Request(asked.target, asked.settings, project, project, {"PATH": ""}))


def test_a_platform_of_the_nodes_is_in_the_manifest_of_a_bundle_with_native_files(tmp_path: Path) -> None:
    name = f"fast.cpython-{HERE.replace('.', '')}-aarch64-linux-gnu.so"
    project = tree(tmp_path / "project", {"job.py": "import fast", name: ""})
    (project / name).write_bytes(elf(183))

    python = planned(project, platform="aarch64-manylinux_2_28").manifest.python

    assert (python.platform, python.abi) == ("linux-aarch64", name.split(".")[1])


def test_conditions_on_imports_are_those_of_the_nodes(tmp_path: Path) -> None:
    text = "import sys\nif sys.platform == 'win32':\n    import there\nelse:\n    import here\n"
    project = tree(tmp_path / "project", {"job.py": text, "here.py": "", "there.py": ""})

    assert modules(planned(project)) == ["__main__", "here"]
    assert modules(planned(project, platform="windows")) == ["__main__", "there"]


def test_a_condition_on_the_version_is_that_of_the_nodes(tmp_path: Path) -> None:
    text = f"import sys\nif sys.version_info[:2] == ({OTHER.replace('.', ', ')}):\n    import missing_here\n"
    project = tree(tmp_path / "project", {"job.py": text})

    assert modules(planned(project)) == ["__main__"]
    with pytest.raises(UnresolvedImportError, match="missing_here"):
        planned(project, python=OTHER)


def test_extensions_of_the_project_that_do_not_load_on_the_nodes_are_all_named(tmp_path: Path) -> None:
    tag = f"cpython-{HERE.replace('.', '')}-x86_64-linux-gnu"
    files = {f"fast.{tag}.so": "", f"pkg/slow.{tag}.so": "", "pkg/__init__.py": "", "extra/lib.so": ""}
    project = tree(tmp_path / "project", {"job.py": "import fast, pkg.slow", **files})
    for name in files:
        if name.endswith(".so"):
            (project / name).write_bytes(elf(183 if "lib" in name else 62))
    asked = request(project, python=OTHER)
    settings = load_settings({"python": OTHER, "include": ["extra/lib.so"]}, {}, project)

    with pytest.raises(RefusedFileError) as caught:
        plan(prepare(Request(asked.target, settings, project, project, asked.environ)))

    assert str(caught.value).splitlines()[1:] == [
        "project/extra/lib.so is built for Linux on aarch64",
        f"project/fast.{tag}.so is built for CPython {HERE}",
        f"project/pkg/slow.{tag}.so is built for CPython {HERE}",
    ]


def test_of_two_extensions_the_one_for_the_nodes_is_taken(tmp_path: Path) -> None:
    tags = [f"cpython-{each.replace('.', '')}-x86_64-linux-gnu" for each in (HERE, OTHER)]
    project = tree(
        tmp_path / "project", {"job.py": "import fast", **{f"fast.{each}.so": "" for each in tags}}
    )

    found = [each.path for each in planned(project, python=OTHER).files if each.path.endswith(".so")]

    assert found == [f"project/fast.{tags[1]}.so"]


def test_what_a_cluster_says_of_itself_is_taken_where_nothing_is_set(tmp_path: Path) -> None:
    project = tree(tmp_path / "project", {"job.py": "pass"})
    cluster = NodePython("cpython", OTHER, parse_platform("linux"))

    assert plan(prepared(project, cluster)).manifest.python.minor == OTHER
    assert plan(prepared(project, cluster, python=HERE)).manifest.python.minor == HERE


def test_extensions_of_the_project_that_need_a_newer_libc_than_the_nodes_have_are_named(
    tmp_path: Path,
) -> None:
    project = tree(tmp_path / "project", {"job.py": "import fast", "fast.so": ""})
    nodes = NodePython("cpython", HERE, Platform("linux", "x86_64", "gnu", (2, 17)))
    (project / "fast.so").write_bytes(elf(62, "GLIBC_2.17"))
    assert plan(prepared(project, nodes)).manifest == planned(project).manifest
    (project / "fast.so").write_bytes(elf(62, "GLIBC_2.29"))

    with pytest.raises(RefusedFileError, match=r"project/fast\.so is built for glibc 2\.29"):
        plan(prepared(project, nodes))


def test_an_interpreter_for_both_machines_of_a_mac_is_here_for_this_one(tmp_path: Path) -> None:
    environ = {"_PYTHON_HOST_PLATFORM": "macosx-10.9-universal2"}  # what `sysconfig.get_platform()` says then
    found = describe(Path(sys.executable), environ, tmp_path, Cache(tmp_path / "cache"))

    assert found.platform == f"macosx-10.9-{os.uname().machine}"


def test_a_platform_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    project = tree(tmp_path / "project", {"job.py": "pass"})

    with pytest.raises(UsageError, match="there is no platform `beos`"):
        planned(project, platform="beos")
