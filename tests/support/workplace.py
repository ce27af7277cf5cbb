"""A user's workplace: a copy of a small project, its own environment variables, and the command line."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.warm import forker

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

PROJECTS = Path(__file__).resolve().parents[1] / "projects"
TIMEOUT = 300
"""Seconds after which a command counts as hung."""
CLEARED = ("RAY_", "RAYBUNDLE_", "AWS_", "PYTEST_", "PYTHON", "XDG_", "VIRTUAL_ENV", "GITHUB_", "GITLAB_")
"""Prefixes of variables that would affect a command and must not come from the developer's shell."""


@dataclass(frozen=True, slots=True)
class Running:
    """A running command, and its output files."""

    process: subprocess.Popen[bytes]
    stdout: Path
    stderr: Path

    def wait_for(self, text: str, file: Path | None = None) -> None:
        """Waits until the command has written `text`, by default to stdout."""
        deadline = time.monotonic() + TIMEOUT
        wanted = text.encode()
        while wanted not in (file or self.stdout).read_bytes():
            if self.process.poll() is not None or time.monotonic() > deadline:
                said = (self.stdout.read_bytes()[-2000:], self.stderr.read_bytes()[-2000:])
                raise AssertionError(f"{text!r} was never written: {said}")
            time.sleep(0.02)

    def end(self) -> tuple[int, bytes, str]:
        """Waits for the end; returns exit code, stdout and stderr."""
        code = self.process.wait(TIMEOUT)
        return code, self.stdout.read_bytes(), self.stderr.read_text("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class Workplace:
    """A directory to work in, and the environment variables of its user."""

    directory: Path
    environ: Mapping[str, str]

    def raybundle(
        self,
        *words: str,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float = TIMEOUT,
    ) -> subprocess.CompletedProcess[str]:
        """Runs the command line in a process of its own and returns its outcome, with output as text."""
        fork, environ = forker(), {**self.environ, **(env or {})}
        done = fork and fork.run(words, cwd or self.directory, environ, timeout)
        return done or self.command(
            [sys.executable, "-m", "raybundle", *words], cwd=cwd, env=env, timeout=timeout
        )

    def command(
        self,
        argv: Sequence[str],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float = TIMEOUT,
    ) -> subprocess.CompletedProcess[str]:
        """Runs any command as this user."""
        return subprocess.run(
            argv,
            cwd=cwd or self.directory,
            env={**self.environ, **(env or {})},
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",  # a job's log may be anything
            check=False,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
        )

    @contextlib.contextmanager
    def started(self, *words: str, env: Mapping[str, str] | None = None) -> Iterator[Running]:
        """Starts the command line. It runs while the block runs and is killed at its end."""
        number = len(list(self.directory.parent.glob("started-*.out")))
        stdout, stderr = (self.directory.parent / f"started-{number}.{kind}" for kind in ("out", "err"))
        with stdout.open("wb") as out, stderr.open("wb") as err:
            process = subprocess.Popen(
                [sys.executable, "-m", "raybundle", *words],
                cwd=self.directory,
                env={**self.environ, **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )
        running = Running(process, stdout, stderr)
        try:
            yield running
        finally:
            process.kill()
            process.wait()

    def build(self, *words: str) -> str:
        """Builds a bundle and returns its digest."""
        done = self.raybundle("build", *words)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


def make_workplace(directory: Path, project: str | None = None, **environ: str) -> Workplace:
    """Copies a project of tests/projects to `directory`, with the user's directories beside it."""
    if project is None:
        directory.mkdir(parents=True, exist_ok=True)
    else:
        shutil.copytree(PROJECTS / project, directory, ignore=shutil.ignore_patterns("__pycache__"))
    kept = {name: value for name, value in os.environ.items() if not name.startswith(CLEARED)}
    home = directory.parent / f"{directory.name}-home"
    home.mkdir(exist_ok=True)
    own = {"HOME": str(home), "RAY_USAGE_STATS_ENABLED": "0", "PYTHONUTF8": "1"}
    return Workplace(directory, {**kept, **own, **environ})


def reports(output: str) -> list[Any]:
    """Returns the data that a job of tests/projects printed in lines with the prefix `REPORT `."""
    return [json.loads(line[7:]) for line in output.splitlines() if line.startswith("REPORT ")]
