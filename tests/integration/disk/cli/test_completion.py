"""The scripts of `completion`, in the shells that they are for."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from raybundle.cli.parser import command_parsers
from tests.support.slow import rest_slow
from tests.support.workplace import Workplace, make_workplace

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PATIENCE = 120
"""Seconds for a shell to answer on a busy machine."""
BASH = """
source ./script
function=$(complete -p raybundle | sed 's/.*-F \\([^ ]*\\).*/\\1/')
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
$function raybundle "${@: -1}" "${@: -2:1}"
printf '%s\\n' "${COMPREPLY[@]}"
"""


def in_bash(work: Workplace, *words: str) -> list[str]:
    return work.command(["bash", "--norc", "-c", BASH, "bash", *words]).stdout.split()


def in_fish(work: Workplace, *words: str) -> list[str]:
    line = " ".join(words)
    done = work.command(["fish", "--no-config", "-c", f"source ./script; complete -C '{line}'"])
    return [each.partition("\t")[0].rstrip("/") for each in done.stdout.splitlines()]


ZSH = """
PS1=
autoload -Uz compinit
compinit -u -D
eval "$(<script)"
compadd() {
  local -a matches
  (( $@[(I)-[AOD]] )) || { builtin compadd -O matches "$@"; print -rl -- $matches >>matches; }
  builtin compadd "$@"
}
zle-line-init() print REA''DY
zle -N zle-line-init
"""
"""Also writes to a file what fits: a terminal shows it only while nobody types."""


def in_zsh(work: Workplace, *words: str) -> list[str]:
    """Types a command line and a tab on a terminal of its own, and returns what fits."""
    user, shell = pty.openpty()
    process = subprocess.Popen(
        ["zsh", "-f", "-i"],
        cwd=work.directory,
        env={**work.environ, "TERM": "dumb"},
        stdin=shell,
        stdout=shell,
        stderr=shell,
        start_new_session=True,
    )
    os.close(shell)
    try:
        os.write(user, ZSH.encode())
        read_until(user, "READY")
        os.write(user, f"{' '.join(words)}\t\x15print DO''NE\n".encode())
        read_until(user, "DONE")
    finally:
        process.kill()
        process.wait()
        os.close(user)
    found = work.directory / "matches"
    words_found = found.read_text("utf-8").split()
    found.unlink()
    return words_found


def read_until(terminal: int, word: str) -> str:
    seen, deadline = b"", time.monotonic() + PATIENCE
    while word.encode() not in seen:
        ready, _, _ = select.select([terminal], [], [], max(0, deadline - time.monotonic()))
        assert ready, seen
        seen += os.read(terminal, 65536)
    return seen.decode("utf-8", "replace")


SHELLS = {"bash": in_bash, "fish": in_fish, "zsh": in_zsh}


@pytest.fixture(params=rest_slow(SHELLS, 1))
def complete(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., list[str]]:
    """Completes words in a shell that has the script; in a directory with a file and a folder."""
    name = request.param
    if not shutil.which(name):
        pytest.skip(f"{name} is not installed")
    work = make_workplace(tmp_path / "work")
    (work.directory / "job.py").touch()
    (work.directory / "jobs").mkdir()
    done = work.raybundle("completion", name)
    assert done.returncode == 0, done.stderr
    (work.directory / "script").write_text(done.stdout)
    return lambda *words: SHELLS[name](work, *words)


def test_commands_options_choices_and_files_are_completed(complete: Callable[..., list[str]]) -> None:
    commands = complete("raybundle", "s")
    options = complete("raybundle", "submit", "--entrypoint-num")
    choices = complete("raybundle", "submit", "--if-exists", "")
    files = complete("raybundle", "submit", "job")
    folders = complete("raybundle", "submit", "--working-dir", "job")

    assert {each for each in command_parsers() if each.startswith("s")} <= {*commands}
    assert {"--entrypoint-num-cpus", "--entrypoint-num-gpus"} <= {*options}
    assert "--entrypoint-memory" not in options
    assert {"attach", "fail", "new"} <= {*choices}
    assert "job.py" in files
    assert "jobs" in folders
    assert "job.py" not in folders
