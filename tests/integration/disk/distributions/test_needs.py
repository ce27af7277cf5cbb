from __future__ import annotations

from pathlib import Path

import pytest

from raybundle.errors import UnresolvedImportError, UsageError
from raybundle.explain.reasons import reasons_of
from raybundle.resolve.distributions import lazy
from raybundle.resolve.distributions.installed import normalised_name
from raybundle.resolve.distributions.top_level import read_source
from raybundle.resolve.missing.complete import require_complete
from tests.support.clocks import later
from tests.support.site_packages import SitePackages, travelling
from tests.support.small_project import tree


@pytest.fixture
def site(tmp_path: Path) -> SitePackages:
    return SitePackages(tmp_path)


def test_what_is_imported_travels_with_what_it_requires_on_the_target(site: SitePackages) -> None:
    site.install("a-1.0", requires=["b>=1", "c; sys_platform == 'win32'", "d[fast]", "e; extra == 'more'"])
    site.install("d-1.0", requires=["f; extra == 'fast'"])
    for wheel in ("b-1.0", "c-1.0", "e-1.0", "f-1.0", "idle-1.0"):
        site.install(wheel)
    found = site.resolved("import a\n")

    assert travelling(found) == {"a", "b", "d", "f"}
    assert [each.required_by for each in found.distributions] == ["", "a", "a", "d"]


def test_what_an_import_at_the_top_level_of_a_reached_module_needs_travels_though_nothing_requires_it(
    site: SitePackages,
) -> None:
    site.install(
        "a-1.0",
        {"a/__init__.py": "from . import (  # (all)\n    core,\n)\n", "a/core.py": "from .deep import x\n"},
    )
    site.write({"a/deep.py": "import os, b.part as part\n"})
    site.install("b-1.0", {"b/__init__.py": "import c", "b/part.py": ""}, ["c"])
    site.install("c-1.0", {"c.py": "from d import \\\n    y\n"})
    site.install("d-1.0")
    found = site.resolved("import a\n")

    assert [(each.name, each.required_by, each.imported_by) for each in found.distributions] == [
        ("a", "", ""),
        ("b", "a", "a.deep"),
        ("c", "b", ""),
        ("d", "c", "c"),
    ]


def test_a_declared_distribution_of_a_namespace_brings_what_its_packages_import(site: SitePackages) -> None:
    site.install("space_a-1.0", {"space/deep/a/__init__.py": "import other\n"})
    site.install("other-1.0")

    assert travelling(site.resolved("", include=("space-a",))) == {"space-a", "other"}


@pytest.mark.parametrize(
    "source",
    [
        "try:\n    import b\nexcept ImportError:\n    b = None\n",
        "def later():\n    import b\n",
        "if False:\n    import b\n",
        '"""Usage:\n\nimport b\nfrom b import x\n"""\n',
        "X = '''\nimport b\n'''\n",
        "important = 1\n",
        "# import b\n",
        "this is no Python\nimport b\n",
    ],
)
def test_what_a_run_may_do_without_is_not_taken(site: SitePackages, source: str) -> None:
    site.install("a-1.0", {"a.py": source})
    site.install("b-1.0")

    assert travelling(site.resolved("import a\n")) == {"a"}


@pytest.mark.parametrize("dots", ["...", "...."])
def test_a_relative_import_above_the_top_of_a_package_needs_nothing(site: SitePackages, dots: str) -> None:
    site.install("a-1.0", {"a/__init__.py": f"from {dots}b import c\n"})
    site.install("b-1.0", {"b/__init__.py": "", "b/c.py": ""})

    assert travelling(site.resolved("import a\n")) == {"a"}


def test_an_import_in_a_text_does_not_hide_a_later_one_that_is_none(site: SitePackages) -> None:
    site.install("a-1.0", {"a.py": '"""\nimport b\n"""\nimport b\n'})
    site.install("b-1.0")

    assert travelling(site.resolved("import a\n")) == {"a", "b"}


@pytest.mark.parametrize(
    "handlers",
    [
        "except ImportError as error:\n    raise ImportError('pip install a[b]') from error\n",
        "except ImportError as error:\n    if error.name:\n        raise\n    else:\n        raise OSError\n",
        "except ValueError:\n    raise\n\n# (late)\nexcept ImportError:\n    raise\n",
        "finally:\n    pass\n",
    ],
)
def test_what_a_reached_module_imports_in_a_try_that_raises_again_travels(
    site: SitePackages, handlers: str
) -> None:
    site.install("a-1.0", {"a/__init__.py": "", "a/b.py": f"try:\n    from b import (\n  c)\n{handlers}"})
    site.install("b-1.0", {"b/__init__.py": "", "b/c.py": "import c\n"})
    site.install("c-1.0")
    found = site.resolved("from a import b\n")

    assert travelling(found) == {"a", "b", "c"}
    assert [each.imported_by for each in found.distributions if each.name == "b"] == ["a.b"]
    assert travelling(site.resolved("import a\n")) == {"a"}


@pytest.mark.parametrize(
    "handlers",
    [
        "except ImportError:\n    b = None\n",
        "except ValueError:\n    raise\nexcept ImportError as error:\n    if error.name:\n        raise\n",
        "except ImportError:\n    b = None\nelse:\n    raise\n",
    ],
)
def test_what_a_reached_module_can_do_without_in_a_try_stays(site: SitePackages, handlers: str) -> None:
    site.install("a-1.0", {"a.py": f"try:\n    import b\n{handlers}"})
    site.install("b-1.0")

    assert travelling(site.resolved("import a\n")) == {"a"}


EITHER = """
try:
    try:
        import b
    except ImportError:
        import c as b
except ImportError:
    raise OSError("install b or c")
"""


@pytest.mark.parametrize("installed", ["b", "c"])
def test_one_of_two_without_which_a_reached_module_does_not_load_travels(
    site: SitePackages, installed: str
) -> None:
    site.install("a-1.0", {"a.py": EITHER})
    site.install(f"{installed}-1.0")

    assert travelling(site.resolved("import a\n")) == {"a", installed}


def test_the_driver_of_a_database_that_settings_of_django_name_travels(site: SitePackages) -> None:
    base = "django/db/backends/postgresql/base.py"
    packages = [f"{base.rsplit('/', depth)[0]}/__init__.py" for depth in range(1, 5)]
    site.install("django-5.0", {**dict.fromkeys(packages, ""), base: EITHER})
    site.install("c-1.0")
    databases = 'DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql", "NAME": "a"}}\n'

    assert travelling(site.resolved(f"import django\n{databases}")) == {"django", "c"}


def test_modules_that_nothing_reaches_take_nothing(site: SitePackages) -> None:
    files = {"a/__init__.py": "", "a/torch.py": "import torch\n", "a/tests/__init__.py": "import torch\n"}
    site.install("a-1.0", files)
    site.install("torch-2.0")

    assert travelling(site.resolved("import a\n")) == {"a"}
    assert travelling(site.resolved("from a import torch\n")) == {"a", "torch"}


def test_a_namespace_of_several_distributions_takes_those_that_are_imported(site: SitePackages) -> None:
    site.install("google_one-1.0", {"google/one/__init__.py": "import google.two\n"})
    site.install("google_two-1.0", {"google/two.py": ""})
    site.install("google_three-1.0", {"google/three.py": ""})

    assert travelling(site.resolved("from google import one\n")) == {"google-one", "google-two"}


def test_what_only_the_cluster_s_distributions_require_is_the_cluster_s(site: SitePackages) -> None:
    site.install("torch-2.0", requires=["nvidia", "numpy"])
    site.install("pandas-2.0", {"pandas.py": "import torch\n"}, ["numpy"])
    site.install("nvidia-1.0", {"nvidia.py": "import undeclared\n"})
    site.install("undeclared-1.0")
    site.install("numpy-2.0")
    (site.directory / "torch.py").write_text("import nvidia\n")
    found = site.resolved("import torch, pandas\n", cluster_provides=("torch", "unused"))

    assert travelling(found) == {"pandas", "numpy"}
    assert {each.name for each in found.distributions if each.provided_by == "cluster"} == {
        "torch",
        "nvidia",
        "undeclared",
    }


def test_nothing_travels_where_the_cluster_brings_the_dependencies(site: SitePackages) -> None:
    site.install("a-1.0", requires=["b"])
    site.install("b-1.0")
    found = site.resolved("import a\n", dependencies="cluster")

    assert {each.name: each.provided_by for each in found.distributions} == {"a": "cluster", "b": "cluster"}
    assert found.path == ("project:.", "stdlib", "ray")
    assert [each.metadata for each in found.distributions] == [None, None]


@pytest.mark.parametrize(
    ("edit", "path"),
    [
        ("append(X)", ("project:.", "stdlib", "layers", "root:1", "ray")),
        ("insert(2, X)", ("project:.", "stdlib", "root:1", "layers", "ray")),
        ("insert(0, X)", ("root:1", "project:.", "stdlib", "layers", "ray")),
    ],
)
def test_what_travels_stands_where_the_driver_has_its_site_packages(
    site: SitePackages, edit: str, path: tuple[str, ...]
) -> None:
    metadata = site.install("a-1.0")
    (site.work / "beside").mkdir()
    (site.work / "beside" / "mine.py").touch()
    found = site.resolved(f"import sys\nX = {str(site.work / 'beside')!r}\nsys.path.{edit}\nimport a, mine\n")

    assert found.path == path
    assert [each.metadata for each in found.distributions] == [metadata]


RAY = [
    "click>=7",
    "protobuf>=3.20.3",
    "requests; extra == 'default'",
    "numpy; extra == 'data'",
    "pyarrow>=9; extra == 'data'",
    "requests; extra == 'data'",
]


def test_ray_stays_and_what_both_need_travels_with_the_job(site: SitePackages) -> None:
    site.install("ray-2.60.0", requires=RAY)
    site.install("mine-1.0", requires=["protobuf", "ray"])
    for wheel in ("click-8.1", "protobuf-6.0", "requests-2.0"):
        site.install(wheel)
    found = site.resolved("import ray, mine\n")

    assert {each.name: each.provided_by for each in found.distributions} == {
        "click": "ray",
        "mine": "bundle",
        "protobuf": "bundle",
        "ray": "ray",
    }


def test_what_a_part_of_ray_needs_travels_unless_ray_itself_brings_it(site: SitePackages) -> None:
    site.install("ray-2.60.0", {"ray/__init__.py": "", "ray/data/__init__.py": "import pandas\n"}, RAY)
    site.install("pyarrow-20.0", requires=["click"])
    for wheel in ("click-8.1", "protobuf-6.0", "requests-2.0", "numpy-2.0", "pandas-2.0"):
        site.install(wheel)
    found = site.resolved("import ray.data\n")

    assert travelling(found) == {"numpy", "pandas", "pyarrow"}
    assert reasons_of(found)["numpy"].by == "ray[data]"
    assert reasons_of(found)["pandas"].module == "ray.data"


def test_an_editable_requirement_stays_and_what_it_requires_travels(site: SitePackages) -> None:
    site.install("a-1.0", requires=["mine"])
    mine = site.install("mine-1.0", {}, ["b"])
    (mine / "direct_url.json").write_text('{"url": "file:///mine", "dir_info": {"editable": true}}')
    site.install("b-1.0")
    found = site.resolved("import a\n")

    assert travelling(found) == {"a", "b"}
    assert [each.text for each in found.warnings] == [
        "mine, which a requires, is editable: the bundle has only what first-party code imports of it"
    ]


@pytest.mark.parametrize("named", ["scikit_learn", "Scikit.Learn", "sklearn", "sklearn.tree"])
def test_include_names_a_distribution_or_one_of_its_modules(site: SitePackages, named: str) -> None:
    files = {"sklearn/__init__.py": "import lib\n", "sklearn/tree.py": ""}
    site.install("scikit_learn-1.0", files)
    site.install("lib-1.0")
    found = site.resolved("", include=(named,))

    assert travelling(found) == {"scikit-learn", "lib"}
    assert reasons_of(found)["scikit-learn"].why == "declared"
    assert found.warnings == ()


def test_a_file_of_the_project_comes_before_a_distribution_of_its_name(site: SitePackages) -> None:
    site.install("conf-1.0")
    (site.work / "project" / "conf").mkdir(parents=True)
    (site.work / "project" / "conf" / "a.txt").touch()
    found = site.resolved("", include=("conf", "nothing"))

    assert [each.path for each in found.data] == ["project/conf/a.txt"]
    assert [each.text for each in found.warnings] == [
        "`nothing` in `include` matches no file and no installed distribution"
    ]
    assert found.distributions == ()


@pytest.mark.parametrize("named", ["lib[fast]", "lib>=1", "lip"])
def test_what_names_no_distribution_is_told_how_one_is_named(site: SitePackages, named: str) -> None:
    site.install("lib-1.0")
    [warning] = site.resolved("", include=(named,)).warnings

    assert warning.text == f"`{named}` in `include` matches no file and no installed distribution"
    assert "name alone" in str(warning.hint)


def test_a_comment_declares_a_distribution_by_its_module(site: SitePackages) -> None:
    site.install("pyarrow-20.0")
    found = site.resolved("X = 1  # raybundle: include=pyarrow\n")

    assert travelling(found) == {"pyarrow"}
    assert (reasons_of(found)["pyarrow"].why, reasons_of(found)["pyarrow"].line) == ("declared", 1)


def test_what_is_installed_and_could_be_used_is_listed_with_its_user(site: SitePackages) -> None:
    requires = ["b; extra == 'fast'", "c; extra == 'test'", "d; extra == 'all'", "e; extra == 'x'", "d"]
    site.install("a-1.0", requires=requires)
    for wheel in ("b-3.0", "c-1.0", "d-1.0"):
        site.install(wheel)
    found = site.resolved("import a\n")

    (optional,) = found.optional
    assert (optional.name, optional.version, optional.required_by) == ("b", "3.0", "a[fast]")


def test_a_plugin_of_what_is_needed_is_listed_with_the_group_of_its_entry_points(site: SitePackages) -> None:
    site.install("sqlalchemy-2.0")
    for name, group in [
        ("snow", "sqlalchemy.dialects"),
        ("other", "sqlalchemist.x"),
        ("tool", "console_scripts"),
    ]:
        folder = site.install(f"{name}-1.0")
        (folder / "entry_points.txt").write_text(f"# comment\n[ {group} ]\n{name} = {name}:main\n")
    found = site.resolved("import sqlalchemy\n")

    assert [(each.name, each.required_by) for each in found.plugins] == [
        ("snow", "sqlalchemy (sqlalchemy.dialects)")
    ]
    assert found.optional == ()


def test_an_extra_that_is_made_of_another_one_names_what_that_names(site: SitePackages) -> None:
    site.install(
        "frames-1.0",
        {"frames.py": "class Frame:\n    def to_table(self):\n        'Uses arrow.'\n"},
        requires=["arrow; extra == 'arrow'", "frames[arrow]; extra == 'table'"],
    )
    site.install("arrow-1.0")

    assert [each.text for each in site.resolved("import frames\nframes.Frame().to_table()\n").warnings] == [
        "`to_table` of frames can use arrow 1.0, installed here but not bundled"
    ]


LAZY = """
try:
    import opt as o
except ImportError:
    o = None

class Search:
    def __init__(self):
        assert o is not None

    def ask(self):
        import opt

class Frame:
    def to_text(self):
        need_import("tab").make()

    def fill(self):
        import tab

def load(name):
    import opt

def plain():
    pass
"""


@pytest.mark.parametrize(
    ("job", "told"),
    [
        ("from lib import Search\nSearch()\n", ["Search"]),
        ("import lib as l\nl.Search()\n", ["Search"]),
        ("import lib\nlib.Frame().to_text()\n", ["to_text"]),
        ("import lib\nlib.Frame()\nlib.plain()\n", []),
        ("import lib, json\njson.load()\n", []),  # another `load`
        ("import lib\nlib.load('x')\n", ["load"]),
        ("import lib\nlib.Frame().fill()\n", []),  # another class has a `fill` that imports nothing
        ("import lib\ndef to_text(x):\n    pass\nto_text(1)\n", []),
        ("import json\njson.to_text()\n", []),
        ("import lib, opt, tab\nlib.Search()\nlib.Frame().to_text()\n", []),
    ],
)
def test_a_use_of_what_imports_an_installed_distribution_that_stays_is_told_with_its_place(
    site: SitePackages, job: str, told: list[str]
) -> None:
    site.install("lib-1.0", {"lib/__init__.py": LAZY, "lib/_b.py": ""})
    site.install("other-1.0", {"other.py": ""})
    (site.directory / "lib" / "__init__.py").write_text(
        LAZY + "\nclass Other:\n    def fill(self):\n        pass\n"
    )
    for wheel in ("opt-1.0", "tab-2.0"):
        site.install(wheel)
    found = site.resolved(job)

    assert [each.text.split("`")[1] for each in found.warnings] == told
    assert [each.line for each in found.warnings] == [len(job.splitlines())] * len(told)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the library files that a search for uses reads, in its order."""
    files: list[str] = []

    def noted(file: str) -> bytes:
        files.append(Path(file).name)
        return read_source(file)

    monkeypatch.setattr(lazy, "read_source", noted)
    return files


def test_a_library_is_not_searched_unless_code_has_a_name_that_imports_what_stays(
    site: SitePackages, read: list[str]
) -> None:
    site.install("lib-1.0", {"lib.py": LAZY}, ["opt; extra == 'fast'"])
    site.install("opt-1.0")
    site.resolved("import lib\nlib.Frame()\nlib.plain()\n")

    assert read == []


def test_a_library_is_searched_once_for_the_same_names_whatever_else_is_imported(
    site: SitePackages, read: list[str]
) -> None:
    site.install("lib-1.0", {"lib/__init__.py": f"import lib.part\n{LAZY}", "lib/part.py": ""})
    for wheel in ("opt-1.0", "other-1.0"):
        site.install(wheel)
    site.clock = later
    first = site.resolved("import lib\nlib.Search()\n")
    assert sorted(read) == ["__init__.py", "part.py"]

    read.clear()
    second = site.resolved("import lib\nimport other, json\nlib.Search()\nprint(other, json)\n")

    assert read == []
    assert [each.text for each in second.warnings] == [each.text for each in first.warnings] != []
    site.install("late-1.0")
    assert site.resolved("import lib\nlib.Search()\n").warnings == first.warnings
    assert sorted(read) == ["__init__.py", "part.py"]


def test_what_the_job_does_without_is_not_told(site: SitePackages) -> None:
    site.install("lib-1.0", {"lib.py": LAZY})
    site.install("opt-1.0")

    assert site.resolved("import lib\nlib.Search()\n", optional=("opt",)).warnings == ()


def test_what_modules_of_ray_import_when_they_load_travels_unless_ray_brings_it(site: SitePackages) -> None:
    site.install(
        "ray-2.60.0",
        {
            "ray/__init__.py": "import unused\n",
            "ray/rllib/__init__.py": "",
            "ray/rllib/draw.py": "from ray.rllib.base import x\nif x:\n    import torch\n",
            "ray/rllib/base.py": "import PIL, msgpack, psutil\n",
        },
        requires=["msgpack"],
    )
    site.install("pillow-1.0", {"PIL/__init__.py": "import jpeg\n"})
    for wheel in ("jpeg-1.0", "msgpack-1.0", "psutil-1.0", "torch-2.0", "unused-1.0"):
        site.install(wheel)
    found = site.resolved("import ray\nfrom ray.rllib import draw\n")

    assert travelling(found) == {"pillow", "jpeg"}
    assert {each.name: each.imported_by for each in found.distributions}["pillow"] == "ray.rllib.base"
    assert travelling(site.resolved("import ray\n")) == set()
    assert travelling(site.resolved("import ray.rllib.draw\n", dependencies="cluster")) == set()


@pytest.mark.parametrize(
    "job",
    [
        "from own import lib\nlib.part.f()\n",
        "from passing import lib\nlib.part.f()\n",
        "import own\nown.lib.part.f()\n",
        "import passing as p\np.lib.part.f()\n",
        "from renaming import brief\nbrief.part.f()\n",
        "import renaming\nrenaming.other.part.f()\n",
        "import lazy_loader\nlate = lazy_loader.load('lib')\nlate.part.f()\n",
    ],
)
def test_an_attribute_of_a_library_that_first_party_code_passes_on_is_its_module(
    site: SitePackages, job: str
) -> None:
    renaming = "import lib as brief\nother = brief\n"
    files = {"own.py": "import lib\n", "passing.py": "from own import lib, lib\n", "renaming.py": renaming}
    tree(site.work / "project", files)
    site.install("lib-1.0", {"lib/__init__.py": "", "lib/part.py": "import other\n"})
    site.install("other-1.0")
    site.install("lazy_loader-1.0")

    assert travelling(site.resolved(job)) - {"lazy-loader"} == {"lib", "other"}


def test_what_reached_modules_import_on_some_way_alone_is_known(site: SitePackages) -> None:
    lazy = (
        "import known\ntry:\n    import one.part as part, two\nexcept ImportError:\n    pass\n"
        "def later():\n    from google.cloud import (store as s,\n        )\n"
        "    from .near import x\n    from google.api import http_pb2\n"
        "    import ray, pytest, json, not_there\n"
    )
    site.install(
        "lib-1.0", {"lib/__init__.py": lazy, "lib/near.py": "", "lib/far.py": "if 1:\n import unread\n"}
    )
    site.install("known-1.0", {"known.py": "def f():\n  import known, lib\n"})
    site.install("ray-2.60.0", {"ray/__init__.py": ""})
    site.install("one-1.0", {"one/__init__.py": "", "one/part.py": ""})
    site.install("cloud_store-1.0", {"google/cloud/store/__init__.py": ""})
    site.install("apis-1.0", {"google/api/http_pb2.py": ""})
    for wheel in ("two-1.0", "pytest-8.0", "unread-1.0", "near-1.0", "internal-1.0"):
        site.install(wheel)
    found = site.resolved("import lib\n")

    assert travelling(found) == {"lib", "known"}
    assert found.mentioned == ("apis", "cloud-store", "one", "two")


@pytest.mark.parametrize(("named", "meant"), [("scikit-lern", "scikit-learn"), ("sklearn", "scikit-learn")])
def test_a_slip_in_cluster_provides_is_refused(site: SitePackages, named: str, meant: str) -> None:
    site.install("scikit_learn-1.0", {"sklearn.py": ""})

    with pytest.raises(UsageError, match=named) as raised:
        site.resolved("import sklearn\n", cluster_provides=(named,))

    assert raised.value.hint == f"did you mean `{meant}`?"


@pytest.mark.parametrize(
    "given", ["", "opentelemetry-exporter-otlp", "opentelemetry.exporter.otlp.proto.grpc"]
)
def test_a_part_of_a_namespace_is_named_as_its_distribution_or_what_requires_it(
    site: SitePackages, given: str
) -> None:
    parts = {f"opentelemetry/{each}/__init__.py": "" for each in ("exporter/otlp/proto/common", "sdk")}
    site.install("opentelemetry_exporter_otlp_proto_common-1.0", parts)
    proto = "import opentelemetry.exporter.otlp.proto"
    job = f"{proto}.common\n{proto}.grpc.exporter\n"
    with pytest.raises(UnresolvedImportError) as raised:
        require_complete(site.resolved(job))
    hinted = '`cluster-provides = ["opentelemetry-exporter-otlp-proto-grpc"]`'
    assert hinted in (raised.value.hint or "")

    name = normalised_name(given) or "opentelemetry-exporter-otlp-proto-grpc"
    resolution = site.resolved(job, cluster_provides=(name,))

    require_complete(resolution)
    assert [each.name for each in resolution.distributions if each.provided_by == "cluster"] == [name]


def test_a_distribution_that_is_here_without_a_module_does_not_settle_it(site: SitePackages) -> None:
    site.install("tools-1.0", {"tools/core/__init__.py": ""})
    resolution = site.resolved("import tools.absent\n", cluster_provides=("tools",))

    assert [each.name for each in resolution.missing] == ["tools.absent"]


def test_a_template_that_looks_like_an_import_without_end_costs_nothing(site: SitePackages) -> None:
    template = "from x import (\n" + "    # (one more line\n" * 200 + "(\n"
    site.install("a-1.0", {"a.py": f'T = """\n{template}"""\n'})

    assert travelling(site.resolved("import a\n")) == {"a"}


def test_what_the_wheel_of_ray_brings_is_not_asked_of_the_cluster(site: SitePackages) -> None:
    part = "import colorama\nimport undeclared\n"
    site.install("ray-2.60.0", {"ray/__init__.py": "", "ray/part.py": part})
    site.install("colorama-0.4.6")
    site.install("undeclared-1.0")

    found = site.resolved("import ray.part\n").distributions

    assert {each.name for each in found} == {"ray", "undeclared"}
