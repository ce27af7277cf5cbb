"""Plays an agent of Jenkins: runs a shell step of a Jenkinsfile, and aborts it."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.workplace import TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.workplace import Workplace

_STEP = re.compile(r"^\s*sh '([^']*)'$", re.MULTILINE)
_VARIABLE = re.compile(r"^\s*(\w+) = '([^']*)'", re.MULTILINE)
BUILD = {
    "BUILD_ID": "7",
    "BUILD_NUMBER": "7",
    "BUILD_TAG": "jenkins-team-nightly-7",
    "CI": "true",
    "EXECUTOR_NUMBER": "0",
    "JENKINS_HOME": "/var/jenkins_home",
    "JOB_BASE_NAME": "nightly",
    "JOB_NAME": "team/nightly",
    "NODE_NAME": "built-in",
    "STAGE_NAME": "run",
}
"""What Jenkins sets though nobody has told it its own URL; else there are JENKINS_URL and BUILD_URL, too."""


@dataclass(frozen=True, slots=True)
class Step:
    """A step that ended."""

    code: int
    log: str


def shell_steps(jenkinsfile: str) -> list[str]:
    """Returns the script of each `sh` step."""
    return _STEP.findall(jenkinsfile)


def variables(jenkinsfile: str) -> dict[str, str]:
    """Returns what the `environment` block sets."""
    return dict(_VARIABLE.findall(jenkinsfile))


def run_step(
    work: Workplace, script: str, environ: dict[str, str], abort_when: Callable[[str], bool] | None = None
) -> Step:
    """Runs a script as the durable-task plugin does; aborts it once `abort_when` claims so of its log."""
    control = work.directory.parent / "durable"
    control.mkdir(exist_ok=True)
    file, log = control / "script.sh.copy", control / "jenkins-log.txt"
    file.write_text(script)
    cookie = f"durable-{time.monotonic_ns():x}"
    own = {**BUILD, "WORKSPACE": str(work.directory), "JENKINS_SERVER_COOKIE": cookie, **environ}
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["nohup", "sh", "-xe", file],
            cwd=work.directory,
            env={**work.environ, **own},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    deadline, aborted = time.monotonic() + TIMEOUT, False
    while process.poll() is None:
        text = log.read_text("utf-8", "replace")
        if time.monotonic() > deadline:
            process.kill()
            raise AssertionError(text)
        if abort_when and not aborted and abort_when(text):
            aborted = True
            for pid in _marked(cookie):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)
        time.sleep(0.05)
    return Step(process.returncode, log.read_text("utf-8", "replace"))


def _marked(cookie: str) -> Iterator[int]:
    """Yields each process that has the step's cookie, as Jenkins looks for them when a step is aborted."""
    for each in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if each.name.isdigit() and cookie.encode() in (each / "environ").read_bytes():
                yield int(each.name)
