"""Airflow in an environment of its own: a home, a DAGs folder, and a connection to a Ray cluster."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.support.lacking import required_environment
from tests.support.workplace import CLEARED, PROJECTS, TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


def require_airflow() -> Path:
    """Returns the environment of Airflow; skips the test without one, and in CI that is a failure."""
    return required_environment("RAYBUNDLE_TEST_AIRFLOW_ENV", "Airflow")


@dataclass(frozen=True, slots=True)
class Airflow:
    """An installation of Airflow with a database of its own."""

    binaries: Path
    directory: Path
    """Holds the home, the DAGs, the store and the user's directories."""
    environ: Mapping[str, str]

    @property
    def dags(self) -> Path:
        return self.directory / "dags"

    def command(self, *words: str, env: Mapping[str, str] | None = None, timeout: float = TIMEOUT) -> str:
        """Runs a command of the environment to its end, and returns what it wrote."""
        done = subprocess.run(
            [self.binaries / words[0], *words[1:]],
            cwd=self.dags,
            env={**self.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=timeout,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    @contextlib.contextmanager
    def started(self, log: Path, *words: str, env: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
        """Starts a command of the environment. Its process group runs while the block runs."""
        with log.open("wb") as output:
            process = subprocess.Popen(
                [self.binaries / words[0], *words[1:]],
                cwd=self.dags,
                env={**self.environ, **env},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, 9)
            process.wait()


def make_airflow(environment: Path, directory: Path, address: str) -> Airflow:
    """Returns an installation whose default connection is a cluster; its database is made."""
    shutil.copytree(PROJECTS / "airflow", directory / "dags", ignore=shutil.ignore_patterns("__pycache__"))
    kept = {name: value for name, value in os.environ.items() if not name.startswith((*CLEARED, "AIRFLOW"))}
    connection = {"conn_type": "raybundle", "host": address, "extra": {"store": str(directory / "store")}}
    own = {
        "HOME": str(directory),
        "PATH": os.pathsep.join([str(environment / "bin"), kept.get("PATH", os.defpath)]),
        "AIRFLOW_HOME": str(directory / "home"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(directory / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW_CONN_RAYBUNDLE_DEFAULT": json.dumps(connection),
        "RAY": address,
    }
    made = Airflow(environment / "bin", directory, {**kept, **own})
    made.command("airflow", "db", "migrate")
    return made


def reports_of(output: str) -> list[dict[str, Any]]:
    """Returns what run.py of the test project reported."""
    return [json.loads(line[7:]) for line in output.splitlines() if line.startswith('REPORT {"kind"')]
