from __future__ import annotations

import pytest

from raybundle.cli.entrypoint.python_options import read_python_options
from raybundle.errors import UsageError


@pytest.mark.parametrize(
    ("words", "options", "rest"),
    [
        ("job.py -u x", [], ["job.py", "-u", "x"]),
        ("-u job.py", [], ["job.py"]),
        ("-uIm pkg -E", ["-I"], ["-m", "pkg", "-E"]),
        ("-uc pass -m", [], ["-c", "pass", "-m"]),
        ("-mpkg.mod x", [], ["-m", "pkg.mod", "x"]),
        ("-P -sE job.py", ["-P", "-s", "-E"], ["job.py"]),
        ("-W error -Wignore::X -X dev job.py", ["-Werror", "-Wignore::X", "-Xdev"], ["job.py"]),
        ("-BqR --check-hash-based-pycs never -v job.py", ["-v"], ["job.py"]),
        ("", [], []),
    ],
)
def test_options_of_python_end_where_its_target_begins(
    words: str, options: list[str], rest: list[str]
) -> None:
    assert read_python_options(words.split()) == (tuple(options), rest)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-uS", "job.py"], "`-S` of Python cannot be carried out"),
        (["-OO", "job.py"], "`-O` of Python cannot be carried out"),
        (["-Z", "job.py"], "`-Z` of Python cannot be carried out"),
        (["-W"], "`-W` of Python has no value"),
        (["-m"], "`-m` of Python has no value"),
        (["-"], "`python -` reads its script from a terminal"),
        (["--version"], "`--version` is not an option"),
    ],
)
def test_options_that_no_job_can_have_are_refused(words: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_python_options(words)
