from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from raybundle.resolve.interpreter.markers import Environment
from raybundle.resolve.scan.scan import scan

if TYPE_CHECKING:
    from raybundle.resolve.facts import Facts

LINUX = Environment((3, 11, 7), "linux", "x86_64", "cpython")
IGNORE = "# raybundle: ignore"


def facts(source: str) -> Facts:
    return scan(source.encode(), "job.py", LINUX)


def names(source: str) -> list[str]:
    return [each.form.name for each in facts(source).imports]


@pytest.mark.parametrize(
    "source",
    [
        f"from a import b  {IGNORE}",
        f"from a import (  {IGNORE}\n    b,\n    c,\n)",
        f"from a import (\n    b,  {IGNORE}\n    c,\n)",
        f"from a import (\n    b,\n    {IGNORE}\n    c,\n)",
        f"from a import (\n    b,\n    c,\n)  {IGNORE}",
        f"from a import \\\n    b  {IGNORE}",
        f"import a, \\\n    b  {IGNORE}",
        f"x = 1; import a  {IGNORE}",
        f"__import__(\n    'a',\n)  {IGNORE}",
        f"__import__(  {IGNORE}\n    'a',\n)",
        f"__import__(\n    {IGNORE}\n    'a',\n)",
        f"x = [\n    __import__('a'),  {IGNORE}\n    __import__('b'),\n]",
        f"with open(\n    __import__('a'),\n) as x:  {IGNORE}\n    pass",
        f"if x:  {IGNORE}\n    pass\nelif __import__('a'):  {IGNORE}\n    pass",
        f"@__import__('a')  {IGNORE}\ndef f(): ...",
        f"def f(\n    x=__import__('a'),  {IGNORE}\n):\n    pass",
        f"PLUGINS = [  {IGNORE}\n    'a.b',\n    'c.d',\n]",
        f"PLUGINS = [\n    'a.b',\n    'c.d',\n]  {IGNORE}",
    ],
)
def test_ignore_counts_for_its_whole_statement(source: str) -> None:
    assert names(source) == []


def test_ignore_at_an_entry_of_a_list_of_names_counts_for_this_entry() -> None:
    assert names(f"PLUGINS = [\n    'a.b',  {IGNORE}\n    'c.d',\n]") == ["c.d"]


@pytest.mark.parametrize(
    "source",
    [
        f"def f():  {IGNORE}\n    import a",
        f"{IGNORE}\nimport a",
        f"import a\n{IGNORE}",
        f"if x:\n    {IGNORE}\n    import a",
        f"try:  {IGNORE}\n    import a\nfinally:\n    pass",
        f"class K:  {IGNORE}\n    import a",
    ],
)
def test_ignore_where_it_has_no_effect_is_remarked_upon(source: str) -> None:
    found = facts(source)

    assert [each.form.name for each in found.imports] == ["a"]
    assert [each.kind for each in found.remarks] == ["no-effect"]
    assert found.remarks[0].line == source[: source.index("#")].count("\n") + 1


@pytest.mark.parametrize(
    "source",
    [f"x = '{IGNORE}'\nimport a", f"x = '''\n{IGNORE}\n'''\nimport a", f"import a\nimport b  {IGNORE}"],
)
def test_ignore_elsewhere_says_nothing(source: str) -> None:
    found = facts(source)

    assert [each.form.name for each in found.imports] == ["a"]
    assert found.remarks == ()


def test_ignore_silences_what_cannot_be_known_over_several_lines() -> None:
    source = f"from importlib import import_module\nimport_module(\n    name,\n)  {IGNORE}"

    assert facts(source).unknown == ()


def test_ignore_silences_a_runtime_env_over_several_lines() -> None:
    source = f"import ray\nray.init(\n    runtime_env={{\n        'pip': ['a'],\n    }},\n)  {IGNORE}"

    assert facts(source).remarks == ()
