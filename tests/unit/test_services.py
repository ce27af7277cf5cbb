"""What CI services are told, and what they must not take for a command."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from raybundle.cli.job import job_options
from raybundle.cli.parser import parse
from raybundle.cli.request import settings_of
from raybundle.cli.services.detect import service_of
from raybundle.cli.services.github import GitHub, summary
from raybundle.cli.services.gitlab import GitLab
from raybundle.cli.services.identity import identity
from raybundle.cli.services.service import Service, dotenv
from raybundle.errors import Place, UsageError
from raybundle.submission.options import JobOptions
from tests.support.runner import commands

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

HOSTILE = ["::error::x", "  ::error::x", "\t::add-path::/x", "a ##[error]b", "::x y=1::z", "a\n::error::x"]
RUNS = [
    {"GITHUB_ACTIONS": "true", "GITHUB_RUN_ID": "1", "GITHUB_RUN_ATTEMPT": "1", "GITHUB_JOB": "a"},
    {"GITHUB_ACTIONS": "true", "GITHUB_RUN_ID": "1", "GITHUB_RUN_ATTEMPT": "2", "GITHUB_JOB": "a"},
    {"GITHUB_ACTIONS": "true", "GITHUB_RUN_ID": "1", "GITHUB_RUN_ATTEMPT": "1", "GITHUB_JOB": "b"},
    {"GITLAB_CI": "true", "CI_PIPELINE_ID": "1", "CI_JOB_ID": "1"},
    {"JENKINS_HOME": "/jenkins", "JOB_NAME": "team/ünï code", "BUILD_NUMBER": "1"},
    {"JENKINS_HOME": "/jenkins", "JOB_NAME": "x" * 400, "BUILD_NUMBER": "1"},
]


@pytest.mark.parametrize("text", HOSTILE)
def test_github_sees_no_command_in_a_text_or_in_a_document(text: str) -> None:
    service = GitHub({})

    assert commands(text.splitlines())
    assert commands(service.harmless(text).splitlines()) == []
    document = service.harmless_json(json.dumps({"text": text}))
    assert commands(document.splitlines()) == []
    assert json.loads(document) == {"text": text}


def test_a_text_without_commands_stays_as_it_is() -> None:
    text = "error: pkg::name at C:\\x, a: :b\n  hint: see http://[::1]:8265\n"

    assert GitHub({}).harmless(text) == text


def test_an_annotation_has_its_place_and_its_text_in_one_line() -> None:
    error = UsageError("wrong", places=[Place("/src/a,b/c:d.py", 3, "100%\r\nnot: this")])

    [line] = GitHub({"GITHUB_WORKSPACE": "/src"}).annotations(error)

    assert line == "::error file=a%2Cb/c%3Ad.py,line=3,title=raybundle::100%25%0D%0Anot: this"


def test_the_fence_cannot_be_guessed() -> None:
    assert GitHub({}).opening() != GitHub({}).opening()


def test_an_error_with_backticks_stays_in_its_block() -> None:
    text = summary({"error": "a\n````\n### b", "exit_code": 20})

    assert "\n`````text\na\n````\n### b\n`````\n" in text


@pytest.mark.parametrize(
    ("environ", "kind"),
    [
        ({}, Service),
        ({"CI": "true"}, Service),
        ({"GITHUB_ACTIONS": "true"}, GitHub),
        ({"GITLAB_CI": "true"}, GitLab),
        ({"GITHUB_ACTIONS": "true", "RAYBUNDLE_CI": "off"}, Service),
    ],
)
def test_a_service_is_known_by_its_variable(environ: Mapping[str, str], kind: type) -> None:
    assert type(service_of(environ)) is kind


def test_each_run_and_each_command_has_an_id_that_ray_takes() -> None:
    ids = [identity(environ, words) for environ in RUNS for words in (["a.py"], ["a.py", "b"], ["a.pyb"])]

    for each in ids:
        JobOptions(submission_id=each).check()
    assert len(set(ids)) == len(ids)
    assert ids[0] == identity(RUNS[0], ["a.py"])


def test_without_a_service_there_is_no_such_id() -> None:
    with pytest.raises(UsageError, match="this is not a run of GitHub Actions, GitLab or Jenkins"):
        identity({"CI": "true"}, [])


def test_variables_for_later_jobs_are_what_is_known() -> None:
    assert dotenv({"bundle": "sha256:1", "status": None, "exit_code": 0, "error": "x"}) == (
        "RAYJOB_BUNDLE=sha256:1\nRAYJOB_EXIT_CODE=0\n"
    )


def test_a_value_that_others_wrote_adds_no_line_to_outputs_and_variables(tmp_path: Path) -> None:
    facts = {"bundle": "x\nstatus=SUCCEEDED\rLD_PRELOAD=/x", "submission_id": "a`b", "exit_code": 20}
    outputs, page = tmp_path / "outputs", tmp_path / "summary"

    GitHub({"GITHUB_OUTPUT": str(outputs), "GITHUB_STEP_SUMMARY": str(page)}).finish(facts)

    assert len(outputs.read_text().splitlines()) == len(dotenv(facts).splitlines()) == 3
    assert "### Ray job `a'b`\n" in page.read_text()
    assert "\nstatus=" not in page.read_text()


def test_the_summary_has_no_password() -> None:
    assert "hunter2" not in summary({"error": "cannot read https://ann:hunter2@host/x"})


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (["rerun", "A"], ["rerun", "B"]),
        (["rerun", "A"], ["rerun", "--args", "x", "A"]),
        (["submit", "--env", "SEED=1", "a.py"], ["submit", "--env", "SEED", "a.py"]),
    ],
)
def test_other_runs_arguments_and_values_have_another_id(
    first: list[str], second: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in {**RUNS[0], "SEED": "2"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)

    def made(words: list[str]) -> str | None:
        arguments = parse([words[0], "--submission-id", "@ci", *words[1:]])
        return job_options(arguments, settings_of(arguments), (), "").submission_id

    assert made(first) == made(first) != made(second)
