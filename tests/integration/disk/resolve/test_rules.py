"""Each rule by which one module reaches another, on a project of its own and against the real interpreter."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from raybundle.bundle.collect import collect
from raybundle.cache.documents import Cache
from raybundle.content import read
from raybundle.errors import BundleError, UnresolvedImportError
from raybundle.model import Resolution, Rule, ScriptTarget
from raybundle.resolve.interpreter.describe import describe
from raybundle.resolve.missing.complete import require_complete
from raybundle.resolve.resolve import ResolveSettings, resolve
from tests.support.known import knowing
from tests.support.small_project import tree

PROJECTS = Path(__file__).parents[3] / "projects"
OBSERVED = """
import json, runpy, sys
project, answer = sys.argv[1:]
sys.argv[:] = ["job.py"]
sys.path[0] = project
runpy.run_path("job.py", run_name="__main__")
files = {name: getattr(module, "__file__", None) or "" for name, module in sys.modules.items()}
json.dump([name for name, file in files.items() if file.startswith(project)], open(answer, "w"))
"""

SAME: dict[Rule, frozenset[str]] = {
    "import-module": frozenset({"string"}),
    "lazy-table": frozenset({"import-module", "prefix", "attribute"}),
}
"""Rules that see the same names in the projects of these."""


@dataclass(frozen=True)
class Case:
    """A project, the rule that it shows, what the rule takes, and what else is reached without it."""

    rule: Rule
    taken: frozenset[str]
    without: frozenset[str]


def case(rule: Rule, taken: str, without: str = "") -> Case:
    return Case(rule, frozenset(taken.split()), frozenset(without.split()))


CASES = [
    case("import-module", "readers readers.of_csv readers.of_json", "loading"),
    case("string", "flow flow.clean flow.score flow.sinks flow.sinks.disk", "settings"),
    case(
        "prefix",
        "models.kinds models.kinds.linear models.kinds.linear.model models.kinds.tree "
        "models.kinds.tree.model",
        "models models.loading",
    ),
    case(
        "walk",
        "checks.rules.deep checks.rules.deep.nested checks.rules.size",
        "checks checks.finding checks.rules",
    ),
    case("lazy-table", "shapes.lines shapes.surface shapes.surface.area shapes.curves", "shapes"),
    case("config-file", "app.steps app.steps.first app.steps.second", "app app.run"),
    case(
        "django-app",
        "shop shop.apps shop.models stock stock.apps stock.models stock.migrations "
        "stock.migrations.0001_initial",
        "site_settings",
    ),
    case("resource", "tables tables.raw"),
    case("comment", "left left.side right right.side"),
    case("attribute", "toolbox.saw", "toolbox toolbox_setup"),
]


@pytest.fixture
def work(tmp_path: Path) -> Path:
    return tmp_path.resolve()


def resolved(project: Path, python: str = sys.executable, off: frozenset[str] = frozenset()) -> Resolution:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    found = describe(Path(python), environ, project, knowing(project.parent / "cache"))
    settings = ResolveSettings(rules_off=off)
    result = resolve(
        ScriptTarget(project / "job.py"), settings, found, project, knowing(project.parent / "cache")
    )
    require_complete(result)
    return result


def really_imported(project: Path) -> set[str]:
    answer = project.parent / "answer.json"
    command = [sys.executable, "-c", OBSERVED, str(project), str(answer)]
    subprocess.run(command, cwd=project, check=True, capture_output=True)
    return set(json.loads(answer.read_text())) - {"__main__"}


def names(resolution: Resolution) -> set[str]:
    return {str(each.name) for each in resolution.modules} - {"__main__"}


@pytest.mark.parametrize("each", CASES, ids=lambda each: each.rule)
def test_a_rule_takes_what_a_real_run_loads_and_leaves_what_lies_beside(work: Path, each: Case) -> None:
    project = Path(shutil.copytree(PROJECTS / f"rule_{each.rule.replace('-', '_')}", work / "project"))
    resolution = resolved(project)

    assert names(resolution) == each.taken | each.without
    assert really_imported(project) <= names(resolution)
    assert {str(edge.imported) for edge in resolution.edges if edge.rule == each.rule} >= each.taken - {
        "shapes.surface"
    }
    assert resolution.warnings == () or each.rule == "comment"


@pytest.mark.parametrize(
    "each", [each for each in CASES if each.rule != "comment"], ids=lambda each: each.rule
)
def test_a_rule_that_is_switched_off_takes_nothing(work: Path, each: Case) -> None:
    project = Path(shutil.copytree(PROJECTS / f"rule_{each.rule.replace('-', '_')}", work / "project"))

    off = frozenset([each.rule]) | SAME.get(each.rule, frozenset())

    assert names(resolved(project, off=off)) == each.without


def installed_editable(project: Path) -> str:
    """Return the interpreter of an environment that has what an editable install of `project` writes."""
    python = project.parent / "venv/bin/python"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", project.parent / "venv"], check=True)
    site = next((project.parent / "venv/lib").glob("python*/site-packages"))
    information = site / "demo_plugins-1.2.dist-info"
    information.mkdir()
    (site / "demo_plugins.pth").write_text(f"{project}\n")
    header = "Metadata-Version: 2.4\nName: demo-plugins\nVersion: 1.2\nAuthor: me\n\n# Read me\n"
    (information / "METADATA").write_text(header)
    (information / "RECORD").write_text("demo_plugins.pth,,\n")
    readers = "[demo.readers]\ncsv = demo.of_csv:read\njson = demo.of_json:read\n"
    (information / "entry_points.txt").write_text(f"{readers}\n[demo.writers]\nxml = demo.of_xml:write\n")
    (information / "direct_url.json").write_text(
        json.dumps({"url": project.as_uri(), "dir_info": {"editable": True}})
    )
    return str(python)


def test_entry_points_of_the_project_travel_with_the_metadata_that_finds_them(work: Path) -> None:
    project = Path(shutil.copytree(PROJECTS / "rule_entry_point", work / "project"))
    resolution = resolved(project, installed_editable(project))
    for file in collect(resolution, Cache(work / "cache")):
        place = work / "node" / file.path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(read(file))
    shutil.rmtree(project)
    command = [sys.executable, "-S", str(work / "node/project/job.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)

    assert names(resolution) == {"demo", "demo.of_csv", "demo.of_json"}
    assert done.stdout == "1.2 ['read', 'read']\n"
    assert (work / "node/project/demo_plugins-1.2.dist-info/METADATA").read_text() == (
        "Metadata-Version: 2.1\nName: demo-plugins\nVersion: 1.2\n"
    )


@pytest.mark.parametrize(
    "asks",
    [
        "m.entry_points(group='demo.readers', name='csv')",
        "m.entry_points(name='csv', group='demo.readers')",
        "r.iter_entry_points('demo.readers', 'csv')",
        "r.working_set.iter_entry_points('demo.readers', name='csv')",
        "r.load_entry_point('demo-plugins', 'demo.readers', 'csv')",
    ],
)
def test_an_entry_point_that_is_asked_for_by_its_name_brings_no_others(work: Path, asks: str) -> None:
    project = Path(shutil.copytree(PROJECTS / "rule_entry_point", work / "project"))
    head = (
        "import importlib.metadata as m\ntry:\n    import pkg_resources as r\nexcept ImportError:\n    pass\n"
    )
    (project / "job.py").write_text(f"{head}print(list({asks}))\n")

    resolution = resolved(project, installed_editable(project))

    assert names(resolution) == {"demo", "demo.of_csv"}


def test_entry_points_that_are_switched_off_take_nothing(work: Path) -> None:
    project = Path(shutil.copytree(PROJECTS / "rule_entry_point", work / "project"))

    assert names(resolved(project, installed_editable(project), frozenset(["entry-point"]))) == set()


def test_a_branch_for_another_way_of_running_may_miss_its_imports(work: Path) -> None:
    files = {
        "job.py": "if __package__:\n    from . import other\nelse:\n    import helper\n",
        "helper.py": "if __name__ == '__main__':\n    import not_there\n",
    }
    for name, text in files.items():
        (work / name).write_text(text)

    assert names(resolved(work)) == {"helper"}


def test_a_branch_for_this_way_of_running_must_find_its_imports(work: Path) -> None:
    (work / "job.py").write_text("if __name__ == '__main__':\n    import not_there\n")

    with pytest.raises(UnresolvedImportError, match=r"not_there.*job\.py:2"):
        resolved(work)


def test_a_source_that_only_a_pattern_takes_may_be_no_python(work: Path) -> None:
    (work / "kinds").mkdir()
    (work / "kinds/__init__.py").touch()
    (work / "kinds/old.py").write_text("print 'Python 2'\n")
    job = "from importlib import import_module\ndef load(kind):\n    import_module(f'kinds.{kind}')\n"
    (work / "job.py").write_text(job)
    resolution = resolved(work)

    assert names(resolution) == {"kinds", "kinds.old"}
    assert [str(each.file) for each in resolution.warnings] == [str(work / "kinds/old.py")]

    (work / "job.py").write_text(job + "import kinds.old\n")
    with pytest.raises(BundleError, match=r"old\.py:1"):
        resolved(work)


def test_a_star_takes_submodules_that_all_names_elsewhere(work: Path) -> None:
    (work / "pkg").mkdir()
    (work / "pkg/__init__.py").write_text("from .names import __all__\n")
    (work / "pkg/names.py").write_text("__all__ = ['one']\n__all__.append('two')\n")
    for name in ("one", "two", "three"):
        (work / f"pkg/{name}.py").touch()
    (work / "job.py").write_text("from pkg import *\n")

    assert names(resolved(work)) == {"pkg", "pkg.names", "pkg.one", "pkg.two"}


def test_a_file_that_the_standard_library_would_import_is_named(work: Path) -> None:
    (work / "numbers.py").touch()
    (work / "job.py").write_text("import fractions\n")

    assert [(each.file, "does not travel" in each.text) for each in resolved(work).warnings] == [
        (work / "numbers.py", True)
    ]


def test_what_is_only_asked_for_is_no_distribution_that_the_job_needs(work: Path) -> None:
    (work / "job.py").write_text(
        "from importlib.util import find_spec\nHERE = find_spec('hypothesis') and find_spec('ours')\n"
    )
    (work / "ours.py").touch()
    resolution = resolved(work)

    assert names(resolution) == {"ours"}
    assert resolution.distributions == ()


def write(project: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        file = project / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return project


def test_the_attribute_that_a_package_is_asked_for_names_no_deeper_module(work: Path) -> None:
    lazy = (
        "import importlib\ndef __getattr__(name):\n    return importlib.import_module(f'{__name__}.{name}')\n"
    )
    files = {
        "job.py": "import pkg\npkg.client.N\n",
        "pkg/__init__.py": lazy,
        "pkg/client/__init__.py": "N = 1\n",
    }
    below = {"pkg/client/deep.py": "", "pkg/tools/test_it.py": "", "pkg/flat.py": ""}
    project = write(work / "project", {**files, **below})

    assert names(resolved(project)) == {"pkg", "pkg.client", "pkg.flat"}
    assert really_imported(project) <= names(resolved(project))


def test_another_function_may_ask_for_a_module_at_any_depth(work: Path) -> None:
    lazy = "import importlib\ndef load(name):\n    return importlib.import_module(f'{__name__}.{name}')\n"
    files = {"job.py": "import pkg\npkg.load('client.deep')\n", "pkg/__init__.py": lazy}
    project = write(work / "project", {**files, "pkg/client/__init__.py": "", "pkg/client/deep.py": ""})

    assert names(resolved(project)) == {"pkg", "pkg.client", "pkg.client.deep"}


def test_what_the_wheel_of_ray_brings_needs_no_distribution(work: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", work / "venv"], check=True)
    project = write(work / "project", {"job.py": "import ray\nimport psutil\nfrom colorama import Fore\n"})

    resolution = resolved(project, str(work / "venv/bin/python"))

    assert (resolution.missing, resolution.warnings) == ((), ())


@pytest.mark.parametrize(
    "source",
    [
        "from importlib import resources\ndef f():\n    resources.files(__package__)\n",
        "from importlib import import_module\nif __package__:\n    import_module(__package__)\n",
    ],
)
def test_a_module_outside_of_packages_may_ask_for_its_own_package(work: Path, source: str) -> None:
    project = tree(work / "p", {"job.py": "import module", "module.py": source})

    assert (names(resolved(project)), resolved(project).warnings) == ({"module"}, ())
