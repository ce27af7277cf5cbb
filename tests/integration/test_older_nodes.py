"""Nodes that differ from here only in that their libc is older."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from raybundle.environment import platforms
from raybundle.environment.platforms import Platform
from raybundle.environment.target import TargetTag
from raybundle.errors import BundleError
from tests.support.client import Client, versions
from tests.support.wheels import elf, make_wheel

if TYPE_CHECKING:
    from pathlib import Path

    from raybundle.model import Distribution

NODES = TargetTag("cpython", "3.11", Platform("linux", "x86_64", "gnu", (2, 31)))


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Client:
    monkeypatch.setattr(platforms, "own_release", lambda: "glibc 2.39")
    for name in ("site", "links"):
        (tmp_path / name).mkdir()
    return Client(tmp_path)


def installed(client: Client, name: str, tag: str, needs: bytes = b"") -> Distribution:
    """Returns a distribution whose one library needs these versions of symbols."""
    return client.install(name, f"cp311-cp311-{tag}", files={f"{name[:5]}.so": elf() + needs})


@pytest.mark.parametrize(
    ("tag", "needs"),
    [
        ("manylinux_2_28_x86_64", b""),
        ("manylinux2014_x86_64.manylinux_2_17_x86_64", b""),
        ("manylinux_2_34_x86_64.manylinux_2_31_x86_64", b""),
        ("linux_x86_64", b"\0GLIBC_2.31\0"),
    ],
)
def test_what_is_installed_and_runs_there_travels_and_nothing_is_fetched(
    client: Client, tag: str, needs: bytes
) -> None:
    files = installed(client, "alpha-1.0", tag, needs), client.install("pure-1.0")

    assert client.equipped(*files, cluster=NODES).distributions == files


@pytest.mark.parametrize(
    ("tag", "needs"), [("manylinux_2_34_x86_64", b""), ("linux_x86_64", b"\0GLIBC_2.34\0GLIBC_2.4\0")]
)
def test_what_needs_a_newer_libc_is_fetched_for_the_older_and_nothing_else(
    client: Client, tag: str, needs: bytes
) -> None:
    alpha, pure = installed(client, "alpha-1.0", tag, needs), client.install("pure-1.0")
    make_wheel(client.links, "alpha-1.0", "cp311-cp311-manylinux_2_36_x86_64")
    make_wheel(client.links, "alpha-1.0", "cp311-cp311-manylinux_2_28_x86_64", requires=["pure"])

    found = client.equipped(alpha, pure, cluster=NODES)

    assert versions(found) == {"alpha": "1.0", "pure": "1.0"}
    assert found.distributions[1] == pure
    fetched = found.distributions[0].metadata
    assert fetched is not None
    assert "manylinux_2_28" in (fetched / "WHEEL").read_text()


def test_what_has_no_wheel_for_an_older_libc_is_refused_by_name(client: Client) -> None:
    alpha = installed(client, "alpha-1.0", "manylinux_2_34_x86_64")
    make_wheel(client.links, "alpha-1.0", "cp311-cp311-manylinux_2_34_x86_64")

    with pytest.raises(BundleError, match=r"(?s)no wheel for .* with glibc 2\.31 exists of:.*alpha 1\.0"):
        client.equipped(alpha, cluster=NODES)


def test_a_wheel_of_ones_own_that_needs_a_newer_libc_is_refused_by_name(client: Client) -> None:
    alpha = installed(client, "alpha-1.0", "linux_x86_64", b"\0GLIBC_2.34\0")
    own = {"alpha.so": elf() + b"\0GLIBC_2.35\0"}
    make_wheel(client.links, "alpha-1.0", "cp311-cp311-linux_x86_64", files=own)

    with pytest.raises(BundleError, match=r"newer libc .* Python 3\.11 .* with glibc 2\.31 .*alpha 1\.0"):
        client.equipped(alpha, cluster=NODES)
