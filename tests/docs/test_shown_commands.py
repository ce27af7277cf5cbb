"""Every command line that a page shows runs in a test."""

from __future__ import annotations

import re

from tests.docs.shown_commands import ELSEWHERE, IN_THE_CLONE, NOT_RUN, ON_DISK, ROOT, shown


def test_every_command_of_a_page_runs_in_a_test() -> None:
    known = {*ON_DISK, *IN_THE_CLONE, *ELSEWHERE, *NOT_RUN}

    unknown = [f"{page}: {command}" for page, command in shown() if command not in known]
    assert not unknown, "say in tests/docs/shown_commands.py which test runs it:\n" + "\n".join(unknown)
    assert len(known) == sum(map(len, (ON_DISK, IN_THE_CLONE, ELSEWHERE, NOT_RUN)))


def test_the_tests_that_run_them_are_there_and_use_the_command() -> None:
    wrong, on_pages = [], {command for _, command in shown()}
    for command, place in ELSEWHERE.items():
        if command not in on_pages:
            continue
        file, _, test = place.partition("::")
        text = (ROOT / file).read_text("utf-8")
        words = re.findall(r"raybundle (?:--\w+ )?([a-z]+)", command)
        if (test and f"def {test}(" not in text) or not all(
            re.search(rf"\b{word}\b", text) for word in words
        ):
            wrong.append((command, place))

    assert wrong == []
