"""What a newcomer types, and mistypes, in the first minutes."""

from __future__ import annotations

import os
import pty
import re
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from raybundle.cli.examples import EXAMPLES
from raybundle.cli.output.table import job_rows
from raybundle.cli.parser import command_parsers, parse
from raybundle.cluster.jobs import JobInfo
from raybundle.cluster.runtime_env import command_text
from raybundle.formats.amounts import duration_text
from tests.support.workplace import make_workplace

if TYPE_CHECKING:
    from pathlib import Path


def test_raybundle_alone_prints_its_help(tmp_path: Path) -> None:
    done = make_workplace(tmp_path / "work", "plain").raybundle()

    assert done.returncode == 0
    assert done.stdout.startswith("usage: raybundle")
    assert "submit" in done.stdout


@pytest.mark.parametrize(
    ("line", "error", "hint"),
    [
        ("sumbit job.py", "there is no command `sumbit`", "did you mean `submit`?"),
        ("xyz", "there is no command `xyz`", "known are: attach, bisect, build, bundles,"),
        (
            "submit --entrypoint-num-cpu 1 job.py",
            "`raybundle submit` has no option `--entrypoint-num-cpu`",
            "did you mean `--entrypoint-num-cpus`?",
        ),
        ("plan --formt=json job.py", "has no option `--formt`", "did you mean `--format`?"),
        ("list -z", "`raybundle list` has no option `-z`", ""),
        ("status", "`raybundle status` is incomplete without ID", "`raybundle status --help` shows"),
        ("local upp", "`raybundle local` takes no `upp`", "did you mean `up`?"),
        ("plan --format jsn job.py", "`raybundle plan` takes no `jsn` as `--format`", "did you mean `json`?"),
        (
            "gc --grace soon",
            "`raybundle gc` does not understand --grace: 'soon' is not a time",
            "`raybundle gc --help` shows",
        ),
        ("status one two", "`raybundle status` takes no `two`", "`raybundle status --help` shows"),
    ],
)
def test_a_mistyped_word_is_answered_with_the_nearest(
    tmp_path: Path, line: str, error: str, hint: str
) -> None:
    done = make_workplace(tmp_path / "work", "plain").raybundle(*line.split())

    assert done.returncode == 2
    first, *rest = done.stderr.splitlines()
    assert first.startswith("error: ")
    assert error in first
    assert "".join(rest).startswith(f"hint: {hint}" if hint else "")


@pytest.mark.parametrize("command", command_parsers())
def test_every_help_ends_with_lines_that_can_be_typed(command: str) -> None:
    shown = command_parsers()[command].format_help()

    assert EXAMPLES[command]
    for line in EXAMPLES[command]:
        assert f"\n  raybundle {line}\n" in shown
        assert parse(shlex.split(line)).command == command


def test_a_variable_that_nobody_reads_is_an_error(tmp_path: Path) -> None:
    work = make_workplace(tmp_path / "work", "plain", RAYBUNDLE_STROE="/tmp/elsewhere")

    done = work.raybundle("plan", "job.py")

    assert done.returncode == 2
    assert done.stderr == "error: unknown variable RAYBUNDLE_STROE\nhint: did you mean `RAYBUNDLE_STORE`?\n"


def test_a_job_that_calls_raybundle_keeps_the_variables_of_its_boot(tmp_path: Path) -> None:
    inside = {"RAYBUNDLE_DIGEST": "sha256:" + "0" * 64, "RAYBUNDLE_TREE": "/tmp/tree"}

    done = make_workplace(tmp_path / "work", "plain", **inside).raybundle("config", "show")

    assert done.returncode == 0, done.stderr


def test_a_shim_of_a_version_that_is_not_active_is_passed_over(tmp_path: Path) -> None:
    minor = ".".join(map(str, sys.version_info[:2]))
    for name, text in {
        "shims": "#!/bin/sh\necho 'no such version is active' >&2\nexit 127\n",
        "bin": f'#!/bin/sh\nexec "{sys.executable}" "$@"\n',
    }.items():
        script = tmp_path / name / f"python{minor}"
        script.parent.mkdir()
        script.write_text(text)
        script.chmod(0o755)
    path = os.pathsep.join([str(tmp_path / "shims"), str(tmp_path / "bin"), os.environ["PATH"]])
    work = make_workplace(tmp_path / "work", "plain", PATH=path)

    done = work.raybundle("plan", "--python", minor, "job.py")

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("address", ["auto", "ray://head:10001", "head:6379", "head:10001"])
def test_an_address_of_rays_own_is_answered_alike(tmp_path: Path, address: str) -> None:
    done = make_workplace(tmp_path / "work", "plain").raybundle("--address", address, "list")

    assert done.returncode == 2
    assert f"error: '{address}' is not the address of a Ray dashboard\nhint: give a URL" in done.stderr


def coloured(tmp_path: Path, **environ: str) -> bool:
    """Whether an error on a terminal has escapes."""
    work = make_workplace(tmp_path / "work", "plain", **environ)
    control, terminal = pty.openpty()
    words = [sys.executable, "-m", "raybundle", "plan", "no-such-file.py"]
    subprocess.run(words, cwd=work.directory, env=work.environ, stderr=terminal, check=False)
    said = os.read(control, 4096)
    os.close(terminal)
    os.close(control)
    assert b"error" in said
    return b"\033[" in said


def test_a_dumb_terminal_gets_no_colours_and_one_whose_user_wants_none(tmp_path: Path) -> None:
    assert coloured(tmp_path / "a", TERM="xterm")
    assert not coloured(tmp_path / "b", TERM="dumb")
    assert not coloured(tmp_path / "c", TERM="xterm", NO_COLOR="1")


TREE = 'exec "${RAYBUNDLE_PYTHON:?the boot did not run on this node}" '


@pytest.mark.parametrize(
    ("entrypoint", "command"),
    [
        (TREE + '"$RAYBUNDLE_TREE"/project/job.py --n 1', "python job.py --n 1"),
        (TREE + '-P "$RAYBUNDLE_TREE"/project/jobs/a.py', "python jobs/a.py"),
        (TREE + "-m pkg.main 'two words'", "python -m pkg.main 'two words'"),
        (": python job.py --n 1; " + TREE + '"$RAYBUNDLE_TREE"/project/job.py --n 1', "python job.py --n 1"),
        ("python theirs.py", "python theirs.py"),
    ],
)
def test_an_entrypoint_is_shown_as_the_command_that_users_know(entrypoint: str, command: str) -> None:
    assert command_text(entrypoint) == command


def info(name: str, start: int | None, end: int | None) -> JobInfo:
    return JobInfo(name, "RUNNING", "python theirs.py", "", None, None, start, end, {}, None)


def test_jobs_are_a_table_with_a_header() -> None:
    header, first, second = job_rows([info("short", None, None), info("a-longer-id", 1_000, 66_000)])

    assert header.split() == ["ID", "STATUS", "STARTED", "TOOK", "COMMAND"]
    assert re.fullmatch(r"short +RUNNING +- +- +python theirs\.py", first)
    assert re.fullmatch(r"a-longer-id +RUNNING +\d{4}-\d\d-\d\d \d\d:\d\d:\d\d +1 min 5 s +python .*", second)
    assert header.index("COMMAND") == first.index("python") == second.index("python")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (59.94, "59.9 s"), (61, "1 min 1 s"), (7_500, "2 h 5 min"), (273_700, "3 d 4 h")],
)
def test_a_duration_is_in_words(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text
