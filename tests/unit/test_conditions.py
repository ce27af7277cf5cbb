from __future__ import annotations

import ast

import pytest

from raybundle.resolve.evaluate.conditions import decide
from raybundle.resolve.interpreter.markers import Environment

LINUX = Environment(version=(3, 11, 7), sys_platform="linux", machine="x86_64", implementation="cpython")


def decided(test: str) -> bool | None:
    return decide(ast.parse(test, mode="eval").body, LINUX)


@pytest.mark.parametrize(
    ("test", "holds"),
    [
        ("sys.version_info > (3, 11, 7)", True),
        ("sys.version_info <= (3, 11, 7)", False),
        ("sys.version_info == (3, 11, 7)", False),
        ("sys.version_info[:3] == (3, 11, 7)", True),
        ("sys.version_info[-1] == 0", True),
        ("sys.version_info[3] == 'final'", True),
        ("sys.version_info.micro < 7", False),
    ],
)
def test_the_version_has_five_parts_as_in_python(test: str, holds: bool) -> None:
    assert decided(test) is holds


@pytest.mark.parametrize(
    ("test", "holds"),
    [
        ("(3, 6) <= sys.version_info < (3, 8)", False),
        ("(3, 6) <= sys.version_info < (3, 12)", True),
        ("(3, 12) < sys.version_info < unknown", False),
        ("(3, 6) < sys.version_info < unknown", None),
    ],
)
def test_a_chain_of_comparisons_is_decided_part_by_part(test: str, holds: bool | None) -> None:
    assert decided(test) is holds


@pytest.mark.parametrize(
    ("test", "holds"),
    [
        ("sys.version_info[:2] == [3, 11]", False),
        ("sys.version_info[:2] in [(3, 11)]", True),
        ("sys.version_info[:2] in {(3, 11), (3, 12)}", True),
        ("sys.platform in {[]}", None),
        ("{1} == {1, 1}", True),
    ],
)
def test_a_list_is_no_tuple_and_a_set_has_no_order(test: str, holds: bool | None) -> None:
    assert decided(test) is holds


def test_a_name_of_the_file_s_own_is_not_the_interpreter_s_version() -> None:
    assert decided("version_info >= (5,)") is None


@pytest.mark.parametrize(
    ("test", "holds"),
    [
        ("platform.system() == 'Linux'", True),
        ("platform.system(1) == 'Linux'", None),
        ("platform.system(a=1) == 'Linux'", None),
        ("platform.system == 'Linux'", None),
        ("platform().system() == 'Linux'", None),
        ("sys.implementation.name == 'cpython'", True),
        ("my.sys.platform == 'linux'", None),
        ("sys[0].platform == 'linux'", None),
    ],
)
def test_a_name_is_known_by_all_its_parts(test: str, holds: bool | None) -> None:
    assert decided(test) is holds


def test_an_assignment_expression_has_the_value_that_it_assigns() -> None:
    assert decided("(system := sys.platform) == 'linux'") is True
