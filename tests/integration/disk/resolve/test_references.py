"""What only a text, a command, metadata or an attribute refers to travels, and the job runs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.booting import make_venv
from tests.support.bundled import Bundler
from tests.support.installed import install
from tests.support.slow import rest_slow
from tests.support.small_project import tree

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

TEXTS = {
    "module://stp.a": "stp/a.py",
    "ext://stp.b.f": "stp/b.py",
    "stp.c:f()": "stp/c.py",
    "stp.d#f": "stp/d.py",
    "stp/e.py::f": "stp/e.py",
    "python:stp.g.f": "stp/g.py",
    "stp.h.f(1, 2)": "stp/h.py",
    "  stp.i.f": "stp/i.py",
    "stp/j.py:f": "stp/j.py",
    "stp.k.f(a='b')": "stp/k.py",
}


def bundler_of(tmp_path: Path, files: Mapping[str, str]) -> Bundler:
    return Bundler(tree(tmp_path / "p", {"pyproject.toml": "", **files}), tmp_path)


def with_site(tmp_path: Path, files: Mapping[str, str]) -> tuple[Bundler, Path]:
    """A bundler with an environment of its own, and the site directory of that."""
    make_venv(tmp_path / "env", sys.executable)
    [site] = (tmp_path / "env").glob("lib/python3*/site-packages")
    bundler = bundler_of(tmp_path, files)
    return Bundler(bundler.project, tmp_path, tmp_path / "env" / "bin" / "python"), site


def paths(bundler: Bundler) -> set[str]:
    return {file.path.removeprefix("project/") for file in bundler.plan().files}


def bundled(bundler: Bundler) -> set[str]:
    return {each.name for each in bundler.plan().layers}


@pytest.mark.parametrize("text", TEXTS)
def test_a_reference_in_a_string_is_followed(tmp_path: Path, text: str) -> None:
    files = {
        "stp/__init__.py": "",
        TEXTS[text]: "def f(*_): pass\n",
        "job.py": f"import stp\nREF = {text!r}\n",
    }

    assert TEXTS[text] in paths(bundler_of(tmp_path, files))


def test_tags_and_schemes_in_a_configuration_file_are_followed(tmp_path: Path) -> None:
    config = "x: !!python/object/apply:stp.one.f [1]\ny: ext://stp.two.f\n"
    files = {"stp/__init__.py": "", "stp/conf.yaml": config, "job.py": "import stp\n"}
    modules = {"stp/one.py": "def f(n): pass\n", "stp/two.py": "def f(): pass\n"}

    assert {*modules} < paths(bundler_of(tmp_path, {**files, **modules}))


def test_a_conf_file_names_the_classes_of_handlers(tmp_path: Path) -> None:
    config = (
        "[loggers]\nkeys=root\n[handlers]\nkeys=h\n[formatters]\nkeys=\n[logger_root]\nlevel=INFO\nhandlers=h\n"
        "[handler_h]\nclass=logs.mine.Printing\nargs=()\n"
    )
    load = (
        "import logging.config as c, pathlib as p\nc.fileConfig(p.Path(__file__).with_name('logging.conf'))\n"
    )
    handler = (
        "import logging\nclass Printing(logging.Handler):\n"
        "    def emit(self, record): print('MINE', record.msg)\n"
    )
    job = "import logging, logs\nlogging.getLogger().warning('hello')\n"
    files = {"logs/__init__.py": load, "logs/logging.conf": config, "logs/mine.py": handler, "job.py": job}

    assert bundler_of(tmp_path, files).run().stdout == "MINE hello\n"


def test_what_resolve_name_may_find_travels(tmp_path: Path) -> None:
    job = (
        "import pkgutil, pydoc, sys\nkind = sys.argv[1] if len(sys.argv) > 1 else 'clean'\n"
        "def step(name, attr='run'):\n    return pkgutil.resolve_name('steps.%s:%s' % (name, attr))\n"
        "print(step(kind)(), pydoc.locate('stages.' + kind).NAME)\n"
    )
    files = {
        "job.py": job,
        "steps/__init__.py": "",
        "steps/clean.py": "def run(): return 'ran'\n",
        "stages/__init__.py": "",
        "stages/clean.py": "NAME = 'stage'\n",
        "stages/other.py": "",
    }
    bundler = bundler_of(tmp_path, files)

    assert bundler.told() == []
    assert "stages/other.py" in paths(bundler)
    assert bundler.run().stdout == "ran stage\n"


COMMANDS = {
    "a list": "import subprocess, sys\nsubprocess.run([sys.executable, 'tools/gen.py'], check=True)\n",
    "a path": "import os, subprocess, sys\nhere = os.path.dirname(__file__)\n"
    "script = os.path.join(here, 'tools', 'gen.py')\n"
    "subprocess.run([sys.executable, '-u', script], check=True)\n",
    "a shell": "import os\nos.system('python tools/gen.py --fast')\n",
    "a file that runpy runs": "import runpy, sys\nsys.path.insert(0, 'tools')\n"
    "runpy.run_path('tools/gen.py')\n",
}


@pytest.mark.parametrize("command", rest_slow(COMMANDS, 1))
def test_a_script_that_a_command_runs_travels_with_what_lies_beside_it(tmp_path: Path, command: str) -> None:
    files = {
        "job.py": COMMANDS[command],
        "tools/gen.py": "import near\nprint(near.VALUE, flush=True)\n",
        "tools/near.py": "import deep\nVALUE = deep.VALUE\n",
        "tools/deep/__init__.py": "VALUE = 41\n",
    }
    bundler = bundler_of(tmp_path, files)

    done = bundler.run()

    assert (done.stdout, done.returncode) == ("41\n", 0), done.stderr
    assert {*files} == paths(bundler)


MAIL = "from jinja2 import PackageLoader\nclass Mail:\n    package = 'mail'\n"
KEPT = (
    f"{MAIL}    def __init__(self, kind, kept='extra'):\n        self.kind, self.kept = kind, kept\n"
    "    def go(self):\n        return PackageLoader(self.kept, self.kind)\n"
)
CHOSEN = (
    "import os\nfrom importlib import import_module\n"
    "name = os.getenv('PKG', 'mail')\nimport_module(name + '.' + 'sub.one')\n"
)
HELD = {
    "attribute": (f"{MAIL}    def go(self):\n        return PackageLoader(self.package)\n", "mail/tpl/a.txt"),
    "constant of a class": (f"{MAIL}print(PackageLoader(Mail.package, 'tpl'))\n", "mail/tpl/a.txt"),
    "given to a function": (
        f"{MAIL}def of(package, folder='tpl'):\n    PackageLoader(package, folder)\nof('extra', 'x')\n",
        "extra/x.txt",
    ),
    "kept by an object": (KEPT, "extra/x.txt"),
    "default of the environment": (CHOSEN, "mail/sub/one.py"),
    "of a base elsewhere": (
        "class P:\n    package = 'extra'\n    modules = ('one',)\n",
        "extra/one.py",
    ),
    "given elsewhere": ("from mail.lib import fetch\nfetch('extra', 'x.txt')\n", "extra/x.txt"),
    "prefix": (
        f"import pydoc\n{MAIL}    def go(self, it):\n        pydoc.locate('.'.join((self.package, it)))\n",
        "mail/sub/one.py",
    ),
    "walk": (
        "import pkgutil, mail\ndef walk(package):\n    pkgutil.walk_packages(package.__path__)\nwalk(mail)\n",
        "mail/sub/one.py",
    ),
    "celery": ("broker_url = 'memory://'\nimports = ('mail_tasks',)\n", "mail_tasks.py"),
}
PACKAGES = {
    "mail/__init__.py": "",
    "mail/lib.py": ("import pkgutil\ndef fetch(package, name):\n    pkgutil.get_data(package, name)\n"),
    "mail/tpl/a.txt": "",
    "mail/sub/__init__.py": "",
    "mail/sub/one.py": "",
    "extra/__init__.py": "",
    "extra/x.txt": "",
    "extra/one.py": "",
    "mail_tasks.py": "",
}


@pytest.mark.parametrize("kind", HELD)
def test_what_a_class_or_a_call_holds_is_followed(tmp_path: Path, kind: str) -> None:
    job, wanted = HELD[kind]
    settled = '[tool.raybundle]\noptional = ["jinja2"]\n'

    assert wanted in paths(bundler_of(tmp_path, {**PACKAGES, "pyproject.toml": settled, "job.py": job}))


def test_a_script_that_nobody_can_name_is_told(tmp_path: Path) -> None:
    job = "import subprocess, sys\nsubprocess.run([sys.executable, sys.argv[1]], check=True)\n"
    [told] = bundler_of(tmp_path, {"job.py": job, "tools/gen.py": ""}).told()

    assert "job.py:2: cannot know what `[sys.executable, sys.argv[1]]` imports" in told


def test_a_distribution_whose_version_is_asked_for_travels(tmp_path: Path) -> None:
    job = (
        "from importlib.metadata import version\n"
        "def of(name):\n    return version(name)\n"
        "print(of('thing'))\n"
    )
    bundler, site = with_site(tmp_path, {"job.py": job})
    install(site, "thing", {"thing.py": b""}, version="2.5")
    install(site, "other", {"other.py": b""})

    assert bundled(bundler) == {"thing"}
    assert bundler.run().stdout == "2.5\n"


CAUGHT = "try:\n    version(n)\nexcept PackageNotFoundError:\n    pass\n"


@pytest.mark.parametrize(
    ("asks", "told"),
    [
        ("version(n)\n", ["cannot know which distribution `version(n)` asks for"]),
        ("version(n)  # raybundle: ignore\n", []),
        (CAUGHT, []),
        (f"for n in distributions():\n    {CAUGHT!r}\n    print(n)\n", []),
        ("list(distributions(path=[n]))\n", []),
        ("version(__package__ or 'thing')\n", []),
        ("version(n if n else 'thing')\n", []),
    ],
)
def test_a_distribution_whose_name_only_the_run_knows_is_told(
    tmp_path: Path, asks: str, told: list[str]
) -> None:
    head = "import os\nfrom importlib.metadata import PackageNotFoundError, distributions, version\n"
    bundler, _ = with_site(tmp_path, {"job.py": f"{head}n = os.environ['NAME']\n{asks}"})

    assert [each.text for each in bundler.plan().resolution.warnings] == told


@pytest.mark.parametrize(
    "call",
    ["filesystem('s3')", "open('s3://a/b')", "core.url_to_fs(BUCKET + '/b')", "open('filecache::s3://a/b')"],
)
def test_a_file_system_that_an_address_names_travels(tmp_path: Path, call: str) -> None:
    job = f"import fsspec\nBUCKET = 's3://a'\ndef f():\n    fsspec.{call}\n"
    bundler, site = with_site(tmp_path, {"job.py": job})
    install(site, "fsspec", {"fsspec/__init__.py": b"", "fsspec/core.py": b""})
    install(site, "s3fs", {"s3fs.py": b""})
    install(site, "gcsfs", {"gcsfs.py": b""})

    assert bundled(bundler) == {"fsspec", "s3fs"}


def test_time_zones_travel_where_zoneinfo_is_imported(tmp_path: Path) -> None:
    bundler, site = with_site(tmp_path, {"job.py": "def f():\n    from zoneinfo import ZoneInfo\n"})
    install(site, "tzdata", {"tzdata/__init__.py": b""})

    assert bundled(bundler) == {"tzdata"}


def test_an_attribute_that_imports_a_module_of_a_library_brings_what_that_needs(tmp_path: Path) -> None:
    job = "import big as b\n\n\ndef run():\n    return b.data.total()\n\n\nprint(run())\n"
    lazy = (
        b"def __getattr__(name):\n    import importlib\n    return importlib.import_module(f'big.{name}')\n"
    )
    bundler, site = with_site(tmp_path, {"job.py": job})
    data = b"import heavy\ndef total(): return heavy.SUM\n"
    install(site, "big", {"big/__init__.py": lazy, "big/data.py": data, "big/rest.py": b"import unused\n"})
    install(site, "heavy", {"heavy.py": b"SUM = 10\n"})
    install(site, "unused", {"unused.py": b""})

    assert bundled(bundler) == {"big", "heavy"}
    assert bundler.run().stdout == "10\n"


def test_plugins_that_a_library_loads_by_the_metadata_of_the_project_travel(tmp_path: Path) -> None:
    files = {
        "job.py": "import lib\nprint(lib.load('mine'))\n",
        "own/__init__.py": "",
        "own/it.py": "def f(): return 42\n",
    }
    bundler, site = with_site(tmp_path, files)
    load = (
        b"from importlib.metadata import entry_points\n"
        b"def load(name):\n    [found] = entry_points(group='lib.plugins', name=name)\n"
        b"    return found.load()()\n"
    )
    install(site, "lib", {"lib.py": load})
    install_own(site, bundler.project)

    assert bundler.run().stdout == "42\n"
    assert bundled(bundler) == {"lib"}


def test_plugins_of_the_project_that_another_library_loads_for_it_travel(tmp_path: Path) -> None:
    files = {
        "job.py": "import own\nprint(own.load('mine'))\n",
        "own/__init__.py": "from lib import pick\nG = 'own.plugins'\ndef load(it): return pick(G, it)\n",
        "own_mine/it.py": "def f(): return 42\n",
        "own_other.py": "import absent\n",
        "own_unasked.py": "",
    }
    bundler, site = with_site(tmp_path, files)
    pick = b"def pick(group, name): return next(iter(entry_points(group=group, name=name))).load()()\n"
    install(site, "lib", {"lib.py": b"from importlib.metadata import entry_points\n" + pick})
    points = b"[own.plugins]\nmine = own_mine.it:f [extra]\nother = own_other\n[own.more]\nit = own_unasked\n"
    install_own(site, bundler.project, points)

    assert bundler.run().stdout == "42\n"
    assert "own_unasked.py" not in paths(bundler)
    [told] = bundler.told()
    assert "guessed: `absent`" in told


def install_own(site: Path, project: Path, points: bytes = b"[lib.plugins]\nmine = own.it:f\n") -> None:
    """Installs the project as editable, by default with a plugin of `lib`."""
    url = f'{{"url": "{project.as_uri()}", "dir_info": {{"editable": true}}}}'
    files = {
        "own-1.0.dist-info/entry_points.txt": points,
        "own-1.0.dist-info/direct_url.json": url.encode(),
        "own.pth": f"{project}\n".encode(),
    }
    install(site, "own", files)


def test_plugins_in_the_namespace_of_a_library_travel(tmp_path: Path) -> None:
    load = (
        b"import pkgutil, importlib\nimport lib_plugins\n"
        b"for each in pkgutil.walk_packages(lib_plugins.__path__, 'lib_plugins.'):\n"
        b"    importlib.import_module(each.name)\n"
    )
    files = {
        "job.py": "import lib.walk\n",
        "lib_plugins/mine/__init__.py": "",
        "lib_plugins/mine/it.py": "import helper\nprint(helper.VALUE)\n",
        "helper.py": "VALUE = 42\n",
    }
    bundler, site = with_site(tmp_path, files)
    install(site, "lib", {"lib/__init__.py": b"", "lib/walk.py": load})
    install(site, "lib-more", {"lib_plugins/more/__init__.py": b"print('more')\n"})

    assert bundler.run().stdout == "42\n"


def test_plugins_that_are_found_in_all_distributions_travel(tmp_path: Path) -> None:
    job = (
        "import importlib.metadata\nfor each in importlib.metadata.distributions():\n"
        "    for point in each.entry_points:\n"
        "        print(point.load()() if point.name == 'mine' else '', end='')\n"
    )
    bundler, site = with_site(
        tmp_path, {"job.py": job, "own/__init__.py": "", "own/it.py": "def f(): return 42\n"}
    )
    install_own(site, bundler.project)

    assert bundler.run().stdout == "42"


@pytest.mark.parametrize(("job", "travels"), [("print(1)\n", False), ("import tool\nprint(1)\n", True)])
def test_metadata_of_an_install_around_the_project_travels_only_if_it_is_used(
    tmp_path: Path, job: str, travels: bool
) -> None:
    bundler, site = with_site(tmp_path, {"tool.py": "", "examples/first/job.py": job})
    (bundler.project / "examples/first/pyproject.toml").touch()
    url = f'{{"url": "{bundler.project.as_uri()}", "dir_info": {{"editable": true}}}}'
    install(site, "tool", {"tool-1.0.dist-info/direct_url.json": url.encode()})
    (site / "tool.pth").write_text(f"{bundler.project}\n")

    files = {
        each.path
        for each in Bundler(bundler.project / "examples/first", tmp_path, bundler.python).plan().files
    }

    assert any(path.endswith("tool-1.0.dist-info/METADATA") for path in files) == travels


PICKS = {
    "metadata": "from importlib.metadata import distributions\n"
    "print('PyYAML' in {d.metadata['Name'] for d in distributions()})\n",
    "packages": "import importlib.metadata as m\nprint(m.packages_distributions()['yaml'] == ['PyYAML'])\n",
    "working set": "import pkg_resources as p\nprint(p.working_set.by_key['pyyaml'].key == 'pyyaml')\n",
    "wanted": "from pkg_resources import working_set as ws\nwanted = ['pyyaml>=2', 'pyyaml [extra] ; x']\n"
    "print(any(w.startswith(d.key) for d in ws for w in wanted))\n",
    "require": "import pkg_resources as p\nprint(p.working_set.require('pyyaml>=2')[0].key == 'pyyaml')\n",
    "find": "from pkg_resources import Requirement, working_set\n"
    "print(working_set.find(Requirement.parse('pyyaml')) is not None)\n",
}


@pytest.mark.parametrize("kind", PICKS)
def test_a_distribution_that_a_source_picks_among_all_travels(tmp_path: Path, kind: str) -> None:
    bundler, site = with_site(tmp_path, {"job.py": PICKS[kind]})
    install(site, "setuptools", {"pkg_resources/__init__.py": b""})
    install(site, "PyYAML", {"yaml.py": b""}, version="6")
    install(site, "other", {"other.py": b""})

    assert bundled(bundler) - {"setuptools"} == {"pyyaml"}
    assert bundler.told() == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["metadata", "packages", "working set", "find"])
def test_what_a_source_picks_is_there(tmp_path: Path, kind: str) -> None:
    done = bundler_of(tmp_path, {"job.py": PICKS[kind]}).run()

    assert done.stdout == "True\n", done.stderr


def test_a_distribution_that_is_picked_by_an_unknown_name_is_told(tmp_path: Path) -> None:
    job = "import os, pkg_resources\npkg_resources.working_set.by_key[os.environ['NAME']]\n"
    bundler, site = with_site(tmp_path, {"job.py": job})
    install(site, "setuptools", {"pkg_resources/__init__.py": b""})

    [told] = bundler.told()

    assert "job.py:2: cannot know which distribution `pkg_resources.working_set.by_key[" in told
