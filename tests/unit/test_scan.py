from __future__ import annotations

import codecs

import pytest

from raybundle.errors import BundleError
from raybundle.graph.conditions import Environment
from raybundle.graph.facts import Facts, Import, from_json, to_json
from raybundle.graph.scan import scan

LINUX = Environment((3, 11, 7), "linux", "x86_64", "cpython")


def imports_of(source: str, *, file: str = "job.py", attributes: bool = False) -> list[Import]:
    facts = scan(source.encode(), file, LINUX)
    return [each for each in facts.imports if attributes or each.rule != "attribute"]


def names_of(source: str, *, file: str = "job.py") -> list[str]:
    return [each.name for each in imports_of(source, file=file)]


def test_an_import_is_found_at_any_depth_with_its_line() -> None:
    expected = [Import("a.b", 3), Import("c", 4, ("d", "e"))]

    assert imports_of("class K:\n  def f(self):\n    import a.b\n    from c import d, e\n") == expected


def test_a_relative_import_keeps_its_dots() -> None:
    assert imports_of("from ..a import b\nfrom . import c") == [
        Import("..a", 1, ("b",)),
        Import(".", 2, ("c",)),
    ]


def test_an_import_from_the_future_is_no_import() -> None:
    assert imports_of("from __future__ import annotations") == []


@pytest.mark.parametrize(
    "caught", ["ImportError", "ModuleNotFoundError", "Exception", "(ValueError, ImportError)"]
)
def test_a_caught_import_is_optional(caught: str) -> None:
    assert imports_of(f"try:\n  import a\nexcept {caught}:\n  pass") == [Import("a", 2, optional=True)]


def test_an_import_under_a_handler_that_does_not_catch_it_is_required() -> None:
    assert imports_of("try:\n  import a\nexcept ValueError:\n  pass") == [Import("a", 2)]


def test_a_suppressed_import_is_optional() -> None:
    source = "import contextlib\nwith contextlib.suppress(ImportError):\n  import a"

    assert Import("a", 3, optional=True) in imports_of(source)


def test_a_fallback_names_what_it_stands_in_for() -> None:
    source = "try:\n  import a\nexcept ImportError:\n  import b"

    assert Import("b", 4, instead_of=("a",)) in imports_of(source)


def test_a_function_defined_under_a_guard_is_not_guarded_when_called() -> None:
    source = "try:\n  def f():\n    import a\nexcept ImportError:\n  pass"

    assert imports_of(source) == [Import("a", 3)]


@pytest.mark.parametrize(
    "test",
    [
        "TYPE_CHECKING",
        "typing.TYPE_CHECKING",
        "sys.version_info < (3, 11)",
        "sys.version_info[0] == 2",
        "sys.version_info[:2] < (3, 8)",
        "sys.platform == 'win32'",
        "sys.platform.startswith('dar')",
        "os.name == 'nt'",
        "not sys.platform.startswith('linux')",
        "sys.platform != 'win32' and TYPE_CHECKING",
    ],
)
def test_a_branch_that_the_target_never_takes_is_left_out(test: str) -> None:
    assert names_of(f"if {test}:\n  import never\nelse:\n  import always") == ["always"]


def test_a_branch_that_cannot_be_decided_is_taken_on_both_sides() -> None:
    assert names_of("if flag and sys.platform == 'linux':\n  import a\nelse:\n  import b") == ["a", "b"]


@pytest.mark.parametrize(
    "call",
    [
        "import importlib\nimportlib.import_module('a.b')",
        "import importlib as il\nil.import_module(name='a.b')",
        "from importlib import import_module as im\nim('a.b')",
        "from importlib import import_module\nNAME = 'a.b'\nimport_module(NAME)",
        "from importlib import import_module\nimport_module('.b', 'a')",
        "from importlib import import_module\nimport_module('..b', package='a.c')",
        "__import__('a.b')",
        "__import__('importlib').import_module('a.b')",
    ],
)
def test_a_literal_dynamic_import_is_found(call: str) -> None:
    line = call.count("\n") + 1

    assert Import("a.b", line, rule="import-module") in imports_of(call)


@pytest.mark.parametrize(
    ("argument", "prefix"),
    [
        ("f'pkg.steps.{x}'", "pkg.steps."),
        ("'pkg.steps.run_' + x", "pkg.steps.run_"),
        ("'pkg.%s' % x", "pkg."),
        ("'pkg.{}'.format(x)", "pkg."),
        ("'.' + x, 'pkg.hooks'", "pkg.hooks."),
        ("'.' + x, __package__", "."),
        ("f'{__package__}.steps.{x}'", ".steps."),
    ],
)
def test_a_literal_prefix_is_found(argument: str, prefix: str) -> None:
    source = f"from importlib import import_module\nimport_module({argument})"

    assert Import(prefix, 2, rule="prefix") in imports_of(source)


@pytest.mark.parametrize("argument", ["x", "'a' + x", "f'{x}.b'", "'.a'", ""])
def test_a_dynamic_import_without_a_literal_is_unknown(argument: str) -> None:
    facts = scan(f"import importlib\nimportlib.import_module({argument})".encode(), "job.py", LINUX)

    assert [each.line for each in facts.unknown] == [2]


def test_the_name_of_a_package_is_its_own_only_in_its_init() -> None:
    source = "from importlib import import_module\nimport_module(f'{__name__}.{x}')"

    assert Import(".", 2, rule="prefix") in imports_of(source, file="pkg/__init__.py")
    assert names_of(source, file="pkg/module.py") == ["importlib"]


def test_a_package_read_for_resources_is_reached() -> None:
    source = "from importlib import resources\nresources.files('pkg.data')"

    assert Import("pkg.data", 2, rule="resource") in imports_of(source)


def test_attributes_of_an_imported_name_may_be_submodules() -> None:
    source = "import a\nfrom b import c as d\ndef f():\n  return a.x.y(d.z)"
    expected = {Import("a", 4, ("x", "y"), "attribute"), Import("b.c", 4, ("z",), "attribute")}

    assert expected <= set(imports_of(source, attributes=True))


def test_the_literal_names_of_all_are_exports() -> None:
    facts = scan(b"__all__ = ['a']\n__all__ += ('b',)\n", "pkg/__init__.py", LINUX)

    assert facts.exports == ("a", "b")


@pytest.mark.parametrize(
    "edit",
    ["sys.path.append(x)", "sys.path += [x]", "sys.path[0:0] = [x]", "sys.path = [x]", "sys.path.pop()"],
)
def test_a_change_of_the_path_is_noted(edit: str) -> None:
    assert scan(f"import sys\n{edit}".encode(), "job.py", LINUX).path_edits == (2,)


@pytest.mark.parametrize(
    "source",
    [
        codecs.BOM_UTF8 + "é = 1\nimport a".encode(),
        "# -*- coding: latin-1 -*-\né = 1\nimport a".encode("latin-1"),
    ],
)
def test_the_encoding_that_a_source_declares_is_honoured(source: bytes) -> None:
    assert [each.name for each in scan(source, "job.py", LINUX).imports] == ["a"]


@pytest.mark.parametrize("source", [b"import a\ndef f(:\n", b"\xff = 1\n", b"import a\n\x00\n"])
def test_a_source_that_is_no_python_is_an_error_with_its_place(source: bytes) -> None:
    with pytest.raises(BundleError, match=r"cannot parse jobs/job\.py"):
        scan(source, "jobs/job.py", LINUX)


def test_a_syntax_error_names_its_line() -> None:
    with pytest.raises(BundleError, match=r"jobs/job\.py:2: "):
        scan(b"import a\ndef f(:\n", "jobs/job.py", LINUX)


def test_a_deep_expression_is_no_problem() -> None:
    source = "import a\nx = " + " + ".join(["a.b"] * 800)

    assert names_of(source) == ["a"]


def test_facts_survive_being_stored() -> None:
    facts = scan(b"try:\n  from a import b\nexcept ImportError:\n  import c\n__import__(x)", "job.py", LINUX)

    assert from_json(to_json(facts)) == facts
    assert isinstance(facts, Facts)
