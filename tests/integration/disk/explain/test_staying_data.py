"""Reads of files whose names only the run knows are told, but only where data of the project stays behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.bundled import Bundler
from tests.support.small_project import tree
from tests.support.workplace import make_workplace

if TYPE_CHECKING:
    from pathlib import Path

    from raybundle.planning import Plan

UNKNOWN = "NAME = bytes.fromhex('782e637376').decode()\n"
READS = f"{UNKNOWN}print(open(NAME).read())\n"
DATA = {"data/x.csv": "a,b\n", "data/y.csv": "", "notes.txt": "n"}


def planned(tmp_path: Path, source: str, files: dict[str, str] = DATA, head: str = "") -> Plan:
    own = {"job.py": source, "pyproject.toml": f"[tool.raybundle]\n{head}\n", **files}
    return Bundler(tree(tmp_path / "p", own), tmp_path).plan()


def told(tmp_path: Path, source: str, files: dict[str, str] = DATA, head: str = "") -> list[str]:
    found = planned(tmp_path, source, files, head).resolution.warnings
    return [f"{each.line}: {each.text}; {each.hint}" for each in found]


def test_a_name_that_is_made_up_is_a_warning_with_what_stays(tmp_path: Path) -> None:
    [warning] = told(tmp_path, READS)

    assert warning == (
        "2: cannot know which file `open(NAME)` reads: 3 data files of the project, 5 B, stay here "
        "(data: 2, .: 1); `include` those that it reads in [tool.raybundle]; if it reads none of them, "
        "`# raybundle: ignore`"
    )


@pytest.mark.parametrize(
    ("source", "head"),
    [
        (READS, 'include = ["data/x.csv"]'),
        (READS, 'exclude = ["data", "notes.txt"]'),
        (READS, 'data = "tracked"'),
        (READS.replace("read())", "read())  # raybundle: ignore"), ""),
    ],
    ids=["include", "exclude", "tracked", "ignore"],
)
def test_each_remedy_ends_it(tmp_path: Path, source: str, head: str) -> None:
    assert told(tmp_path, source, head=head) == []


NOT_OF_THE_PROJECT = {
    "argument": "import argparse\nargs = argparse.ArgumentParser().parse_args()\nopen(args.config)\n",
    "argv": "import sys\npath = sys.argv[1]\nwith open(path) as f:\n    f.read()\n",
    "environment": "import os\nopen(os.path.join(os.environ['HOME'], 'x.csv'))\nopen(os.getenv('X'))\n",
    "temporary": "import tempfile, os\nwith tempfile.TemporaryDirectory() as d:\n"
    "    print(os.listdir(d))\n    open(os.path.join(d, 'x'))\n",
    "written": f"{UNKNOWN}open(NAME, 'w').write('1')\nprint(open(NAME).read())\n",
    "made by a library": f"{UNKNOWN}frame = 1\nframe.to_csv(NAME)\nopen(NAME)\n",
    "url": "import pandas as pd\ndef load(day):\n    return pd.read_csv(f's3://bucket/{day}.csv')\n",
    "absolute": "def load(day):\n    return open(f'/mnt/{day}.csv')\n",
    "download": "from hub import snapshot_download\nopen(snapshot_download('x') + '/config.json')\n",
    "home": "from pathlib import Path\n(Path.home() / '.x').read_text()\n",
    "command": "import click\n@click.command()\n@click.option('--path')\ndef main(path):\n    open(path)\n",
    "resource": "from importlib.resources import files\nfiles('json').joinpath('x').read_text()\n",
    "listed": "import os\nfor name in os.listdir('data'):\n    open(os.path.join('data', name))\n",
    "globbed": "from pathlib import Path\nfor each in sorted(Path('data').glob('*.csv')):\n"
    "    each.read_text()\n",
    "table": "FILES = {'a': 'data/x.csv'}\ndef load(name):\n    return open(FILES[name])\n",
    "default": "def load(path='data/x.csv'):\n    return open(path)\n",
    "its own source": "import json\nopen(json.__file__)\n",
    "an open file": "import json\nwith open('data/x.csv') as f:\n    json.load(f), f.read()\n",
    "a member of an archive": "import zipfile\nwith zipfile.ZipFile('data/x.csv') as z:\n"
    "    z.open(z.namelist()[0])\n",
}


@pytest.mark.parametrize("kind", NOT_OF_THE_PROJECT)
def test_what_comes_from_elsewhere_or_is_known_is_not_told(tmp_path: Path, kind: str) -> None:
    provided = 'cluster-provides = ["pandas", "hub", "click"]'
    found = planned(tmp_path, NOT_OF_THE_PROJECT[kind], head=provided)

    assert [each.text for each in found.resolution.opened] == []
    assert (found.resolution.warnings, found.staying) == ((), None)


PASSED = {
    "parameter": "def load(path):\n    return open(path).read()\n",
    "attribute": "class Loader:\n    def load(self):\n        return open(self.path).read()\n",
    "another module": "from settings import PATH\nopen(PATH)\n",
    "beside the source": "import os\ndef load(name):\n"
    "    return open(os.path.join(os.path.dirname(__file__), name)).read()\n",
    "a form without a folder": "def load(name):\n    return open(f'{name}.dat').read()\n",
    "a function": "def where():\n    return 1\nopen(where())\n",
}


@pytest.mark.parametrize("kind", PASSED)
def test_names_that_callers_pass_are_one_line_and_no_warning(tmp_path: Path, kind: str) -> None:
    files = {**DATA, "settings.py": "PATH = bytes.fromhex('782e637376').decode()\n"}
    found = planned(tmp_path, PASSED[kind], files)

    assert found.resolution.warnings == ()
    assert found.staying is not None
    assert found.staying.note.startswith(
        "3 data files of the project, 5 B, stay here (data: 2, .: 1); `open("
    )


def test_without_data_nothing_is_told(tmp_path: Path) -> None:
    files = {
        "README.md": "",
        "requirements.txt": "",
        "tests/x.csv": "",
        "docs/y.png": "",
        "web/app.ts": "",
        ".env": "",
        "venv/pyvenv.cfg": "",
        "venv/x.csv": "",
        "uv.lock": "",
    }
    found = planned(tmp_path, READS + PASSED["parameter"], files)

    assert (found.resolution.warnings, found.staying) == ((), None)


@pytest.mark.slow
def test_plan_and_build_say_it_once_and_strict_makes_only_the_warning_an_error(tmp_path: Path) -> None:
    place = make_workplace(tmp_path / "work")
    project = tree(place.directory / "app", {"job.py": PASSED["parameter"] * 3, **DATA})

    plan = place.raybundle("plan", "--strict", "job.py", cwd=project)
    build = place.raybundle("build", "job.py", cwd=project)
    (project / "job.py").write_text(READS + "print(open(NAME[0:]))\n" * 20)
    many = place.raybundle("plan", "job.py", cwd=project)
    strict = place.raybundle("plan", "--strict", "job.py", cwd=project)

    assert (plan.returncode, plan.stderr.count("stay here")) == (0, 1), plan.stderr
    assert build.stderr.count("stay here") == 1
    assert many.stderr.count("stay here") == 1
    assert "also at" in many.stderr
    assert strict.returncode == 3
