from __future__ import annotations

import ast
import codecs
import json
from typing import get_args

import pytest

from raybundle.errors import BundleError
from raybundle.resolve.facts import (
    Attributes,
    DistributionName,
    Exports,
    Form,
    Guard,
    Import,
    ModuleText,
    PackageWalk,
    Pattern,
    Remark,
    Statement,
    from_json,
    to_json,
)
from raybundle.resolve.interpreter.markers import Environment
from raybundle.resolve.scan.scan import scan

IMPORTS = "import sys, sys as s\nfrom sys import path\np = sys.path\n"
LINUX = Environment((3, 11, 7), "linux", "x86_64", "cpython")


def imports_of(source: str, *, file: str = "job.py", attributes: bool = False) -> list[Import]:
    facts = scan(source.encode(), file, LINUX)
    return [each for each in facts.imports if attributes or each.form.rule != "attribute"]


def names_of(source: str, *, file: str = "job.py") -> list[str]:
    return [each.form.name for each in imports_of(source, file=file)]


def test_an_import_is_found_at_any_depth_with_its_line() -> None:
    expected = [
        Import(3, Statement("a.b"), Guard(deferred="function")),
        Import(4, Statement("c", ("d", "e")), Guard(deferred="function")),
    ]

    assert imports_of("class K:\n  def f(self):\n    import a.b\n    from c import d, e\n") == expected


@pytest.mark.parametrize("name", ["...b", "....b"])
def test_an_import_by_name_above_the_top_of_a_package_names_nothing(name: str) -> None:
    source = f"from importlib import import_module\nimport_module({name!r}, 'a')"

    assert "b" not in names_of(source)


def test_a_relative_import_keeps_its_dots() -> None:
    assert imports_of("from ..a import b\nfrom . import c") == [
        Import(1, Statement("..a", ("b",))),
        Import(2, Statement(".", ("c",))),
    ]


def test_an_import_from_the_future_is_no_import() -> None:
    assert imports_of("from __future__ import annotations") == []


@pytest.mark.parametrize(
    "caught", ["ImportError", "ModuleNotFoundError", "Exception", "(ValueError, ImportError)"]
)
def test_a_caught_import_is_optional(caught: str) -> None:
    assert imports_of(f"try:\n  import a\nexcept {caught}:\n  pass") == [
        Import(2, Statement("a"), Guard(optional=True))
    ]


def test_an_import_under_a_handler_that_does_not_catch_it_is_required() -> None:
    assert imports_of("try:\n  import a\nexcept ValueError:\n  pass") == [Import(2, Statement("a"))]


def test_a_suppressed_import_is_optional() -> None:
    source = "import contextlib\nwith contextlib.suppress(ImportError):\n  import a"

    assert Import(3, Statement("a"), Guard(optional=True)) in imports_of(source)


def test_a_fallback_names_what_it_stands_in_for() -> None:
    source = "try:\n  import a\nexcept ImportError:\n  import b"

    assert Import(4, Statement("b"), Guard(instead_of=("a",))) in imports_of(source)


def test_a_function_defined_under_a_guard_is_not_guarded_when_called() -> None:
    source = "try:\n  def f():\n    import a\nexcept ImportError:\n  pass"

    assert imports_of(source) == [Import(3, Statement("a"), Guard(deferred="function"))]


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


@pytest.mark.parametrize(
    "source",
    [
        "x = __import__('gone') if sys.platform == 'win32' else None",
        "if sys.platform == 'win32':\n    importlib.import_module('gone')\n    importlib.import_module(name)",
        "if sys.platform == 'win32':\n    load = importlib.import_module\n    load('gone')",
    ],
)
def test_a_dynamic_import_in_a_branch_that_the_target_never_takes_is_left_out(source: str) -> None:
    facts = scan(f"import importlib, sys\n{source}\n".encode(), "job.py", LINUX)

    assert ({each.form.name for each in facts.imports}, facts.unknown) == ({"importlib", "sys"}, ())


def test_a_branch_that_cannot_be_decided_is_taken_on_both_sides() -> None:
    assert names_of("if flag and sys.platform == 'linux':\n  import a\nelse:\n  import b") == ["a", "b"]


@pytest.mark.parametrize(
    "call",
    [
        "import importlib\nimportlib.import_module('a.b')",
        "import importlib as il\nil.import_module(name='a.b')",
        "from importlib import import_module as im\nim('a.b')",
        "from importlib import import_module\nNAME = 'a.b'\nimport_module(NAME)",
        "from importlib import import_module\nNAME, SIZE = 'a.b', 2\nimport_module(NAME)",
        "from importlib import import_module\nimport_module('.b', 'a')",
        "from importlib import import_module\nimport_module('..b', package='a.c')",
        "__import__('a.b')",
        "__import__('importlib').import_module('a.b')",
    ],
)
def test_a_literal_dynamic_import_is_found(call: str) -> None:
    line = call.count("\n") + 1

    assert Import(line, Statement("a.b", rule="import-module")) in imports_of(call)


@pytest.mark.parametrize(
    ("argument", "prefix"),
    [
        ("f'pkg.steps.{x}'", "pkg.steps.*"),
        ("f'pkg.{x}.steps'", "pkg.*.steps"),
        ("'pkg.steps.run_' + x", "pkg.steps.run_*"),
        ("'pkg.%s' % x", "pkg.*"),
        ("'pkg.%s.of_%s' % (x, y)", "pkg.*.of_*"),
        ("'pkg.{}'.format(x)", "pkg.*"),
        ("'pkg.{name}'.format(name=x)", "pkg.*"),
        ("'.' + x, 'pkg.hooks'", "pkg.hooks.*"),
        ("'.' + x, __package__", ".*"),
        ("f'{__package__}.steps.{x}'", ".steps.*"),
        ("__name__.rpartition('.')[0] + '.' + x", ".*"),
    ],
)
def test_a_literal_prefix_is_found(argument: str, prefix: str) -> None:
    source = f"from importlib import import_module\nimport_module({argument})"

    assert Import(2, Pattern(prefix)) in imports_of(source)


@pytest.mark.parametrize(
    "source",
    [
        "for x in ['a', 'b']:\n  import_module(f'pkg.{x}')",
        "for x in NAMES:\n  import_module('pkg.' + x)\nNAMES = ('a', 'b')",
        "[import_module(f'pkg.{x}') for x in NAMES]\nNAMES = {'a': 1, 'b': 2}",
        "for x, y in NAMES.items():\n  import_module(f'pkg.{y}')\nNAMES = {1: 'a', 2: 'b'}",
        "def f(x):\n  import_module(NAMES[x])\nNAMES = {1: 'pkg.a', 2: 'pkg.b'}",
        "def f(x):\n  import_module(NAMES.get(x, None))\nNAMES = {1: 'pkg.a', 2: 'pkg.b'}",
        "import_module('pkg.a' if x else 'pkg.b')",
    ],
)
def test_a_choice_among_literals_takes_just_those(source: str) -> None:
    found = imports_of(f"from importlib import import_module\n{source}")

    assert {each.form.name for each in found if each.form.rule == "import-module"} == {"pkg.a", "pkg.b"}
    assert "prefix" not in {each.form.rule for each in found}


@pytest.mark.parametrize(
    ("source", "pattern"),
    [
        ("def f(x):\n  import_module(x)", "*"),
        ("import_module(f'{x}.handlers')", "*.handlers"),
        ("def f(name):\n  import_module(name)\nname = 'a'", "*"),
    ],
)
def test_what_is_known_of_an_unknown_name_is_kept(source: str, pattern: str) -> None:
    facts = scan(f"from importlib import import_module\n{source}".encode(), "job.py", LINUX)

    assert pattern in [each.pattern for each in facts.unknown]


@pytest.mark.parametrize(
    ("argument", "name"),
    [("__path__", "."), ("[dirname(__file__)]", "."), ("a.b.__path__", "a.b"), ("c.__path__, 'c.'", "d.c")],
)
def test_a_walk_is_of_the_package_whose_path_it_has(argument: str, name: str) -> None:
    source = f"import pkgutil, a.b\nfrom d import c\npkgutil.iter_modules({argument})"

    assert Import(3, PackageWalk(name)) in imports_of(source)


def test_a_name_that_comes_from_a_walk_is_settled_by_it() -> None:
    source = "import pkgutil, importlib, a\nfor x in pkgutil.iter_modules(a.__path__):\n  "
    source += "importlib.import_module(x.name)"

    assert scan(source.encode(), "job.py", LINUX).unknown == ()


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("x = 'a.b:c'", {"a.b:c"}),
        ("f(x='a.b.C')", {"a.b.C"}),
        ("'''a.b'''", set()),
        ("def f():\n  'a.b'", set()),
        ("x: 'a.b.C' = 1", set()),
        ("def f(x: 'a.b.C') -> 'a.b.D': ...", set()),
        ("logging.getLogger('a.b')", set()),
        ("x = 'a.b c'", set()),
        ("x = f'a.b{c}'", set()),
        ("PLUGINS = ['a', 'b.c']", {"a", "b.c"}),
        ("COLUMNS = ['a', 'b']", set()),
    ],
)
def test_strings_that_may_name_modules_are_candidates(source: str, names: set[str]) -> None:
    assert {each.form.name for each in imports_of(source) if each.form.rule == "string"} == names


def test_a_line_that_is_ignored_has_no_imports() -> None:
    source = "import a  # raybundle: ignore\nx = '# raybundle: ignore'; import b"

    assert names_of(source) == ["b"]


def test_a_comment_includes_modules_and_patterns() -> None:
    source = "x = 1  # raybundle: include=a.b, c.*"

    assert imports_of(source) == [
        Import(1, Pattern("a.b", rule="comment")),
        Import(1, Pattern("c.*", rule="comment")),
    ]


@pytest.mark.parametrize("comment", ["ingore", "include=", "include=a b", "ignore=a"])
def test_a_comment_that_is_not_understood_is_a_remark(comment: str) -> None:
    facts = scan(f"import a  # raybundle: {comment}".encode(), "job.py", LINUX)

    assert [(each.line, each.kind) for each in facts.remarks] == [(1, "comment")]


@pytest.mark.parametrize("argument", ["x", "'a' + x", "f'{x}.b'", "'.a'", ""])
def test_a_dynamic_import_without_a_literal_is_unknown(argument: str) -> None:
    facts = scan(f"import importlib\nimportlib.import_module({argument})".encode(), "job.py", LINUX)

    assert [each.line for each in facts.unknown] == [2]


def test_the_name_of_a_package_is_its_own_only_in_its_init() -> None:
    source = "from importlib import import_module\nimport_module(f'{__name__}.{x}')"

    assert Import(2, Pattern(".*")) in imports_of(source, file="pkg/__init__.py")
    assert names_of(source, file="pkg/module.py") == ["importlib"]


def test_a_package_read_for_resources_is_reached() -> None:
    source = "from importlib import resources\nresources.files('pkg.data')"

    assert Import(2, Statement("pkg.data", rule="resource")) in imports_of(source)


def test_attributes_of_an_imported_name_may_be_submodules() -> None:
    source = "import a\nfrom b import c as d\ndef f():\n  return a.x.y(d.z)"
    expected = {Import(4, Attributes("a", ("x", "y"))), Import(4, Attributes("b.c", ("z",)))}

    assert expected <= set(imports_of(source, attributes=True))


def test_a_chain_of_attributes_has_the_line_where_it_stands_first() -> None:
    source = "import a\nif a.x:\n  def f(b=a.y):\n    a.x(a.y)\na.x = a.y\n"
    found = [each for each in imports_of(source, attributes=True) if each.form.rule == "attribute"]

    assert found == [Import(2, Attributes("a", ("x",))), Import(3, Attributes("a", ("y",)))]


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("f(r'a.b', R\"c.d:e\", x+'f.g')", {"a.b", "c.d:e", "f.g"}),
        ("f(b'a.b', 'x''a.b', 'c.d''x', r''r'e.f', '\"g.h\"')", set()),
        ("f('''a.b''', '''\n'c.d'.''')", set()),
    ],
)
def test_a_candidate_stands_alone_in_plain_or_raw_quotes(source: str, names: set[str]) -> None:
    assert {each.form.name for each in imports_of(source) if each.form.rule == "string"} == names


@pytest.mark.parametrize(
    ("source", "exports"),
    [
        ("__all__ = ['a']\n__all__ += ('b',)", Exports(("a", "b"))),
        ("__all__ = []\n__all__.extend(['a'])\n__all__.append('b')", Exports(("a", "b"))),
        ("from .names import __all__", Exports(modules=(".names",))),
        ("from . import x\n__all__ = ['a', *x.__all__]", Exports(("a",), (".x",))),
        ("import p.x\n__all__ = ['a'] + p.x.__all__", Exports(("a",), is_computed=True)),
        ("__all__ = [each for each in dir()]", Exports(is_computed=True)),
        ("x = 1\n__all__ = sorted(n for n in vars() if n[0] != '_')", Exports(is_computed=True)),
        ("import os\n__all__ = [n[:-3] for n in os.listdir('p')]", Exports(is_computed=True, is_listed=True)),
        (
            "__all__ = ['a']\nfor n in find(__file__): __all__.append(n)",
            Exports(("a",), is_computed=True, is_listed=True),
        ),
        ("found = []\nfound += glob('*')\nx, __all__ = 1, found", Exports(is_computed=True, is_listed=True)),
        ("__getattr__, __all__ = attach(__name__, ['a'])", Exports()),
    ],
)
def test_the_names_of_all_are_exports(source: str, exports: Exports) -> None:
    assert scan(source.encode(), "pkg/__init__.py", LINUX).exports == exports


@pytest.mark.parametrize(
    "edit",
    [
        *("sys.path.append(x)", "sys.path += [x]", "sys.path[0:0] = [x]", "sys.path = [x]", "sys.path.pop()"),
        *("del sys.path[0]", "s.path[:0] = [x]", "path[:0] = [x]", "sys.path, x = [x], 1", "p.insert(0, x)"),
    ],
)
def test_a_change_of_the_path_is_noted(edit: str) -> None:
    assert scan(f"{IMPORTS}{edit}".encode(), "job.py", LINUX).path_edits == (4,)


@pytest.mark.parametrize(
    "source",
    [
        codecs.BOM_UTF8 + "é = 1\nimport a".encode(),
        "# -*- coding: latin-1 -*-\né = 1\nimport a".encode("latin-1"),
    ],
)
def test_the_encoding_that_a_source_declares_is_honoured(source: bytes) -> None:
    assert [each.form.name for each in scan(source, "job.py", LINUX).imports] == ["a"]


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


EVERY_FORM = """
import importlib.metadata
importlib.metadata.version("thing")
import a, importlib, pkgutil, lazy_loader
from importlib import metadata
from b import *
try:
    from .c import d
except ImportError:
    import e
if __name__ == "__main__":
    importlib.import_module(f"a.{x}")
a.b.c()
for each in pkgutil.walk_packages(a.__path__): ...
metadata.entry_points(group="g")
INSTALLED_APPS = ["shop", "django.contrib.admin"]
TEXT = "a.b:c"
__all__ = ["f", *a.__all__]
__getattr__, *_ = lazy_loader.attach_stub(__name__, __file__)
app.autodiscover_tasks()
os.system("sqlfmt a")
def f(x):
    importlib.import_module(x)
    open("data/x.csv")
"""


def test_facts_survive_being_stored() -> None:
    facts = scan(EVERY_FORM.encode(), "pkg/__init__.py", LINUX)
    forms = {type(each.form) for each in facts.imports}

    assert forms == set(get_args(Form))
    assert from_json(json.loads(json.dumps(to_json(facts)))) == facts


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("__import__('p', fromlist=['s'])", Statement("p", ("s",), "import-module")),
        ("__import__('s', globals(), locals(), [], 1)", Statement(".s", rule="import-module")),
        ("exec('from p import s')", Statement("p", ("s",), "import-module")),
        ("import importlib; im = importlib.import_module; im('p')", Statement("p", rule="import-module")),
        (
            "from importlib import import_module as im; list(map(im, ['p']))",
            Statement("p", rule="import-module"),
        ),
        (
            "import runpy; runpy.run_module('p', run_name='__main__')",
            Statement("p", ("__main__",), "import-module"),
        ),
        ("import importlib.util as u; u.find_spec('p')", ModuleText("p")),
    ],
)
def test_an_import_under_another_name_is_found(call: str, expected: Form) -> None:
    assert Import(1, expected) in imports_of(call)


@pytest.mark.parametrize(
    "source",
    [
        "import runpy; runpy.run_path('x.py')",
        "import importlib.util; importlib.util.spec_from_file_location('q', 'x.py')",
        "exec(open('x.py').read())",
        "from importlib import import_module; f(import_module)",
        "__import__('s', globals(), locals(), [], n)",
    ],
)
def test_code_that_no_name_stands_for_is_unknown(source: str) -> None:
    assert [each.line for each in scan(source.encode(), "job.py", LINUX).unknown] == [1]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (
            "from importlib.util import find_spec\nif find_spec('a'):\n  import a",
            Import(3, Statement("a"), Guard(optional=True, deferred="branch")),
        ),
        (
            "try:\n  import b\nexcept ImportError:\n  pass\nelse:\n  import a",
            Import(6, Statement("a"), Guard(optional=True)),
        ),
        ("if __name__ == '__main__':\n  import a", Import(2, Statement("a"), Guard(only="main"))),
        ("if not __package__:\n  import a", Import(2, Statement("a"), Guard(only="bare"))),
        (
            "try:\n  import b\nexcept ImportError:\n  def f():\n    import a",
            Import(5, Statement("a"), Guard(instead_of=("b",), deferred="function")),
        ),
    ],
)
def test_an_import_that_need_not_happen_says_when(source: str, expected: Import) -> None:
    assert expected in imports_of(source)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        ("ray.init(num_cpus=4, ignore_reinit_error=True)", "num_cpus"),
        ("ray.init('auto', num_gpus=1, resources={'n': 1})", "num_gpus, resources"),
        (
            "if new: ray.init(object_store_memory=10**9, labels={'a': 'b'})",
            "object_store_memory, labels",
        ),
    ],
)
def test_what_ray_init_says_of_a_cluster_that_it_starts_is_a_remark(call: str, text: str) -> None:
    facts = scan(f"import ray\n{call}\n".encode(), "job.py", LINUX)

    assert facts.remarks == (Remark(2, "own-cluster", text),)


@pytest.mark.parametrize(
    "call",
    [
        "ray.init(num_cpus=None)",
        "ray.init(address='local', num_cpus=1)",
        "ray.init('local', num_cpus=1)",
        "ray.init(num_cpus=1)  # raybundle: ignore",
        "ray.init(namespace='x', log_to_driver=False)",
        "f.options(num_cpus=1).remote()",
    ],
)
def test_what_a_job_may_say_to_ray_init_is_no_remark(call: str) -> None:
    assert scan(f"import ray\n{call}\n".encode(), "job.py", LINUX).remarks == ()


@pytest.mark.parametrize(
    "source",
    [
        "import ray as r\n@r.remote\ndef f():\n    return r.data.range(5)\n",
        "import ray\nx = ray\nx.data.range(5)\n",
        "import ray\nx: object = ray\ny = x\ny.data.range(5)\n",
        "import ray\ngetattr(ray, 'data').range(5)\n",
        "import ray\nd = getattr(ray, 'data')\n",
        "r = __import__('ray')\nr.data.range(5)\n",
        "def f():\n    return __import__('ray').data.range(5)\n",
        "import importlib\nr = importlib.import_module('ray')\nr.data.range(5)\n",
        "import importlib\nimportlib.import_module('ray').data.range(5)\n",
        "import ray\nclass A:\n    def f(self):\n        self.r = ray\n        self.r.data.range(5)\n",
    ],
)
def test_attributes_of_a_module_are_seen_under_every_name_that_it_is_given(source: str) -> None:
    found = [each.form for each in imports_of(source, attributes=True)]

    assert [each for each in found if isinstance(each, Attributes) and each.chain[0] == "data"]


def test_a_name_that_is_given_to_itself_ends() -> None:
    source = "import ray\na = b\nb = a\na = a.x\na.data\nother.get('ray').data\n"

    assert imports_of(source, attributes=True) == [Import(1, Statement("ray"))]


@pytest.mark.parametrize("name", ["version", "distribution", "metadata", "requires", "files"])
def test_a_distribution_that_is_asked_about_by_name_is_used(name: str) -> None:
    source = f"from importlib.metadata import {name} as ask\nimport pkg_resources as p\nask('one')\n"
    source += "p.require('two>=1', 'three[x]; python_version > \"3\"')\n"

    used = {each.form.name for each in imports_of(source) if isinstance(each.form, DistributionName)}
    assert used == {"one", "two", "three"}


@pytest.mark.parametrize(
    "picks",
    [
        "entry_points().select(group='g.one')",
        "entry_points().get('g.one', ())",
        "points = entry_points()\npoints['g.one']",
        "[each for each in entry_points() if each.group == 'g.one']",
    ],
)
def test_a_group_that_is_picked_from_all_entry_points_is_the_one_that_counts(picks: str) -> None:
    assert {*names_of(f"from importlib.metadata import entry_points\n{picks}\n")[1:]} == {"g.one"}


def test_all_groups_count_if_the_source_does_not_say_which() -> None:
    assert names_of("from importlib.metadata import entry_points\nlist(entry_points())\n")[1:] == ["*"]


def test_names_that_are_sums_of_each_other_are_evaluated_once_for_each_depth() -> None:
    # Evaluated anew for each use, these take minutes.
    sums = "\n".join(f'a = a + b + "x{number}"\nb = b + a' for number in range(300))
    facts = scan(f'{sums}\nname = f"{{a}}.views"\n'.encode(), "job.py", LINUX)

    assert facts.imports == ()


def test_names_that_are_items_of_each_other_are_evaluated_once_for_each_depth() -> None:
    # Evaluated anew for each use, and with each equal value, these fill the memory.
    tables = "t = [u[0], u[1]]\nu = [v[0], v[1]]\nv = ['x', 'y']\n" * 300
    facts = scan(f"{tables}name = t[0] + '.views'\n".encode(), "job.py", LINUX)

    assert facts.imports == ()


def test_values_of_a_name_are_written_out_once_to_look_for_python(monkeypatch: pytest.MonkeyPatch) -> None:
    written, unparse = list[str](), ast.unparse

    def noted(node: ast.AST) -> str:
        written.append(text := unparse(node))
        return text

    monkeypatch.setattr(ast, "unparse", noted)
    lists = "".join(f"tool = pick({number})\nrun([tool, 'tool{number}.py'])\n" for number in range(50))

    scan(f"import sys\nfrom subprocess import run\ntool = sys.executable\n{lists}".encode(), "job.py", LINUX)
    scan(f"from subprocess import run\n{lists}python = sys.executable\n".encode(), "job.py", LINUX)

    assert len(written) <= 100


def test_a_list_that_begins_with_a_name_is_a_command_if_the_name_is_python() -> None:
    source = (
        "import sys\nimport subprocess\npython = sys.executable\nother = 1\n"
        "subprocess.run([python, 'tool'])\nsubprocess.run([other, 'file'])\n"
    )
    facts = scan(source.encode(), "job.py", LINUX)

    assert [(each.line, each.path) for each in facts.named] == [(5, "tool/__main__.py")]


@pytest.mark.parametrize(
    ("loads", "groups"),
    [
        ("for d in distributions():\n    for e in d.entry_points:\n        e.load()", ["*"]),
        ("[e.load() for d in distributions() for e in d.entry_points if e.group == 'g.one']", ["g.one"]),
        ("[e.load() for d in distributions() for e in d.entry_points.select(group='g.one')]", ["g.one"]),
        ("print([d.name for d in distributions()])", []),
        ("[e.load() for e in distribution('own').entry_points]", ["*", "own"]),
        ("distribution('own').entry_points.select(group='g.one')", ["g.one", "own"]),
        ("print(distribution('own').version)", ["own"]),
    ],
)
def test_entry_points_of_all_distributions_are_entry_points(loads: str, groups: list[str]) -> None:
    found = names_of(f"from importlib.metadata import distribution, distributions\n{loads}\n")[1:]

    assert [*dict.fromkeys(found)] == groups


FLAG = "class Flags:\n  WINDOWS = sys.platform == 'win32'\n"
MATCH = "match sys.platform:\n  case 'win32' | 'cygwin':\n    import never\n"


@pytest.mark.parametrize(
    "source",
    [
        f"{MATCH}  case 'linux':\n    import always",
        f"{MATCH}  case _:\n    import always",
        f"def f():\n  {MATCH.replace(chr(10), chr(10) + '  ')}  case other:\n      import always",
        "match platform.system():\n  case 'Linux':\n    import always\n  case _:\n    import never",
        f"{FLAG}if Flags.WINDOWS:\n  import never\nelse:\n  import always",
        f"{FLAG}  def load(self):\n    if self.WINDOWS:\n      import never\n    import always",
        "MYPY = False\nif MYPY:\n  import never\nimport always",
        "MYPY: bool = False\nif not MYPY:\n  import always\nelse:\n  import never",
    ],
)
def test_what_a_match_a_flag_of_a_class_or_mypy_rules_out_is_left_out(source: str) -> None:
    assert names_of(f"import sys, platform\n{source}\n")[2:] == ["always"]


@pytest.mark.parametrize(
    "source",
    [
        "match sys.platform:\n  case 'win32' if flag:\n    import a\n  case str(x):\n    import b",
        "match flag:\n  case 'win32':\n    import a\n  case _:\n    import b",
        "match sys.platform:\n  case 'linux' if flag:\n    import a\n  case _:\n    import b",
        f"{FLAG}Flags.WINDOWS = flag\nif Flags.WINDOWS:\n  import a\nimport b",
        f"{FLAG}class B:\n  WINDOWS = flag\n  def f(self):\n    if self.WINDOWS:\n      import a\nimport b",
        "MYPY = False\nMYPY = flag\nif MYPY:\n  import a\nimport b",
        "DEBUG = False\nif DEBUG:\n  import a\nimport b",
    ],
)
def test_what_a_match_or_a_flag_leaves_open_is_taken(source: str) -> None:
    found = names_of(f"import sys\n{source}\n")[1:]

    assert "b" in found
    assert ("a" in found) == ("case 'win32' if" not in source)


def test_hundreds_of_names_that_are_assigned_each_other_end() -> None:
    # Following each assignment of each name, however often it was met, takes minutes.
    assigned = "".join(f"def f{n}(self, b):\n  self.b = b\n  b = self.b\n" for n in range(300))
    source = f"import pkg\nb = pkg\n{assigned}def g(self):\n  self.b.sub.run()\n"

    assert [each.form for each in imports_of(source, attributes=True)][-1:] == [
        Attributes("pkg", ("sub", "run"))
    ]
