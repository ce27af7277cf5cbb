"""The scripts say what they install before they do, and which package has what is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

REPOSITORY = Path(__file__).resolve().parents[4]
TOOLS = ("bash", "cat", "cksum", "dirname", "env", "head", "mkdir")
WITHOUT_VENV = f'#!/bin/sh\ncase "$*" in *ensurepip*) exit 1 ;; esac\nexec "{sys.executable}" "$@"\n'
MAKES_NOTHING = f"""#!/bin/sh
case "$*" in
  *ensurepip*) echo "$0" ;;
  *--clear*) exit 9 ;;
  *) exec "{sys.executable}" "$@" ;;
esac
"""


def run(
    directory: Path, python: str | None, *words: str, programs: Mapping[str, str] = MappingProxyType({})
) -> subprocess.CompletedProcess[str]:
    """Runs a script of a fresh clone on a machine that has this `python3` or none, and these programs."""
    clone, found = directory / "clone", directory / "bin"
    shutil.copytree(REPOSITORY / "scripts", clone / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPOSITORY / "pyproject.toml", clone)
    found.mkdir()
    for name in TOOLS:
        (found / name).symlink_to(str(shutil.which(name)))
    for name, text in {**programs, **({"python3": python} if python else {})}.items():
        (found / name).write_text(text)
        (found / name).chmod(0o755)
    environ = {"PATH": str(found), "HOME": str(directory)}
    done = subprocess.run(
        ["bash", clone / "scripts" / words[0], *words[1:]],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert not (clone / ".venv" / "bin").exists()
    return done


@pytest.mark.parametrize("script", ["check", "demo", "test"])
def test_a_python_without_venv_is_answered_with_the_package_that_has_it(tmp_path: Path, script: str) -> None:
    done = run(tmp_path, WITHOUT_VENV, script)

    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        f"error: {tmp_path}/bin/python3 has no venv or no ensurepip: install the package python3-venv"
    ]


def test_a_machine_without_python_is_told_so(tmp_path: Path) -> None:
    done = run(tmp_path, None, "check")

    assert done.returncode == 1
    assert "no Python 3.10 to 3.13 on PATH: install the packages python3 and python3-venv" in done.stderr


@pytest.mark.parametrize(
    ("words", "environments"),
    [
        (("check",), [".venv"]),
        (("demo",), [".venv"]),
        (("test", "--fast"), [".venv"]),
        (("test",), [".venv", ".venv/nodes", ".venv/user", ".venv/ray249", ".venv/airflow"]),
    ],
)
def test_what_will_be_installed_is_said_first(
    tmp_path: Path, words: tuple[str, ...], environments: list[str]
) -> None:
    done = run(tmp_path, MAKES_NOTHING, *words)

    first, *lines = done.stderr.splitlines()
    assert done.returncode == 9
    assert first.startswith(f"This installs, once, below {os.path.realpath(tmp_path)}/clone")
    lines, programs = lines[: len(environments)], lines[len(environments) : -1]
    assert [line.split()[0] for line in lines] == environments
    assert all("minute" in line for line in lines)
    missing = "iproute2 chromium zsh fish openssh-server" if words == ("test",) else ""
    assert [line.split()[-1] for line in programs if line.startswith("warning: ")] == missing.split()


@pytest.mark.skipif(os.geteuid() != 0, reason="apt installs for root alone")
def test_what_apt_will_install_is_said_before_anything_is_made(tmp_path: Path) -> None:
    done = run(tmp_path, MAKES_NOTHING, "test", programs={"apt-get": "#!/bin/sh\nexit 9\n"})

    *lines, last = done.stderr.splitlines()
    assert "This installs the package zsh through apt, for the test of completion." in lines
    assert last.startswith("making ")
