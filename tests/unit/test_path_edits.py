from __future__ import annotations

import ast
from posixpath import normpath

import pytest

from raybundle.resolve.evaluate.edits import Edit, apply_edits
from raybundle.resolve.evaluate.path_edits import evaluate

FILE = "/project/jobs/job.py"


def edits_of(source: str) -> list[tuple[str, int | None]]:
    result = evaluate(
        ast.parse(f"import os, sys, site, pathlib\nfrom pathlib import Path\n{source}"),
        FILE,
        "/run",
        version=(3, 11, 7),
        first="/project/jobs",
    )
    return [(normpath(each.directory), each.index) for each in result.edits]


@pytest.mark.parametrize(
    ("expression", "directory"),
    [
        ("'/abs'", "/abs"),
        ("'lib'", "/run/lib"),
        ("'../lib'", "/lib"),
        ("os.getcwd()", "/run"),
        ("os.path.dirname(__file__)", "/project/jobs"),
        ("os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'src')", "/project/src"),
        ("os.path.join(os.path.dirname(__file__), os.pardir)", "/project"),
        ("os.path.normpath('/a/../b')", "/b"),
        ("str(Path(__file__).parent.parent / 'src')", "/project/src"),
        ("str(pathlib.Path(__file__).resolve().parents[1])", "/project"),
        ("str(Path(__file__).absolute().parent.joinpath('x', 'y'))", "/project/jobs/x/y"),
        ("f'{os.path.dirname(__file__)}/lib'", "/project/jobs/lib"),
        ("os.path.dirname(__file__) + '/lib'", "/project/jobs/lib"),
        ("str(Path.cwd())", "/run"),
        ("os.path.join(sys.path[0], '..')", "/project"),
        ("os.path.split(sys.path[0])[0]", "/project"),
        ("__file__.rsplit('/', 2)[0]", "/project"),
        ("'/py{0.major}.{0.minor}'.format(sys.version_info)", "/py3.11"),
        ("'/py{0[0]}'.format(sys.version_info)", "/py3"),
        ("'/py%d.%d' % sys.version_info[:2]", "/py3.11"),
    ],
)
def test_an_expression_is_evaluated(expression: str, directory: str) -> None:
    assert edits_of(f"sys.path.append({expression})") == [(directory, None)]


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("sys.path.insert(0, '/x')", [("/x", 0)]),
        ("sys.path.insert(-1, '/x')", [("/x", -1)]),
        ("sys.path.insert(0, '/x')\nsys.path.append(sys.path[0] + '/y')", [("/x", 0), ("/x/y", None)]),
        ("sys.path.extend(['/x', '/y'])", [("/x", None), ("/y", None)]),
        ("sys.path += ['/x']", [("/x", None)]),
        ("site.addsitedir('/x')", [("/x", None)]),
        ("HERE = os.path.dirname(__file__)\nsys.path.append(HERE)", [("/project/jobs", None)]),
        ("for each in ('x', 'y'):\n  sys.path.append(each)", [("/run/x", None), ("/run/y", None)]),
        ("if __name__ == '__main__':\n  sys.path.append('/x')", [("/x", None)]),
        ("from sys import path\npath.append('/x')", [("/x", None)]),
        ("sys.path = ['/x', '/y'] + sys.path + ['/z']", [("/x", 0), ("/y", 1), ("/z", None)]),
        ("sys.path = ['/x', *sys.path, '/z']", [("/x", 0), ("/z", None)]),
        ("sys.path[:] = ['/x'] + list(sys.path)", [("/x", 0)]),
        ("sys.path[:0] = ['/x', '/y']", [("/x", 0), ("/y", 1)]),
        ("path = sys.path\npath.insert(0, '/x')", [("/x", 0)]),
        ("add = sys.path.append\nadd('/x')", [("/x", None)]),
        ("ROOT = '/x'\nROOT += '/y'\nsys.path.append(ROOT)", [("/x/y", None)]),
        ("ROOT = Path('/x/y')\nROOT = ROOT.parent\nsys.path.append(str(ROOT))", [("/x", None)]),
        ("A = B = '/x'\nsys.path.append(B)", [("/x", None)]),
        ("A, B = '/x', '/y'\nA, B = B, A\nsys.path.append(A)", [("/y", None)]),
        ("A = '/x'\nB, *A = '/y', '/z'\nsys.path.append(A)", []),
        ("A = '/x'\nsys.argv[0], A = '/y', '/z'\nsys.path.append(A)", []),
        ("A, B = '/x', unknown()\nsys.path.append(A)", [("/x", None)]),
        ("A, B = '/x', '/y'\nA, B = pair()\nsys.path.append(A)", []),
        ("try:\n  A = '/x'\nexcept NameError:\n  A = '/y'\nsys.path.append(A)", [("/x", None)]),
        ("if __name__ != '__main__':\n  sys.path.append('/y')\nsys.path.append('/x')", [("/x", None)]),
        ("os.chdir('sub')\nsys.path.append('lib')", [("/run/sub/lib", None)]),
        ("os.chdir('sub')\nsys.path.append(os.getcwd())", [("/run/sub", None)]),
        ("import os.path as osp\nsys.path.append(osp.join('/x', 'y'))", [("/x/y", None)]),
    ],
)
def test_a_statement_is_understood(statement: str, expected: list[tuple[str, int | None]]) -> None:
    assert edits_of(statement) == expected


@pytest.mark.parametrize(
    "statement",
    [
        "sys.path.append(os.environ['X'])",
        "sys.path.append(unknown)",
        "X = f()\nsys.path.append(X)",
        "def f():\n  sys.path.append('/x')",
        "if flag:\n  sys.path.append('/x')",
        "sys.path.append(str(Path('x').parents[9]))",
        "X = '/x'\nX, Y = f()\nsys.path.append(X)",
        "X = '/x'\nif flag:\n  X = '/y'\nsys.path.append(X)",
        "X = '/x'\nwhile flag:\n  X += '/y'\nsys.path.append(X)",
        "X = '/x'\nwith f() as X:\n  pass\nsys.path.append(X)",
        "X = '/x'\ntry:\n  import a\nexcept ImportError:\n  X = '/y'\nsys.path.append(X)",
        "X = '/x'\ndef f():\n  global X\n  X = '/y'\nf()\nsys.path.append(X)",
        "X = '/x'\nprint(X := '/y')\nsys.path.append(X)",
        "if __name__ == 'other':\n  sys.path.append('/x')",
        "for X in ['/x', '/y']:\n  sys.path.append(X)\n  break",
        "import os\nos.chdir(f())\nsys.path.append('lib')",
        "import os\nif flag:\n  os.chdir('x')\nsys.path.append('lib')",
        "sys.path = ['/x']",
    ],
)
def test_what_only_the_program_knows_is_not_understood(statement: str) -> None:
    result = evaluate(ast.parse(statement), FILE, "/run")

    assert (result.edits, result.lines) == ((), frozenset())


def test_a_constant_that_is_overwritten_by_something_unknown_is_forgotten() -> None:
    assert edits_of("X = '/x'\nX = f()\nsys.path.append(X)") == []


def test_an_edit_for_a_directory_that_is_there_already_may_be_left_out() -> None:
    source = "if '/a' not in sys.path:\n  sys.path.insert(0, '/a')"
    edits = evaluate(ast.parse(source), FILE, "/run").edits

    assert apply_edits(["/b", "/a"], edits) == ["/b", "/a"]
    assert apply_edits(["/b"], edits) == ["/a", "/b"]


def test_the_test_for_one_directory_decides_about_all_edits_below_it() -> None:
    source = "if '/a' not in sys.path:\n  sys.path.insert(0, '/a')\n  sys.path.insert(0, '/b')"
    edits = evaluate(ast.parse(source), FILE, "/run").edits

    assert apply_edits(["/c"], edits) == ["/b", "/a", "/c"]
    assert apply_edits(["/a"], edits) == ["/a"]


def test_an_entry_that_is_assigned_goes() -> None:
    edits = evaluate(ast.parse("import sys\nsys.path[0] = '/x'\nsys.path[9] = '/y'"), FILE, "/run").edits

    assert apply_edits(["/a", "/b"], edits) == ["/x", "/b"]


def test_a_path_object_on_the_path_is_no_place_where_python_looks() -> None:
    assert edits_of("sys.path.insert(0, Path('/x'))") == []


def test_a_relative_entry_is_doubted_once_the_directory_changes() -> None:
    result = evaluate(ast.parse("import os, sys\nsys.path.append('lib')\nos.chdir('/x')"), FILE, "/run")

    assert result.lines == frozenset()


def test_edits_apply_in_order_and_the_first_of_two_equal_entries_counts() -> None:
    edits = [Edit("/x", 0, 1), Edit("/y", 1, 2), Edit("/a", None, 3)]

    assert apply_edits(["/a", "/b"], edits) == ["/x", "/y", "/a", "/b"]


def test_a_function_that_returns_from_a_test_of_absence_leaves_later_edits_alone() -> None:
    source = """\
def add(directory):
    if directory not in sys.path:
        sys.path.insert(0, directory)
        return
add("/a")
sys.path.append("/b")
"""
    edits = evaluate(ast.parse(f"import sys\n{source}"), FILE, "/run").edits

    assert [(each.directory, each.unless is None) for each in edits] == [("/a", False), ("/b", True)]


@pytest.mark.parametrize("form", ["{0.releaselevel}", "{0.x}", "{:d}", "{9}"])
def test_a_text_that_cannot_be_filled_in_is_no_fault_of_ours(form: str) -> None:
    assert edits_of(f"sys.path.append({form!r}.format(sys.version_info))") == []
