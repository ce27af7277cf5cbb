"""What people paste after `--` runs, or is answered with a line that does: each row is typed by a shell."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from raybundle.cli.entrypoint.classify import classify
from raybundle.cli.entrypoint.surroundings import surroundings
from raybundle.cli.parser import parse
from raybundle.cli.request import parse_command
from raybundle.errors import UsageError
from tests.support.pasted import CARRIED_OUT, FILES, follow
from tests.support.pasted_answers import ANSWERED
from tests.support.small_project import tree

if TYPE_CHECKING:
    from raybundle.cli.entrypoint.model import Run


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = tree(tmp_path / "p", FILES)
    monkeypatch.chdir(directory)
    return directory


@pytest.mark.parametrize(("typed", "runs"), CARRIED_OUT, ids=[typed for typed, _ in CARRIED_OUT])
@pytest.mark.usefixtures("project")
def test_what_can_be_carried_out_is(typed: str, runs: Run) -> None:
    assert classify(shlex.split(typed), surroundings(), pasted=True) == runs


@pytest.mark.parametrize(("typed", "runs"), CARRIED_OUT, ids=[typed for typed, _ in CARRIED_OUT])
@pytest.mark.usefixtures("project")
def test_without_the_dashes_the_same_words_run_the_same(typed: str, runs: Run) -> None:
    assert classify(shlex.split(typed), surroundings(), pasted=False) == runs


@pytest.mark.parametrize(("typed", "text", "hint"), ANSWERED, ids=[row[0] for row in ANSWERED])
@pytest.mark.usefixtures("project")
def test_what_cannot_is_answered_word_for_word(typed: str, text: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_command(["--", *shlex.split(typed)])

    assert (str(caught.value), caught.value.hint, caught.value.exit_code) == (text, hint, 2)


WITH_LINE = [row for row in ANSWERED if "type `raybundle" in row[2]]


@pytest.mark.parametrize(("typed", "_text", "hint"), WITH_LINE, ids=[row[0] for row in WITH_LINE])
@pytest.mark.usefixtures("project")
def test_the_line_of_an_answer_is_carried_out(
    monkeypatch: pytest.MonkeyPatch, typed: str, _text: str, hint: str
) -> None:
    line = follow(hint, Path())
    if "type `cd scripts`" in hint:
        monkeypatch.chdir("scripts")

    command = parse_command(parse(shlex.split(line)[1:]).rest)
    given = shlex.split(typed)
    assert set(command.arguments) <= {*given, "--lr", "1", "--fast"}
