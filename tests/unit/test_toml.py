"""TOML files: where a damaged file or a value of the wrong shape is told."""

from pathlib import Path

import pytest

from raybundle.config import load_settings, user_file
from raybundle.errors import UsageError
from raybundle.formats.toml import value_at
from raybundle.resolve.driver.console_script import declares_script

WRONG_SHAPES = {
    "tool = 1\n": "`tool` in",
    "[tool]\nraybundle = 'x'\n": "`tool.raybundle` in",
    "[tool.raybundle]\nprofiles = 3\n": "`tool.raybundle.profiles` in",
    "[tool.raybundle.profiles]\nnight = ['x']\n": "`tool.raybundle.profiles.night` in",
}


@pytest.mark.parametrize(("text", "named"), WRONG_SHAPES.items())
def test_a_value_that_is_not_a_table_is_told_with_file_and_key(tmp_path: Path, text: str, named: str) -> None:
    file = tmp_path / "pyproject.toml"
    file.write_text(text, "utf-8")

    with pytest.raises(UsageError, match="must be a table") as caught:
        load_settings({}, {}, tmp_path, "night")

    assert str(caught.value).startswith(f"{named} {file}")


def test_a_profile_of_the_user_that_is_not_a_table_is_told_with_file_and_key(tmp_path: Path) -> None:
    environ = {"XDG_CONFIG_HOME": str(tmp_path)}
    file = user_file(environ)
    file.parent.mkdir()
    file.write_text("[profiles]\nnight = 3\n", "utf-8")

    with pytest.raises(UsageError) as caught:
        load_settings({}, environ, tmp_path, "night")

    assert str(caught.value) == f"`profiles.night` in {file} must be a table, and is 3"


@pytest.mark.parametrize("content", [b"[tool", b"\xff"])
def test_a_damaged_file_is_told_with_its_path(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "pyproject.toml"
    file.write_bytes(content)

    with pytest.raises(UsageError) as caught:
        load_settings({}, {}, tmp_path)

    assert str(caught.value).startswith(f"cannot read {file}: ")


@pytest.mark.parametrize("text", ["project = 1\n", "[project]\nscripts = 'x'\n", "[project"])
def test_a_project_with_damaged_scripts_declares_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "pyproject.toml").write_text(text, "utf-8")

    assert not declares_script("x", tmp_path)


def test_a_value_below_something_that_is_not_a_table_is_absent() -> None:
    document = {"tool": {"uv": 3}}

    assert value_at(document, "tool.uv") == 3
    assert value_at(document, "tool.uv.index") is None
    assert value_at(document, "tool.poetry.index") is None
