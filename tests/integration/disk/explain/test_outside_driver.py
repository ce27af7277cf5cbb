"""A driver outside the Jobs API is told of modules that its workers have from elsewhere."""

from __future__ import annotations

import sys
import venv
from typing import TYPE_CHECKING

import pytest

from tests.support.installed import install
from tests.support.workplace import Workplace, make_workplace

if TYPE_CHECKING:
    from pathlib import Path

DRIVER = """\
import sys

sys.path[:0] = {first!r}
import part
import raybundle

raybundle.runtime_env({what}, notify=lambda text: print(text, file=sys.stderr))
print(part.__file__)
"""


@pytest.fixture
def work(tmp_path: Path) -> Workplace:
    """A job that imports `part`; `other` has another module of that name."""
    work = make_workplace(tmp_path / "work", RAYBUNDLE_STORE=str(tmp_path / "store"))
    other = tmp_path / "other"
    other.mkdir()
    (work.directory / "part.py").write_text("")
    (other / "part.py").write_text("WORD = 1\n")
    (work.directory / "job.py").write_text("import part\n")
    return work


def said(work: Workplace, what: str, *first: Path) -> str:
    """Returns what a driver with these directories first on its path is told."""
    driver = work.directory / "notebook_like.py"
    driver.write_text(DRIVER.format(what=what, first=[str(each) for each in first]))
    done = work.command([sys.executable, str(driver)])
    assert (done.returncode, done.stdout) == (0, f"{first[0]}/part.py\n"), done.stderr
    return str(done.stderr)


def built(work: Workplace, *options: str) -> None:
    done = work.raybundle("build", "--name", "job", *options, "job.py")
    assert done.returncode == 0, done.stderr


def test_following_the_hint_ends_the_warning(work: Workplace, tmp_path: Path) -> None:
    other = tmp_path / "other"

    warned = said(work, '"job.py"', other)

    assert f"this driver has `part` from {other}/part.py" in warned
    assert f"hint: put {work.directory} before other directories on the driver's `sys.path`" in warned
    assert "this driver has" not in said(work, '"job.py"', work.directory)


@pytest.mark.slow
def test_following_the_hint_ends_the_warning_about_a_stored_bundle(work: Workplace, tmp_path: Path) -> None:
    built(work)
    other, pulled = tmp_path / "other", tmp_path / "job"

    warned = said(work, 'ref="job"', other)
    assert f"this driver has `part` from {other}/part.py, which is not project/part.py of sha256:" in warned
    assert "hint: put the files of `raybundle pull sha256:" in warned
    reference = warned.partition("raybundle pull ")[2].partition(" ")[0]
    done = work.raybundle("pull", reference, str(pulled))

    assert done.returncode == 0, done.stderr
    assert "this driver has" not in said(work, 'ref="job"', pulled / "project")
    assert "this driver has" not in said(work, 'ref="job"', work.directory)


@pytest.mark.slow
def test_following_the_hint_ends_the_warning_about_a_distribution(work: Workplace, tmp_path: Path) -> None:
    with_two, site = tmp_path / "env", tmp_path / "site-packages"
    venv.create(with_two)
    (libraries,) = with_two.glob("lib/python*/site-packages")
    install(libraries, "mini", {"mini.py": b""}, version="2.0")
    install(libraries, "idle", {"idle.py": b""}, version="2.0")
    for name in ("mini", "idle"):
        install(site, name, {f"{name}.py": b""})
    (work.directory / "part.py").write_text("import mini\n")
    (work.directory / "job.py").write_text("import idle, part\n")
    built(work, "--python", str(with_two / "bin" / "python"))

    warned = said(work, 'ref="job"', work.directory, site)
    assert "this driver has mini 1.0 loaded, and its workers have 2.0" in warned
    assert "hint: install mini==2.0 where the driver runs" in warned
    (site / "mini-1.0.dist-info").rename(site / "gone")
    install(site, "mini", {"mini.py": b""}, version="2.0")

    assert "this driver has" not in said(work, 'ref="job"', work.directory, site)
