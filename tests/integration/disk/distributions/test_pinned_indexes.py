"""What `[tool.uv.sources]` takes from one index comes from that one, whatever another has under its name."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from raybundle.errors import BundleError
from raybundle.wheels.uv.pinned_indexes import PinnedIndexes, pinned_indexes
from tests.support.client import Client, versions
from tests.support.wheels import make_wheel

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ONLINE = {"UV_NO_INDEX": "", "UV_FIND_LINKS": "", "PIP_CONFIG_FILE": "/dev/null"}
PROJECT = """
[[tool.uv.index]]
name = "ours"
url = "../ours"
explicit = true

[[tool.uv.index]]
name = "everybody"
url = "../everybody"
default = true

[tool.uv.sources]
My_Own = { index = "ours" }
"""


@pytest.fixture
def client(tmp_path: Path) -> Client:
    for name in ("site", "links", "project"):
        (tmp_path / name).mkdir()
    (tmp_path / "project/pyproject.toml").write_text(PROJECT)
    return Client(tmp_path)


def offer(
    client: Client,
    index: str,
    name: str,
    text: str,
    tag: str = "py3-none-any",
    *,
    requires: Sequence[str] = (),
) -> None:
    """Puts a wheel into an index, with one module that holds `text`."""
    project = name.partition("-")[0]
    directory = client.directory / index / project.replace("_", "-")
    wheel = make_wheel(directory, name, tag, files={f"{project}.py": text.encode()}, requires=requires).name
    (directory / "index.html").write_text(f"<a href='{wheel}'>{wheel}</a>")


def source(client: Client, text: str) -> None:
    """Has the project take the distribution from elsewhere than `{ index = "ours" }`."""
    (client.project / "pyproject.toml").write_text(PROJECT.replace('{ index = "ours" }', text))


@pytest.mark.parametrize(
    "text",
    [
        '{ index = "ours" }',
        '{ index = "ours", group = "prod" }',
        """[{ index = "ours", extra = "a", marker = "python_version < '3.12'" },
        { index = "ours", extra = "b", marker = "python_version >= '3.12'" }]""",
    ],
)
def test_of_two_indexes_with_one_name_the_one_that_the_project_names_counts(
    client: Client, text: str
) -> None:
    source(client, text)
    for index in ("ours", "everybody"):
        offer(client, index, "my_own-1.0", f"of = '{index}'")
    offer(client, "everybody", "alpha-1.0", "")
    own, alpha = client.install("my_own-1.0"), client.install("alpha-1.0")
    own = replace(own, name="my-own")

    found = client.retargeted(alpha, own, python="3.12", environ=ONLINE)

    assert versions(found) == {"alpha": "1.0", "my-own": "1.0"}
    metadata = found.distributions[1].metadata
    assert metadata is not None
    assert (metadata.parent / "my_own.py").read_text() == "of = 'ours'"


@pytest.mark.parametrize("indexes", [["ours", "everybody"], ["ours"]])
def test_what_only_the_target_requires_comes_from_the_index_that_the_project_names_too(
    client: Client, indexes: list[str]
) -> None:
    for index in indexes:
        offer(client, index, "my_own-1.0", f"of = '{index}'", requires=["beta"])
    requires = ["my-own; python_version >= '3.12'"]
    offer(client, "everybody", "alpha-1.0", "", requires=requires)
    offer(client, "everybody", "beta-1.0", "")
    alpha = client.install("alpha-1.0", requires=requires)

    found = client.retargeted(alpha, python="3.12", environ=ONLINE)

    assert versions(found) == {"alpha": "1.0", "beta": "1.0", "my-own": "1.0"}
    metadata = found.distributions[2].metadata
    assert metadata is not None
    assert (metadata.parent / "my_own.py").read_text() == "of = 'ours'"


def test_what_only_the_target_requires_is_refused_where_the_named_index_has_no_such_version(
    client: Client,
) -> None:
    offer(client, "ours", "my_own-1.0", "")
    offer(client, "everybody", "my_own-2.0", "")
    requires = ["my-own>1; python_version >= '3.12'"]
    offer(client, "everybody", "alpha-1.0", "", requires=requires)
    alpha = client.install("alpha-1.0", requires=requires)

    with pytest.raises(BundleError, match=r"do not fit together .* my-own"):
        client.retargeted(alpha, python="3.12", environ=ONLINE)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{ index = "our" }', r"no index is declared as `our`"),
        (
            '[{ index = "ours", extra = "a" }, { index = "everybody", extra = "b" }]',
            r"`everybody` or `ours`, by extra or group",
        ),
    ],
)
def test_where_it_is_unclear_which_index_is_meant_none_is_asked(client: Client, text: str, why: str) -> None:
    source(client, text)
    offer(client, "everybody", "my_own-1.0", "")
    own = replace(client.install("my_own-1.0"), name="my-own")

    with pytest.raises(BundleError, match=rf"does not say which index has:\nmy-own: {why}"):
        client.retargeted(own, python="3.12", environ=ONLINE)


def test_an_index_may_have_its_name_in_the_environment(client: Client) -> None:
    source(client, '{ index = "our" }')
    for index in ("ours", "everybody"):
        offer(client, index, "my_own-1.0", f"of = '{index}'")
    own = replace(client.install("my_own-1.0"), name="my-own")
    named = {"UV_INDEX": f"our={(client.directory / 'ours').as_uri()}"}

    metadata = client.retargeted(own, python="3.12", environ={**ONLINE, **named}).distributions[0].metadata

    assert metadata is not None
    assert (metadata.parent / "my_own.py").read_text() == "of = 'ours'"


def test_what_that_index_has_no_wheel_of_is_refused_though_another_has_one(client: Client) -> None:
    offer(client, "ours", "my_own-1.0", "", "cp311-cp311-linux_x86_64")
    offer(client, "everybody", "my_own-1.0", "")
    own = replace(client.install("my_own-1.0"), name="my-own")

    with pytest.raises(BundleError, match=r"of:\nmy-own 1\.0; no other version has one"):
        client.retargeted(own, python="3.12", environ=ONLINE)


def test_sources_of_the_project_count_before_those_of_its_workspace(tmp_path: Path) -> None:
    texts = {
        "ws/member": "[tool.uv.sources]\na = {index = 'x'}\nb = {path = '../b'}\n"
        "d = [{index = 'x', extra = 'gpu'}]\n[[tool.uv.index]]\nname = 'x'\nurl = 'wheels'",
        "ws": "[tool.uv.sources]\na = {index = 'y'}\nb = {index = 'y'}\n"
        "c = {index = 'y', marker = \"'a' < 'b'\"}\n"
        "e = {index = 'absent'}\n[[tool.uv.index]]\nname = 'y'\nurl = 'https://y.example'",
    }
    for name, text in texts.items():
        (tmp_path / name).mkdir(parents=True, exist_ok=True)
        (tmp_path / name / "pyproject.toml").write_text(text)

    found = pinned_indexes([tmp_path / name for name in texts])

    assert found.sources == {
        "a": [{"index": "x"}],
        "c": [{"index": "y", "marker": "'a' < 'b'"}],
        "d": [{"index": "x"}],
    }
    assert found.unclear == {"e": "no index is declared as `absent`"}
    assert found.split(["a==1", "c @ file:///c.whl", "f==2"]) == (["a==1"], ["c @ file:///c.whl", "f==2"])
    assert found.indexes["x"]["url"] == (tmp_path / "ws/member/wheels").as_uri()


def test_the_file_for_uv_says_what_the_project_says() -> None:
    marker = "python_version < '3.12' and \"é\\\" != ''"
    source = [{"index": "x", "marker": marker}]
    index = {"name": "x", "url": "https://x.example", "explicit": True, "ignore-error-codes": [403]}

    document = tomllib.loads(PinnedIndexes({"a-b": source}, {"x": index}).project_file(["a_b==1"]))

    assert document["project"]["dependencies"] == ["a_b==1"]
    assert document["tool"]["uv"] == {"index": [index], "sources": {"a-b": source}}
