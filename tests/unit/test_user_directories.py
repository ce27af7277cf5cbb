"""The user's directories, as the XDG Base Directory Specification has them."""

from __future__ import annotations

from pathlib import Path

from raybundle.config import cache_directory, default_store, user_file


def test_a_relative_directory_of_the_user_is_no_setting() -> None:
    named = {"XDG_CACHE_HOME": "here", "XDG_DATA_HOME": ".", "XDG_CONFIG_HOME": "../config", "HOME": "/me"}
    expected = [
        Path("/me/.cache/raybundle"),
        "/me/.local/share/raybundle/store",
        Path("/me/.config/raybundle/config.toml"),
    ]

    assert [cache_directory(named), default_store(named), user_file(named)] == expected
    assert cache_directory({"XDG_CACHE_HOME": "/there", "HOME": "/me"}) == Path("/there/raybundle")
