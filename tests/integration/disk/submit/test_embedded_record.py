"""The record of the embedded cluster: a damaged one harms nobody; a closed directory is named."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from raybundle.cluster.embedded.temporary import MARK, make_temp_dir, remove_temp_dir
from tests.support.slow import rest_slow
from tests.support.workplace import make_workplace

if TYPE_CHECKING:
    from tests.support.workplace import Workplace

RECORD = {
    "address": "http://127.0.0.1:1",
    "python": sys.executable,
    "ray_version": "2.60.0",
    "processes": [{"pid": 999_999_999, "started": "another boot:1"}],
}
UNPRIVILEGED = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
"""Makes permissions apply to root as well."""


@pytest.fixture
def work(tmp_path: Path) -> Workplace:
    work = make_workplace(tmp_path / "work", XDG_STATE_HOME=str(tmp_path / "state"))
    (work.directory / "job.py").write_text("print('ran')\n")
    return work


def record(work: Workplace, text: str) -> Path:
    file = Path(work.environ["XDG_STATE_HOME"], "raybundle/local/cluster.json")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


@pytest.mark.slow
def test_a_directory_that_raybundle_did_not_make_is_never_removed(work: Workplace, tmp_path: Path) -> None:
    mine, made = tmp_path / "thesis", make_temp_dir()
    mine.mkdir()
    (mine / "chapter").write_text("1")
    shutil.copy(made / MARK, mine / MARK)
    try:
        for other in (mine, tmp_path / "none", Path("/"), Path("job.py")):
            file = record(work, json.dumps({**RECORD, "temp_dir": str(other)}))
            assert work.raybundle("local", "down").returncode == 0
            assert not file.exists()
        linked = tmp_path / "linked"
        linked.symlink_to(made)
        record(work, json.dumps({**RECORD, "temp_dir": str(linked)}))
        work.raybundle("local", "down")

        assert (mine / "chapter").exists()
        assert made.exists()
        record(work, json.dumps({**RECORD, "temp_dir": str(made)}))
        work.raybundle("local", "down")
        assert not made.exists()
    finally:
        remove_temp_dir(made)


@pytest.mark.parametrize(
    "text", rest_slow(["", "[1]", "[" * 9_000, '{"processes": []}', json.dumps({**RECORD, "temp_dir": 1})])
)
def test_a_damaged_record_is_none(work: Workplace, text: str) -> None:
    record(work, text)

    done = work.raybundle("local", "status")

    assert (done.returncode, done.stderr) == (0, "")
    assert "not running" in done.stdout


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("setpriv"), reason="there is no setpriv, and root may write everywhere")
@pytest.mark.parametrize("made", [False, True])
def test_a_home_that_cannot_be_written_is_one_line_and_its_hint_works(
    work: Workplace, tmp_path: Path, made: bool
) -> None:
    state = Path(work.environ["XDG_STATE_HOME"])
    (state / "raybundle/local" if made else state).mkdir(parents=True)
    closed = [state, *(each for each in state.rglob("*")), work.directory, Path(work.environ["HOME"])]
    for each in closed:
        each.chmod(0o500)
    raybundle = [*UNPRIVILEGED, sys.executable, "-m", "raybundle"]
    elsewhere = {"RAYBUNDLE_STORE": str(tmp_path / "store")}
    try:
        outcomes = {
            words: work.command([*raybundle, *words.split()], env=elsewhere)
            for words in (
                "plan job.py",
                "build job.py",
                "submit job.py",
                "local status",
                "local down",
                "local up",
            )
        }
        stored = work.command([*raybundle, "build", "job.py"])
        hinted = work.command(
            [*raybundle, "local", "down"], env={"XDG_STATE_HOME": str(tmp_path / "writable")}
        )
    finally:
        for each in closed:
            each.chmod(0o700)

    codes = {words: done.returncode for words, done in outcomes.items()}
    assert codes == {
        "plan job.py": 0,
        "build job.py": 0,
        "local status": 0,
        "submit job.py": 5,
        "local down": 5,
        "local up": 5,
    }
    for words in ("submit job.py", "local down", "local up"):
        said = outcomes[words].stderr
        assert f"error: the embedded cluster cannot be recorded in {state}" in said
        assert "hint: set XDG_STATE_HOME to a directory that can be written" in said
        assert "Traceback" not in said
    assert (stored.returncode, "Traceback" in stored.stderr) == (4, False)
    assert (hinted.returncode, hinted.stderr) == (0, "was not running\n")
