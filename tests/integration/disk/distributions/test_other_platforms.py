from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from raybundle.errors import BundleError, RefusedFileError, UsageError
from raybundle.model import Distribution, ModuleName
from raybundle.resolve.interpreter.node_python import NodePython
from raybundle.resolve.interpreter.platforms import parse_platform
from raybundle.wheels import fetch
from raybundle.wheels.retarget import refuse_foreign
from tests.support.booting import make_interpreter
from tests.support.client import Client, versions
from tests.support.wheels import elf, install_wheel, make_wheel

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow


LIB64 = """
import sysconfig
for scheme in sysconfig._INSTALL_SCHEMES.values():
    scheme["platlib"] = scheme["platlib"].replace("{platlibdir}", "lib64")
"""
"""As Fedora has it."""


@pytest.fixture
def client(tmp_path: Path) -> Client:
    for name in ("site", "links"):
        (tmp_path / name).mkdir()
    return Client(tmp_path)


def needing_more_on_old_pythons(client: Client) -> Distribution:
    for name in ("older-1.0", "wincol-1.0"):
        make_wheel(client.links, name)
    requires = ["older; python_version < '3.11'", "wincol; sys_platform == 'win32'"]
    return client.install("alpha-1.0", requires=requires)


@pytest.mark.parametrize(
    ("python", "platform", "more"),
    [("3.10", None, {"older": "1.0"}), ("3.12", None, {}), ("3.11", "windows", {"wincol": "1.0"})],
)
def test_markers_of_the_target_decide_what_travels(
    client: Client, python: str, platform: str | None, more: dict[str, str]
) -> None:
    alpha = needing_more_on_old_pythons(client)

    assert versions(client.retargeted(alpha, python=python, platform=platform)) == {"alpha": "1.0", **more}


def test_here_nothing_is_fetched(client: Client) -> None:
    alpha = needing_more_on_old_pythons(client)

    assert client.retargeted(alpha, python="3.11", platform="linux").distributions == (alpha,)


def test_files_are_those_of_the_target(client: Client) -> None:
    here, there = "fast.cpython-311-x86_64-linux-gnu.so", "fast.cpython-310-darwin.so"
    for tag, name in (("cp311-cp311-linux_x86_64", here), ("cp310-cp310-macosx_11_0_arm64", there)):
        make_wheel(client.links, "fast-2.0", tag, files={name: elf()})
    fast = replace(client.install("fast-2.0", "cp311-cp311-linux_x86_64"), modules=(ModuleName("fast"),))

    found = client.retargeted(fast, python="3.10", platform="macos").distributions[0]

    assert found.metadata is not None
    files = {each.name for each in found.metadata.parent.iterdir() if each.suffix in {".so", ".py"}}
    assert (files, found.version, found.modules) == ({there}, "2.0", (ModuleName("fast"),))


def test_what_was_fetched_imports_on_its_own_and_has_no_scripts(client: Client) -> None:
    points = {
        "alpha.py": b"import beta",
        "alpha-1.0.dist-info/entry_points.txt": b"[console_scripts]\nx = alpha:x\n",
    }
    make_wheel(client.links, "alpha-1.0", requires=["beta"], files=points)
    alpha, beta = Distribution("alpha", "1.0", "bundle", 1), client.install("beta-1.0")

    found = client.retargeted(alpha, beta, python="3.12").distributions[0].metadata

    assert found is not None
    done = subprocess.run(
        [
            sys.executable,
            "-I",
            "-S",
            "-c",
            f"import sys; sys.path.append({str(found.parent)!r}); import alpha",
        ],
        check=False,
    )
    assert done.returncode == 0
    assert not (found.parent / "bin").exists()


def test_versions_are_those_that_are_installed(client: Client) -> None:
    alpha = client.install("alpha-1.0", requires=["beta"])
    beta = client.install("beta-1.5")
    make_wheel(client.links, "alpha-2.0")
    make_wheel(client.links, "beta-2.0")

    assert versions(client.retargeted(alpha, beta, python="3.12")) == {"alpha": "1.0", "beta": "1.5"}


def test_what_only_the_target_requires_has_the_installed_version_too(client: Client) -> None:
    alpha = client.install("alpha-1.0", requires=["beta; python_version > '3.11'"])
    client.install("beta-1.5")
    make_wheel(client.links, "beta-2.0")

    assert versions(client.retargeted(alpha, python="3.12")) == {"alpha": "1.0", "beta": "1.5"}


def test_what_the_cluster_brings_is_not_fetched(client: Client) -> None:
    alpha = client.install("alpha-1.0", requires=["torch", "ray"])
    torch = Distribution("torch", "2.0", "cluster", 1)

    assert client.retargeted(alpha, torch, python="3.12").distributions[1:] == (torch,)


def test_the_same_again_starts_no_uv(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    alpha = needing_more_on_old_pythons(client)
    first = client.retargeted(alpha, python="3.10")
    monkeypatch.setattr(fetch, "run_uv", None)

    assert client.retargeted(alpha, python="3.10").distributions == first.distributions


def test_another_order_is_another_directory(client: Client) -> None:
    alpha = needing_more_on_old_pythons(client)
    directories = {
        str(client.retargeted(alpha, python=python).distributions[0].metadata) for python in ("3.10", "3.12")
    }

    assert len(directories) == 2


def test_what_was_fetched_and_removed_is_fetched_again(client: Client) -> None:
    alpha = needing_more_on_old_pythons(client)
    first = client.retargeted(alpha, python="3.12").distributions[0].metadata
    assert first is not None
    first.parent.rename(client.directory / "gone")

    assert client.retargeted(alpha, python="3.12").distributions[0].metadata == first
    assert first.is_dir()


def test_distributions_without_a_wheel_are_refused_by_name_all_at_once(client: Client) -> None:
    tag = "cp311-cp311-linux_x86_64"
    native, other = client.install("native-1.0", tag), client.install("other-1.0", tag)
    make_wheel(client.links, "native-1.0", tag)
    make_wheel(client.links, "native-0.9")
    fine = client.install("fine-1.0")

    with pytest.raises(BundleError) as caught:
        client.retargeted(native, fine, other, python="3.12")

    assert str(caught.value).splitlines()[0] == "there is no wheel for Python 3.12 on linux-x86_64 of:"
    assert str(caught.value).splitlines()[1:] == [
        "native 1.0; the newest version that has one is 0.9",
        "other 1.0; no other version has one",
    ]
    assert "find-links" in str(caught.value.hint)


def test_a_wheel_of_ones_own_is_taken_from_find_links(client: Client) -> None:
    native = client.install("native-1.0", "cp311-cp311-linux_x86_64")
    make_wheel(client.links, "native-1.0", "cp312-cp312-linux_x86_64")

    assert versions(client.retargeted(native, python="3.12")) == {"native": "1.0"}


def from_an_url(client: Client, url: str) -> Distribution:
    return replace(client.install("own-1.0", "cp311-cp311-linux_x86_64"), origin=url)


def test_what_was_installed_from_an_url_is_never_looked_for_on_an_index(client: Client) -> None:
    own = from_an_url(client, "git+https://git.example/own.git")

    with pytest.raises(BundleError) as caught:
        client.retargeted(own, python="3.12")

    assert "own 1.0, which was installed from git+https://git.example/own.git" in str(caught.value)


def test_what_was_installed_from_an_url_is_taken_from_a_local_wheel(client: Client) -> None:
    own = from_an_url(client, "https://git.example/own.git")
    wheel = make_wheel(client.links, "own-1.0", "cp38-abi3-manylinux_2_17_x86_64", requires=["more"])
    make_wheel(client.links, "more-1.0")

    assert versions(client.retargeted(own, python="3.12")) == {"own": "1.0", "more": "1.0"}
    wheel.unlink()
    with pytest.raises(BundleError, match="no wheel"):
        client.retargeted(own, python="3.12")


@pytest.mark.parametrize("tag", ["py38-none-any", "py3-none-manylinux_2_17_x86_64", "cp312-none-any"])
def test_a_local_wheel_without_an_abi_is_taken(client: Client, tag: str) -> None:
    own = from_an_url(client, "https://git.example/own.git")
    make_wheel(client.links, "own-1.0", tag)

    assert versions(client.retargeted(own, python="3.12")) == {"own": "1.0"}


def test_a_local_wheel_for_others_is_not_taken(client: Client) -> None:
    own = from_an_url(client, "https://git.example/own.git")
    for tag in (
        "cp311-cp311-linux_x86_64",
        "cp313-abi3-linux_x86_64",
        "cp312-cp312-macosx_11_0_arm64",
        "cp312-cp312-musllinux_1_2_x86_64",
        "py313-none-any",
        "py3-cp312-linux_x86_64",
    ):
        make_wheel(client.links, "own-1.0", tag)

    with pytest.raises(BundleError, match=r"own 1\.0, which was installed from"):
        client.retargeted(own, python="3.12")


def test_no_index_is_asked_for_an_editable_project(client: Client) -> None:
    alpha = client.install("alpha-1.0", requires=["our-own"])
    make_wheel(client.links, "our_own-9.0")
    editable = (("/source", str(client.site / "our_own-0.1.dist-info")),)

    assert versions(client.retargeted(alpha, python="3.12", editable=editable)) == {"alpha": "1.0"}


def test_a_version_of_the_lock_that_ray_does_not_take_is_refused(client: Client) -> None:
    client.install("ray-2.60.0", requires=["alpha<2"])
    alpha = client.install("alpha-1.0")
    make_wheel(client.links, "alpha-2.0")
    client.project.mkdir()
    (client.project / "requirements.txt").write_text("alpha==2.0")

    with pytest.raises(BundleError, match=r"alpha 2\.0: Ray 2\.60\.0 requires alpha<2"):
        client.retargeted(alpha, python="3.12")


def test_files_that_are_installed_here_do_not_travel_to_others(client: Client) -> None:
    name = "fast.cpython-311-x86_64-linux-gnu.so"
    wheel = make_wheel(client.directory, "fast-1.0", "cp311-cp311-linux_x86_64", files={name: elf()})
    fast = Distribution("fast", "1.0", "bundle", 1, metadata=install_wheel(client.site, wheel))
    resolution = client.retargeted(fast)
    tag = NodePython("cpython", "3.12", parse_platform("linux"))

    with pytest.raises(RefusedFileError, match=f"{client.site}/{name} is built for CPython 3.11"):
        refuse_foreign(resolution, (), tag)


def test_versions_that_contradict_each_other_there_are_told_with_the_reason(client: Client) -> None:
    alpha = client.install("alpha-1.0", requires=["beta>2"])
    beta = client.install("beta-1.0")

    with pytest.raises(BundleError, match=r"do not fit together on Python 3\.12.*beta"):
        client.retargeted(alpha, beta, python="3.12")


def test_an_index_that_does_not_answer_is_named(client: Client) -> None:
    alpha = Distribution("alpha", "1.0", "bundle", 1)
    online = {"UV_OFFLINE": "", "UV_NO_INDEX": "", "UV_HTTP_RETRIES": "0"}
    nowhere = {**online, "UV_DEFAULT_INDEX": "http://127.0.0.1:9/simple"}

    with pytest.raises(BundleError, match=r"uv cannot get .*127\.0\.0\.1:9/simple/alpha.*: .+") as caught:
        client.retargeted(alpha, python="3.12", environ=nowhere)

    assert caught.value.exit_code == 3


def test_where_uv_is_not_installed_the_extra_is_named(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "uv", None)

    with pytest.raises(UsageError) as caught:
        client.retargeted(client.install("alpha-1.0"), python="3.12", environ={"PATH": ""})

    assert caught.value.hint == "pip install 'raybundle[uv]'"


def test_wheels_come_from_where_pip_looks_where_uv_is_told_nothing(client: Client) -> None:
    alpha = client.install("alpha-1.0")
    file = client.directory / "pip.conf"
    file.write_text(f"[global]\nindex-url = http://127.0.0.1:9/simple\nfind-links = {client.links}\n")
    told = {"UV_FIND_LINKS": "", "UV_NO_INDEX": "", "UV_OFFLINE": "", "UV_HTTP_RETRIES": "0"}

    with pytest.raises(BundleError, match=r"127\.0\.0\.1:9/simple/alpha"):
        client.retargeted(alpha, python="3.12", environ={**told, "PIP_CONFIG_FILE": str(file)})


def test_who_tells_pip_to_ask_no_index_asks_none(client: Client) -> None:
    make_wheel(client.links, "alpha-1.0")
    file = client.directory / "pip.conf"
    dead = "http://127.0.0.1:9/simple"
    file.write_text(f"[global]\nindex-url = {dead}\nno-index = true\nfind-links = {client.links}\n")
    told = {"UV_FIND_LINKS": "", "UV_NO_INDEX": "", "UV_OFFLINE": "", "UV_HTTP_RETRIES": "0"}

    alpha = client.install("alpha-1.0")
    equipped = client.retargeted(alpha, python="3.12", environ={**told, "PIP_CONFIG_FILE": str(file)})

    assert [each.name for each in equipped.distributions] == ["alpha"]


def test_what_is_fetched_is_whole_where_an_interpreter_keeps_native_files_elsewhere(client: Client) -> None:
    python = make_interpreter(client.directory / "fedora", sys.executable)
    [site] = (client.directory / "fedora").glob("lib/python3*/site-packages")
    (site / "sitecustomize.py").write_text(LIB64)
    pure = client.install("pure-1.0")
    for name in ("native-1.0", "other-1.0"):
        make_wheel(
            client.links, name, "cp312-cp312-linux_x86_64", files={f"{name[:5]}.so": elf()}, pure=False
        )
    needed = [pure, *(Distribution(name, "1.0", "bundle", 1) for name in ("native", "other"))]

    for some in (needed, needed[1:]):
        found = client.retargeted(*some, python="3.12", executable=str(python))

        assert versions(found) == {each.name: "1.0" for each in some}


def test_from_a_registry_come_the_files_of_a_mac(client: Client) -> None:
    markupsafe = Distribution("markupsafe", "3.0.2", "bundle", 1)
    online = {**os.environ, "UV_OFFLINE": "", "UV_NO_INDEX": "", "UV_FIND_LINKS": ""}

    found = client.retargeted(markupsafe, python="3.12", platform="macos", environ=online)

    metadata = found.distributions[0].metadata
    assert metadata is not None
    names = {each.name for each in (metadata.parent / "markupsafe").glob("*.so")}
    assert names == {"_speedups.cpython-312-darwin.so"}
    assert found.interpreter.platform == "macosx-13.0-arm64"


def needing_ones_own_there(client: Client) -> Distribution:
    """A distribution that needs another one on the target alone, which was installed from a repository."""
    alpha = client.install("alpha-1.0", requires=["own; python_version > '3.11'"])
    client.install("own-1.0", "cp311-cp311-linux_x86_64")
    url = '{"url": "https://git.example/own.git", "vcs_info": {"vcs": "git", "commit_id": "abc"}}'
    (client.site / "own-1.0.dist-info/direct_url.json").write_text(url)
    return alpha


def test_what_only_the_target_requires_comes_from_no_index_either_if_it_came_from_none(
    client: Client,
) -> None:
    alpha = needing_ones_own_there(client)
    index = client.directory / "index/own"
    name = make_wheel(index, "own-1.0").name
    (index / "index.html").write_text(f"<a href='{name}'>{name}</a>")
    online = {"UV_NO_INDEX": "", "UV_DEFAULT_INDEX": index.parent.as_uri()}

    with pytest.raises(BundleError, match=r"of:\nown 1\.0, which was installed from git\+https://git\.ex"):
        client.retargeted(alpha, python="3.12", environ=online)


def test_what_only_the_target_requires_is_a_wheel_of_ones_own_where_there_is_one(client: Client) -> None:
    alpha = needing_ones_own_there(client)
    make_wheel(client.links, "own-1.0")

    assert versions(client.retargeted(alpha, python="3.12")) == {"alpha": "1.0", "own": "1.0"}


def test_the_wheel_that_is_installed_counts_before_others_of_its_version(client: Client) -> None:
    wheel = make_wheel(client.directory / "zzz", "own-1.0", files={"own.py": b"of = 'installed'"})
    make_wheel(client.links, "own-1.0", files={"own.py": b"of = 'another'"})
    own = replace(client.install("own-1.0", "cp311-cp311-linux_x86_64"), origin=wheel.as_uri())

    found = client.retargeted(own, python="3.12").distributions[0].metadata

    assert found is not None
    assert (found.parent / "own.py").read_text() == "of = 'installed'"


def test_what_was_fetched_for_one_job_is_held_against_the_parts_of_ray_that_another_uses(
    client: Client,
) -> None:
    client.install("ray-2.60.0", requires=["alpha<2; extra == 'serve'"])
    alpha = client.install("alpha-2.0")
    ray = Distribution("ray", "2.60.0", "ray", 1)
    serving = replace(ray, modules=(ModuleName("ray.serve"),))

    assert versions(client.retargeted(alpha, ray, python="3.12")) == {"alpha": "2.0"}
    with pytest.raises(BundleError, match=r"alpha 2\.0: Ray 2\.60\.0 requires alpha<2"):
        client.retargeted(alpha, serving, python="3.12")
