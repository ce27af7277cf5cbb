"""Plays the runner of GitHub Actions: runs a step, reads its commands and outputs, and cancels it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tests.support.workplace import Workplace

INTERRUPT, TERMINATE = 7.5, 2.5
"""Seconds that the runner waits after SIGINT, and after SIGTERM, before it kills."""
_COMMAND = re.compile(r"\s*::([\w-]+)(?: (.*?))?::(.*)", re.DOTALL)
_OLD = re.compile(r"##\[([\w-]+)(?: [^\]]*)?\]")


@dataclass(frozen=True, slots=True)
class Step:
    """A step that ended."""

    code: int
    stdout: str
    stderr: str
    outputs: dict[str, str]
    summary: str

    @property
    def commands(self) -> list[tuple[str, str, str]]:
        """Name, properties and message of each command that the runner would carry out."""
        return [*commands(self.stdout.splitlines()), *commands(self.stderr.splitlines())]


def commands(lines: Iterable[str]) -> list[tuple[str, str, str]]:
    """Returns the commands in the lines of a stream."""
    found, stopped = list[tuple[str, str, str]](), None
    for line in lines:
        match = _COMMAND.match(line)
        old = _OLD.search(line)
        if stopped is not None:
            stopped = None if match and match[1] == stopped else stopped
        elif match:
            found.append((match[1], match[2] or "", match[3]))
            stopped = match[3] if match[1] == "stop-commands" else None
        elif old:
            found.append((old[1], "", ""))
    return found


def run_step(
    work: Workplace, script: str, cancel_when: Callable[[str], bool] | None = None, **environ: str
) -> Step:
    """Runs a script as `shell: bash` does; cancels it once `cancel_when` claims so of its stdout."""
    files = {name: work.directory.parent / name.lower() for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    for file in files.values():
        file.write_text("")
    step = work.directory.parent / "step.sh"
    step.write_text(script)
    own = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_WORKSPACE": str(work.directory),
        "GITHUB_RUN_ID": "4711",
        "GITHUB_RUN_ATTEMPT": "1",
        "GITHUB_JOB": "train",
        "GITHUB_ACTION": "__run",
        **{name: str(file) for name, file in files.items()},
        **environ,
    }
    with (
        subprocess.Popen(
            ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", step],
            cwd=work.directory,
            env={**work.environ, **own},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process,
        ThreadPoolExecutor(1) as pool,
    ):
        assert process.stdout is not None
        assert process.stderr is not None
        errors = pool.submit(process.stderr.read)
        text, cancelled = b"", False
        while piece := os.read(process.stdout.fileno(), 1 << 16):
            text += piece
            if cancel_when and not cancelled and cancel_when(text.decode()):
                cancelled = True
                _cancel(process)
        code, stderr = process.wait(), errors.result().decode()
    outputs = dict(line.split("=", 1) for line in files["GITHUB_OUTPUT"].read_text().splitlines())
    return Step(code, text.decode(), stderr, outputs, files["GITHUB_STEP_SUMMARY"].read_text())


def _cancel(process: subprocess.Popen[bytes]) -> None:
    """Signals the process of the step alone, as the runner does, and kills it if it does not end."""
    for number, wait in ((signal.SIGINT, INTERRUPT), (signal.SIGTERM, TERMINATE)):
        process.send_signal(number)
        deadline = time.monotonic() + wait
        while time.monotonic() < deadline:
            if process.poll() is not None:
                return
            time.sleep(0.05)
    process.kill()
