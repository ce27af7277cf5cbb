"""One tree, one digest: whoever builds it, wherever; another for anything that could change behaviour."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.workplace import PROJECTS, Workplace, make_workplace

if TYPE_CHECKING:
    from collections.abc import Callable

REPOSITORY = Path(__file__).resolve().parents[4]
TARGET_PYTHON = sys.executable


def digest_of(work: Workplace, *words: str, env: dict[str, str] | None = None) -> str:
    done = work.raybundle("--json", "plan", *(words or ("job.py",)), env=env)
    assert done.returncode == 0, done.stderr
    digest: str = json.loads(done.stdout)["bundle"]
    return digest


@pytest.fixture
def first(tmp_path: Path) -> str:
    """The digest that every other build of the same tree must give."""
    return digest_of(make_workplace(tmp_path / "first" / "work", "plain"))


@pytest.mark.slow
@pytest.mark.parametrize(
    "env",
    [
        {"TZ": "Pacific/Kiritimati"},
        {"LC_ALL": "C", "PYTHONUTF8": "0"},
        {"LC_ALL": "tr_TR.UTF-8"},
        {"PYTHONHASHSEED": "1"},
        {"PYTHONHASHSEED": "2"},
        {"USER": "somebody", "LOGNAME": "somebody"},
    ],
    ids=str,
)
def test_the_digest_is_the_same_in_any_environment(tmp_path: Path, first: str, env: dict[str, str]) -> None:
    work = make_workplace(tmp_path / "other place" / "work", "plain")

    assert digest_of(work, env=env) == first


def test_the_digest_is_the_same_under_another_umask_age_and_order(tmp_path: Path, first: str) -> None:
    work = make_workplace(tmp_path / "second" / "work")
    source = PROJECTS / "plain"
    before = os.umask(0o077)
    try:
        for file in sorted(source.rglob("*"), reverse=True):
            if file.is_file() and "__pycache__" not in file.parts:
                copy = work.directory / file.relative_to(source)
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes(file.read_bytes())
                os.utime(copy, (1, 1))
    finally:
        os.umask(before)

    assert digest_of(work) == first


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_the_digest_is_the_same_for_another_user(tmp_path: Path, first: str) -> None:
    work = make_workplace(tmp_path / "second" / "work", "plain")
    # The environment of the tests may lie where only root can look: this user may look, and own nothing.
    look = "+dac_override,+dac_read_search"
    become = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    become += [f"--inh-caps={look}", f"--ambient-caps={look}"]
    who = work.command([*become, sys.executable, "-c", "import os; print(os.getuid())"])

    done = work.command([*become, sys.executable, "-m", "raybundle", "--json", "plan", "job.py"])

    assert who.stdout == "65534\n"
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["bundle"] == first


def other_pythons() -> list[Path]:
    """Interpreters of other versions that pyenv has beside ours."""
    versions = Path(sys.base_prefix).parent
    return sorted(
        path for name in ("3.10", "3.12", "3.13") for path in versions.glob(f"{name}.*/bin/python{name}")
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", ["3.10", "3.12", "3.13"])
def test_the_digest_is_the_same_from_a_client_on_another_python(
    tmp_path: Path, first: str, name: str
) -> None:
    found = [path for path in other_pythons() if path.name == f"python{name}"]
    if not found:
        pytest.skip(f"no Python {name} beside {sys.base_prefix}")
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    assert uv is not None
    client = tmp_path / "client"
    subprocess.run([uv, "venv", "-q", "--python", found[0], client], check=True)
    python = client / "bin" / "python"
    subprocess.run([uv, "pip", "install", "-q", "--python", python, REPOSITORY], check=True)
    work = make_workplace(tmp_path / "second" / "work", "plain")

    done = work.command(
        [str(python), "-m", "raybundle", "--json", "plan", "--python", TARGET_PYTHON, "job.py"]
    )

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["bundle"] == first


def change_a_byte(directory: Path) -> None:
    (directory / "pkg" / "words.txt").write_text("one tvo\n")


def make_executable(directory: Path) -> None:
    (directory / "pkg" / "data.py").chmod(0o755)


def rename_data(directory: Path) -> None:
    (directory / "pkg" / "words.txt").rename(directory / "pkg" / "wordz.txt")


def add_data(directory: Path) -> None:
    (directory / "pkg" / "more.txt").touch()


@pytest.mark.parametrize("change", [change_a_byte, make_executable, rename_data, add_data])
def test_any_change_gives_another_digest(tmp_path: Path, first: str, change: Callable[[Path], None]) -> None:
    work = make_workplace(tmp_path / "second" / "work", "plain")

    change(work.directory)

    assert digest_of(work) != first


def test_another_order_of_roots_gives_another_digest(tmp_path: Path) -> None:
    work = make_workplace(tmp_path / "work", "two_orders")

    digests = {digest_of(work, "--root", one, "--root", two, "job.py") for one, two in ("ab", "ba")}

    assert len(digests) == 2


def test_name_and_content_cannot_be_shifted_into_each_other(tmp_path: Path) -> None:
    one, two = (make_workplace(tmp_path / name / "work", "plain") for name in ("one", "two"))
    (one.directory / "pkg" / "m.p").write_text("yX")
    (two.directory / "pkg" / "m.py").write_text("X")

    assert digest_of(one, "--include", "pkg/m.p*", "job.py") != digest_of(
        two, "--include", "pkg/m.p*", "job.py"
    )
