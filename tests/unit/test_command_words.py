from __future__ import annotations

import pytest

from raybundle.cli.parser import parse


@pytest.mark.parametrize(
    ("words", "rest"),
    [
        (["submit", "job.py", "--json", "-m", "--", "x"], ["job.py", "--json", "-m", "--", "x"]),
        (["--json", "submit", "--quiet", "job.py"], ["job.py"]),
        (["--store", "submit", "submit", "job.py"], ["job.py"]),
        (["submit", "--store=s3://b", "job.py", "--store", "x"], ["job.py", "--store", "x"]),
        (["submit", "--env", "A=1", "-m", "pkg.mod", "x"], ["-m", "pkg.mod", "x"]),
        (["submit", "--submission-id", "id", "--", "python", "job.py"], ["--", "python", "job.py"]),
        (["submit", "--metadata-json", "{}", "job.py", ""], ["job.py", ""]),
        (["run", "name@3", "--flag"], ["name@3", "--flag"]),
        (["plan", "job.py"], ["job.py"]),
        (["submit"], []),
        (["list"], []),
    ],
)
def test_what_follows_the_target_is_the_jobs_own(words: list[str], rest: list[str]) -> None:
    assert parse(words).rest == rest


def test_global_options_are_taken_before_and_after_the_command() -> None:
    before = parse(["--store", "a", "--json", "list"])
    after = parse(["list", "--store", "a", "--json"])

    assert (before.store, before.json) == (after.store, after.json) == ("a", True)


def test_an_option_that_stands_in_both_places_counts_where_it_stands_last() -> None:
    assert parse(["--store", "a", "list", "--store", "b"]).store == "b"
