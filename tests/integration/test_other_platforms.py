from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from raybundle.environment import fetch
from raybundle.errors import BundleError, UsageError
from raybundle.model import Distribution, ModuleName
from tests.support.client import Client, versions
from tests.support.wheels import elf, make_wheel

if TYPE_CHECKING:
    from pathlib import Path


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

    assert versions(client.equipped(alpha, python=python, platform=platform)) == {"alpha": "1.0", **more}


def test_here_nothing_is_fetched(client: Client) -> None:
    alpha = needing_more_on_old_pythons(client)

    assert client.equipped(alpha, python="3.11", platform="linux").distributions == (alpha,)


def test_files_are_those_of_the_target(client: Client) -> None:
    here, there = "fast.cpython-311-x86_64-linux-gnu.so", "fast.cpython-310-darwin.so"
    for tag, name in (("cp311-cp311-linux_x86_64", here), ("cp310-cp310-macosx_11_0_arm64", there)):
        make_wheel(client.links, "fast-2.0", tag, files={name: elf()})
    fast = replace(client.install("fast-2.0", "cp311-cp311-linux_x86_64"), modules=(ModuleName("fast"),))

    found = client.equipped(fast, python="3.10", platform="macos").distributions[0]

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

    found = client.equipped(alpha, beta, python="3.12").distributions[0].metadata

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

    assert versions(client.equipped(alpha, beta, python="3.12")) == {"alpha": "1.0", "beta": "1.5"}


def test_what_only_the_target_requires_has_the_installed_version_too(client: Client) -> None:
    alpha = client.install("alpha-1.0", requires=["beta; python_version > '3.11'"])
    client.install("beta-1.5")
    make_wheel(client.links, "beta-2.0")

    assert versions(client.equipped(alpha, python="3.12")) == {"alpha": "1.0", "beta": "1.5"}


def test_what_the_cluster_brings_is_not_fetched(client: Client) -> None:
    alpha = client.install("alpha-1.0", requires=["torch", "ray"])
    torch = Distribution("torch", "2.0", "cluster", 1)

    assert client.equipped(alpha, torch, python="3.12").distributions[1:] == (torch,)


def test_the_same_again_starts_no_uv(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    alpha = needing_more_on_old_pythons(client)
    first = client.equipped(alpha, python="3.10")
    monkeypatch.setattr(fetch, "run_uv", None)

    assert client.equipped(alpha, python="3.10").distributions == first.distributions


def test_another_order_is_another_directory(client: Client) -> None:
    alpha = needing_more_on_old_pythons(client)
    directories = {
        str(client.equipped(alpha, python=python).distributions[0].metadata) for python in ("3.10", "3.12")
    }

    assert len(directories) == 2


def test_what_was_fetched_and_removed_is_fetched_again(client: Client) -> None:
    alpha = needing_more_on_old_pythons(client)
    first = client.equipped(alpha, python="3.12").distributions[0].metadata
    assert first is not None
    first.parent.rename(client.directory / "gone")

    assert client.equipped(alpha, python="3.12").distributions[0].metadata == first
    assert first.is_dir()


def test_distributions_without_a_wheel_are_refused_by_name_all_at_once(client: Client) -> None:
    tag = "cp311-cp311-linux_x86_64"
    native, other = client.install("native-1.0", tag), client.install("other-1.0", tag)
    make_wheel(client.links, "native-1.0", tag)
    make_wheel(client.links, "native-0.9")
    fine = client.install("fine-1.0")

    with pytest.raises(BundleError) as caught:
        client.equipped(native, fine, other, python="3.12")

    assert str(caught.value).splitlines()[0] == "no wheel for Python 3.12 on linux-x86_64 exists of:"
    assert "native 1.0: only sources, or for others; 0.9 is the newest that has one" in str(caught.value)
    assert "\nother 1.0" in str(caught.value)
    assert "fine" not in str(caught.value)
    assert "find-links" in str(caught.value.hint)


def test_a_wheel_of_ones_own_is_taken_from_find_links(client: Client) -> None:
    native = client.install("native-1.0", "cp311-cp311-linux_x86_64")
    make_wheel(client.links, "native-1.0", "cp312-cp312-linux_x86_64")

    assert versions(client.equipped(native, python="3.12")) == {"native": "1.0"}


def from_an_url(client: Client, url: str) -> Distribution:
    own = client.install("own-1.0", "cp311-cp311-linux_x86_64")
    assert own.metadata is not None
    (own.metadata / "direct_url.json").write_text(json.dumps({"url": url, "vcs_info": {"vcs": "git"}}))
    return own


def test_what_was_installed_from_an_url_is_never_looked_for_on_an_index(client: Client) -> None:
    own = from_an_url(client, "https://someone:secret@git.example/own.git")

    with pytest.raises(BundleError) as caught:
        client.equipped(own, python="3.12")

    assert "own 1.0, which was installed from https://git.example/own.git" in str(caught.value)


def test_what_was_installed_from_an_url_is_taken_from_a_local_wheel(client: Client) -> None:
    own = from_an_url(client, "https://git.example/own.git")
    wheel = make_wheel(client.links, "own-1.0", "cp38-abi3-manylinux_2_17_x86_64", requires=["more"])
    make_wheel(client.links, "more-1.0")

    assert versions(client.equipped(own, python="3.12")) == {"own": "1.0", "more": "1.0"}
    wheel.unlink()
    with pytest.raises(BundleError, match="no wheel"):
        client.equipped(own, python="3.12")


def test_versions_that_contradict_each_other_there_are_told_with_the_reason(client: Client) -> None:
    alpha = client.install("alpha-1.0", requires=["beta>2"])
    beta = client.install("beta-1.0")

    with pytest.raises(BundleError, match=r"do not go together on Python 3\.12.*beta"):
        client.equipped(alpha, beta, python="3.12")


def test_an_index_that_does_not_answer_is_named(client: Client) -> None:
    alpha = Distribution("alpha", "1.0", "bundle", 1)
    nowhere = {"UV_DEFAULT_INDEX": "http://127.0.0.1:9/simple", "UV_HTTP_RETRIES": "0"}

    with pytest.raises(BundleError, match=r"uv cannot get .*127\.0\.0\.1:9/simple/alpha.*: .+") as caught:
        client.equipped(alpha, python="3.12", UV_OFFLINE="", UV_NO_INDEX="", **nowhere)

    assert caught.value.exit_code == 3


def test_where_uv_is_not_installed_the_extra_is_named(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "uv", None)

    with pytest.raises(UsageError) as caught:
        client.equipped(client.install("alpha-1.0"), python="3.12", PATH="")

    assert caught.value.hint == "pip install 'raybundle[uv]'"


def test_wheels_come_from_where_pip_looks_where_uv_is_told_nothing(client: Client) -> None:
    alpha = client.install("alpha-1.0")
    file = client.directory / "pip.conf"
    file.write_text(f"[global]\nindex-url = http://127.0.0.1:9/simple\nfind-links = {client.links}\n")
    told = {"UV_FIND_LINKS": "", "UV_NO_INDEX": "", "UV_OFFLINE": "", "UV_HTTP_RETRIES": "0"}

    with pytest.raises(BundleError, match=r"127\.0\.0\.1:9/simple/alpha"):
        client.equipped(alpha, python="3.12", PIP_CONFIG_FILE=str(file), **told)


def test_from_a_registry_come_the_files_of_a_mac(client: Client) -> None:
    markupsafe = Distribution("markupsafe", "3.0.2", "bundle", 1)
    online = {**os.environ, "UV_OFFLINE": "", "UV_NO_INDEX": "", "UV_FIND_LINKS": ""}

    found = client.equipped(markupsafe, python="3.12", platform="macos", **online)

    metadata = found.distributions[0].metadata
    assert metadata is not None
    names = {each.name for each in (metadata.parent / "markupsafe").glob("*.so")}
    assert names == {"_speedups.cpython-312-darwin.so"}
    assert found.interpreter.platform == "macosx-13.0-arm64"
