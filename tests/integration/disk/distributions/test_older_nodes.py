"""Nodes that differ from here only in that their libc is older."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from raybundle.errors import BundleError
from raybundle.resolve.interpreter import platforms
from raybundle.resolve.interpreter.node_python import NodePython
from raybundle.resolve.interpreter.platforms import Platform
from tests.support.client import Client, versions
from tests.support.wheels import elf, make_wheel

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from raybundle.model import Distribution

NODES = NodePython("cpython", "3.11", Platform("linux", "x86_64", "gnu", (2, 31)))
NEWER, OLDER = "cp311-cp311-manylinux_2_34_x86_64", "cp311-cp311-manylinux_2_28_x86_64"


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Client:
    monkeypatch.setattr(platforms, "own_release", lambda: "glibc 2.39")
    for name in ("site", "links"):
        (tmp_path / name).mkdir()
    return Client(tmp_path)


def installed(client: Client, name: str, tag: str, *needs: str) -> Distribution:
    """Returns a distribution whose one library needs these versions of symbols."""
    return client.install(name, f"cp311-cp311-{tag}", files={f"{name[:5]}.so": elf(62, *needs)})


def needing_a_newer_glibc(client: Client, requires: Sequence[str] = ()) -> Distribution:
    """Returns a distribution that the nodes take from another wheel of its version."""
    make_wheel(client.links, "alpha-1.0", OLDER, requires=requires)
    return client.install("alpha-1.0", NEWER, requires=requires)


@pytest.mark.parametrize(
    ("tag", "needs"),
    [
        ("manylinux_2_28_x86_64", ()),
        ("manylinux2014_x86_64.manylinux_2_17_x86_64", ()),
        ("manylinux_2_34_x86_64.manylinux_2_31_x86_64", ()),
        ("linux_x86_64", ("GLIBC_2.31",)),
    ],
)
def test_what_is_installed_and_runs_there_travels_and_nothing_is_fetched(
    client: Client, tag: str, needs: tuple[str, ...]
) -> None:
    files = installed(client, "alpha-1.0", tag, *needs), client.install("pure-1.0")

    assert client.retargeted(*files, cluster=NODES).distributions == files


@pytest.mark.parametrize(
    ("tag", "needs"), [("manylinux_2_34_x86_64", ()), ("linux_x86_64", ("GLIBC_2.34", "GLIBC_2.4"))]
)
def test_what_needs_a_newer_libc_is_fetched_for_the_older_and_nothing_else(
    client: Client, tag: str, needs: tuple[str, ...]
) -> None:
    alpha, pure = installed(client, "alpha-1.0", tag, *needs), client.install("pure-1.0")
    make_wheel(client.links, "alpha-1.0", "cp311-cp311-manylinux_2_36_x86_64")
    make_wheel(client.links, "alpha-1.0", "cp311-cp311-manylinux_2_28_x86_64", requires=["pure"])

    found = client.retargeted(alpha, pure, cluster=NODES)

    assert versions(found) == {"alpha": "1.0", "pure": "1.0"}
    assert found.distributions[1] == pure
    fetched = found.distributions[0].metadata
    assert fetched is not None
    assert "manylinux_2_28" in (fetched / "WHEEL").read_text()


def test_what_has_no_wheel_for_an_older_libc_is_refused_by_name(client: Client) -> None:
    alpha = installed(client, "alpha-1.0", "manylinux_2_34_x86_64")
    make_wheel(client.links, "alpha-1.0", "cp311-cp311-manylinux_2_34_x86_64")

    with pytest.raises(BundleError, match=r"(?s)no wheel for .* with glibc 2\.31 of:.*alpha 1\.0"):
        client.retargeted(alpha, cluster=NODES)


def test_a_wheel_of_ones_own_that_needs_a_newer_libc_is_refused_by_name(client: Client) -> None:
    alpha = installed(client, "alpha-1.0", "linux_x86_64", "GLIBC_2.34")
    own = {"alpha.so": elf(62, "GLIBC_2.35")}
    make_wheel(client.links, "alpha-1.0", "cp311-cp311-linux_x86_64", files=own)

    with pytest.raises(BundleError, match=r"newer libc .* Python 3\.11 .* with glibc 2\.31 .*alpha 1\.0"):
        client.retargeted(alpha, cluster=NODES)


def test_what_is_fetched_has_the_installed_version_as_what_stays_has(client: Client) -> None:
    alpha, pure = needing_a_newer_glibc(client), client.install("pure-1.0")
    make_wheel(client.links, "alpha-2.0", OLDER, requires=["pure>=2"])
    make_wheel(client.links, "pure-2.0")
    client.project.mkdir()
    (client.project / "requirements.txt").write_text("alpha==2.0\npure==2.0\n")

    assert versions(client.retargeted(alpha, pure, cluster=NODES)) == {"alpha": "1.0", "pure": "1.0"}


@pytest.mark.parametrize(("version", "is_refused"), [("1.0", True), ("1", True), ("2.0", False)])
def test_hashes_of_the_lock_count_for_the_version_that_is_fetched(
    client: Client, version: str, is_refused: bool
) -> None:
    alpha = needing_a_newer_glibc(client)
    client.project.mkdir()
    lock = client.project / "requirements.txt"
    lock.write_text(f"alpha=={version} --hash=sha256:{'0' * 64}\n")
    refused = pytest.raises(BundleError, match=r"no file of the index has a hash of the lock: alpha")

    with refused if is_refused else nullcontext():
        assert versions(client.retargeted(alpha, cluster=NODES)) == {"alpha": "1.0"}


def test_what_was_installed_from_a_directory_is_not_from_an_index_though_the_lock_has_another_version(
    client: Client,
) -> None:
    alpha = replace(client.install("alpha-1.0", NEWER), origin="file:///src/alpha")
    client.project.mkdir()
    (client.project / "requirements.txt").write_text(f"alpha==2.0 --hash=sha256:{'0' * 64}\n")

    with pytest.raises(
        BundleError,
        match=r"found no wheel for .* of:\nalpha 1\.0, which was installed from file:///src/alpha",
    ):
        client.retargeted(alpha, cluster=NODES)


def test_what_stays_is_looked_for_nowhere(client: Client) -> None:
    alpha, pure = needing_a_newer_glibc(client, requires=["pure"]), client.install("pure-1.0")
    next(client.links.glob("pure-*")).unlink()

    found = client.retargeted(alpha, pure, cluster=NODES)

    assert versions(found) == {"alpha": "1.0", "pure": "1.0"}
    assert found.distributions[1] == pure


def test_what_stays_and_was_installed_from_a_directory_needs_no_wheel(client: Client) -> None:
    alpha, pure = needing_a_newer_glibc(client, requires=["pure"]), client.install("pure-1.0")
    assert pure.metadata is not None
    (pure.metadata / "direct_url.json").write_text('{"url": "file:///src/pure", "dir_info": {}}')
    wheel, index = next(client.links.glob("pure-*")), client.directory / "index"
    (index / "pure").mkdir(parents=True)
    wheel.rename(index / "pure" / wheel.name)
    (index / "pure/index.html").write_text(f"<a href='{wheel.name}'>{wheel.name}</a>")
    environ = {"UV_NO_INDEX": "", "UV_DEFAULT_INDEX": index.as_uri()}

    found = client.retargeted(alpha, replace(pure, origin="file:///src/pure"), cluster=NODES, environ=environ)

    assert versions(found) == {"alpha": "1.0", "pure": "1.0"}
