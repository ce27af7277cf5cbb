"""Options of `ray job submit` on a real cluster: working directory, variables, and pip beside a bundle."""

from __future__ import annotations

import base64
import http.server
import json
import threading
import zipfile
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING

import pytest

from tests.integration.cluster.conftest import INDEX_WORD
from tests.support.workplace import reports

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.cluster.conftest import Embedded

pytestmark = pytest.mark.ray

JOB = """
import importlib, json, os, sys
import ray
from shared import NAME

def seen():
    try:
        extra = importlib.import_module("extra_" + "pkg").NAME
    except ModuleNotFoundError:
        extra = None
    return [NAME, os.environ.get("LEVEL"), extra, "/pip/" in sys.prefix]

print("REPORT", json.dumps([seen(), ray.get(ray.remote(seen).remote()), sorted(os.listdir("."))]))
"""


def make_wheel(directory: Path) -> Path:
    """A wheel of one module, which needs nothing."""
    wheel = directory / "extra_pkg-1.0-py3-none-any.whl"
    metadata = "extra_pkg-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("extra_pkg.py", "NAME = 'extra'\n")
        archive.writestr(f"{metadata}/METADATA", "Metadata-Version: 2.1\nName: extra-pkg\nVersion: 1.0\n")
        archive.writestr(
            f"{metadata}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{metadata}/RECORD", "")
    return wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One wheel, so that Ray makes one environment of `pip` for all jobs that ask for it."""
    return make_wheel(tmp_path_factory.mktemp("wheel"))


def test_a_runtime_env_of_ray_is_merged_into_the_bundle(
    embedded: Embedded, tmp_path: Path, wheel: Path
) -> None:
    work = embedded.workplace(tmp_path / "work")
    (work.directory / "wd" / "jobs").mkdir(parents=True)
    (work.directory / "wd" / "jobs" / "job.py").write_text(JOB)
    (work.directory / "wd" / "shared.py").write_text("NAME = 'shared'\n")
    runtime_env = {"env_vars": {"LEVEL": "low"}, "pip": [str(wheel)]}
    options = ("--working-dir", "wd", "--runtime-env-json", json.dumps(runtime_env), "--env", "LEVEL=high")

    done = work.raybundle("submit", *options, "--", "python", "jobs/job.py")

    assert done.returncode == 0, done.stderr
    [[driver, task, files]] = reports(done.stdout)
    # The Python is that of an environment that Ray made; what was asked for there comes on top of the bundle.
    assert driver == task == ["shared", "high", "extra", True]
    assert {"jobs", "shared.py"} <= set(files)
    assert "Ray sets up `pip`" in done.stderr


@pytest.mark.parametrize(("installer", "comment"), [("pip", ""), ("uv", "  # raybundle: ignore")])
def test_what_ray_installs_need_not_be_installed_here(
    embedded: Embedded, tmp_path: Path, wheel: Path, installer: str, comment: str
) -> None:
    work = embedded.workplace(tmp_path / "work")
    statement = f"import extra_pkg{comment}"
    (work.directory / "job.py").write_text(
        f"import ray\n{statement}\n@ray.remote\ndef f():\n    {statement}\n    return extra_pkg.NAME\n"
        "print([extra_pkg.NAME, ray.get(f.remote())])\n"
    )
    (work.directory / "requirements.txt").write_text(f"{wheel}\n")
    runtime_env = json.dumps({installer: "requirements.txt"})

    done = work.raybundle("submit", "--runtime-env-json", runtime_env, "--", "python", "job.py")

    assert done.returncode == 0, done.stderr
    assert "['extra', 'extra']" in done.stdout


class GuardedFiles(http.server.SimpleHTTPRequestHandler):
    """Serves a directory to `me` with the password."""

    def do_GET(self) -> None:
        expected = "Basic " + base64.b64encode(f"me:{INDEX_WORD}".encode()).decode()
        if self.headers.get("Authorization") == expected:
            super().do_GET()
            return
        self.send_response(HTTPStatus.UNAUTHORIZED)
        self.send_header("WWW-Authenticate", 'Basic realm="wheels"')
        self.end_headers()

    def log_message(self, *words: object) -> None:
        """Says nothing."""


@contextmanager
def guarded(directory: Path) -> Iterator[str]:
    """Yields the `host:port` of a server of the directory's files."""
    handler = partial(GuardedFiles, directory=str(directory))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.mark.parametrize("installer", ["pip", pytest.param("uv", marks=pytest.mark.all_jobs)])
def test_a_password_of_an_index_is_refused_and_the_hint_runs_the_job(
    embedded: Embedded, tmp_path: Path, installer: str
) -> None:
    work = embedded.workplace(tmp_path / "work")
    (work.directory / "job.py").write_text("import extra_pkg\nprint(extra_pkg.NAME)\n")
    make_wheel(tmp_path)

    with guarded(tmp_path) as place:

        def submit(word: str) -> tuple[int, str, str]:
            links = f"--find-links http://me:{word}@{place}/"
            given = json.dumps({installer: ["--no-index", links, "extra-pkg"]})
            done = work.raybundle("submit", "--runtime-env-json", given, "job.py")
            return done.returncode, done.stdout, done.stderr

        refused, _, said = submit(INDEX_WORD)
        code, log, why = submit("${INDEX_WORD}")

    assert refused == 2
    assert f"runtime_env.{installer} looks like a secret" in said
    assert "write `${NAME}` in its place" in said
    assert INDEX_WORD not in said
    assert code == 0, why
    assert log.endswith("extra\n")
    assert INDEX_WORD not in log + why
