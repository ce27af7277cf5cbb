"""What the library refuses, as the command line does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import raybundle
from raybundle.config import CLUSTER_VARIABLE
from raybundle.errors import UsageError
from tests.support.workplace import make_workplace

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("address", ["ray://host:10001", "host:6379", "auto"])
def test_the_library_refuses_an_address_of_ray_that_is_no_dashboard_before_anything_is_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    (tmp_path / "job.py").write_text("print(1)\n")
    (tmp_path / "state").write_text("no embedded cluster starts here\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("RAYBUNDLE_LOCAL_STATE", str(tmp_path / "state"))
    monkeypatch.setenv(CLUSTER_VARIABLE, address)

    with pytest.raises(UsageError, match=f"RAY_ADDRESS is '{address}'"):
        raybundle.submit(tmp_path / "job.py")
    with pytest.raises(UsageError, match=f"RAY_ADDRESS is '{address}'"):
        raybundle.run("a-name")
    assert not (tmp_path / ".local").exists()


@pytest.mark.parametrize("words", [("submit", "job.py"), ("run", "a-name")])
def test_the_command_line_refuses_an_address_of_ray_that_is_no_dashboard(
    tmp_path: Path, words: tuple[str, str]
) -> None:
    work = make_workplace(tmp_path / "work", "plain", RAY_ADDRESS="user:secret@host:6379")

    done = work.raybundle(*words)

    assert done.returncode == 2
    assert "RAY_ADDRESS is 'host:6379'" in done.stderr
    assert "secret" not in done.stderr
