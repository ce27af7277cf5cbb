"""The tutorial, followed from its first file to its last command in a home that has nothing else."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.lacking import required_environment

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.ray, pytest.mark.slow]

PAGE = Path(__file__).parents[4] / "docs" / "tutorial.md"
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_FILES = ("job.py", "wordstat/counting.py", "wordstat/texts/tyger.txt", "wordstat/texts/raven.txt")
"""Whose contents the page shows, in its order; blocks without a command are files."""
_VARIES = re.compile(
    r"rb-\d{8}-\d{6}-\w{8}|[0-9a-f]{8,64}|[\d.]+ [KM]?i?B\b|\d{4}-\d\d-\d\d [\d:]{8}|(?:\d+ min )?[\d.]+ s\b"
    r"|\d+\.\d+(?:\.\d+)?|\d+ that they require"
)
"""Ids, digests, sizes, times and versions: they differ between machines and releases."""


def alike(text: str, home: Path) -> list[str]:
    """Returns the lines of a text without what varies."""
    plain = text.replace(str(home), "/home/you")
    return [" ".join(_VARIES.sub("…", line).split()) for line in plain.splitlines() if line.strip()]


def commands(text: str) -> Iterator[tuple[str, str]]:
    """Yields each command of the page after the installation, with the output below it."""
    for _, block in _BLOCK.findall(text):
        for each in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = each.partition("\n")
            if not re.search(r"\bvenv\b|pip install", command):
                yield command, output


def test_each_command_of_the_tutorial_prints_what_the_tutorial_shows(tmp_path: Path) -> None:
    python = required_environment("RAYBUNDLE_TEST_USER_ENV", "a user with Ray and tabulate")
    text, home = PAGE.read_text("utf-8"), tmp_path / "home"
    shown = [block for _, block in _BLOCK.findall(text) if not block.startswith("$ ")]
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "raybundle").symlink_to(Path(sys.executable).parent / "raybundle")
    for name, content in zip(_FILES, shown, strict=True):
        file = home / "poems" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    (home / "poems" / "wordstat" / "__init__.py").touch()
    (home / "poems" / "notes.txt").write_text("buy milk\n")
    environ = {
        "HOME": str(home),
        "PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin",
        "VIRTUAL_ENV": str(python),
        "LANG": "C.UTF-8",
        "RAY_USAGE_STATS_ENABLED": "0",
    }

    directory, absent, ran = home, dict[str, str](), 0
    try:
        for command, output in commands(text):
            if command.startswith("cd "):
                directory = (directory / command.removeprefix("cd ")).resolve()
                continue
            done = subprocess.run(
                ["bash", "-c", command],
                cwd=directory,
                env=environ,
                capture_output=True,
                text=True,
                check=False,
            )
            said, ran = done.stdout + done.stderr, ran + 1
            if missing := [line for line in alike(output, home) if line not in alike(said, home)]:
                absent[command] = "\n".join([f"$ {command}", *missing, "is not in:", said])
    finally:
        subprocess.run(["raybundle", "local", "down"], env=environ, check=False)

    assert ran > 10
    assert not absent, "\n".join(absent.values())
