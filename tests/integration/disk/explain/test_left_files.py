"""A job that does not find a file of the project is told the line that takes it along, and with it runs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from raybundle.cluster.left.files import hint_of_left_file
from tests.support.bundled import Bundler
from tests.support.small_project import tree
from tests.support.users import require_distributions, user_python

if TYPE_CHECKING:
    from pathlib import Path

NAME = "def name(text):\n    return text[::-1]\n\n\n"
"""No rule knows what it returns, so that the job misses the file."""
IN_QUOTES = re.compile(r"`include = (\[.*?\])`")


@dataclass(frozen=True)
class Miss:
    """A job that ends with an error about a file."""

    source: str
    files: tuple[str, ...]
    """What the hint includes."""
    text: str = "a,b\n1,2\n"
    packages: bool = False
    """It needs distributions of the user."""


CHILD = "import subprocess, sys\nsubprocess.run({}, check=True)  # raybundle: ignore\n"
HYDRA = (
    "from hydra import compose, initialize_config_dir\nimport os\n"
    "with initialize_config_dir(os.path.abspath(name('fnoc')), version_base=None):"  # conf
    "  # raybundle: ignore\n    print(compose(name('niam')).a)\n"
)
IN_ANOTHER = "open(name('vsc.d/atad'))  # raybundle: ignore\n"
MISSES = {
    "open": Miss(IN_ANOTHER, ("data/d.csv",)),
    "a path of the node": Miss(
        "import os\nopen(os.path.join(os.path.dirname(__file__), name('vsc.d/atad')))  # raybundle: ignore\n",
        ("data/d.csv",),
    ),
    "a directory": Miss("import os\nos.listdir(name('atad'))  # raybundle: ignore\n", ("data",)),
    "another error from it": Miss(
        f"try:\n    {IN_ANOTHER}except OSError as e:\n    raise RuntimeError('no data') from e\n",
        ("data/d.csv",),
    ),
    "a child's message": Miss(CHILD.format("['cat', name('vsc.d/atad')]"), ("data/d.csv",)),
    "a shell's message": Miss(CHILD.format("'cat < ' + name('vsc.d/atad'), shell=True"), ("data/d.csv",)),
    "a script of a child": Miss(
        CHILD.format("[sys.executable, name('yp.neg/sloot')]"), ("tools/gen.py",), "print('done')\n"
    ),
    "a script of a shell": Miss(CHILD.format("['sh', name('hs.og/sloot')]"), ("tools/go.sh",), "echo done\n"),
    "a library": Miss(
        "import ctypes\ntry:\n    ctypes.CDLL('./' + name('os.bil/evitan'))  # raybundle: ignore\n"
        "except OSError as e:\n    if 'invalid' not in str(e) and 'short' not in str(e):\n        raise\n",
        ("native/lib.so",),
    ),
    "pandas": Miss(
        "import pandas\npandas.read_csv(name('vsc.d/atad'))  # raybundle: ignore\n",
        ("data/d.csv",),
        packages=True,
    ),
    "numpy": Miss(
        "import numpy\nnumpy.loadtxt(name('vsc.d/atad'), delimiter=',', skiprows=1)  # raybundle: ignore\n",
        ("data/d.csv",),
        packages=True,
    ),
    "pyarrow": Miss(
        "import pyarrow.csv\npyarrow.csv.read_csv(name('vsc.d/atad'))  # raybundle: ignore\n",
        ("data/d.csv",),
        packages=True,
    ),
    "jinja2": Miss(
        "from jinja2 import Environment, FileSystemLoader\n"
        "Environment(loader=FileSystemLoader(name('sweiv'))).get_template('page.html')"
        "  # raybundle: ignore\n",
        ("views",),
        "{{ a }}",
        packages=True,
    ),
    "hydra": Miss(HYDRA, ("conf",), "a: 1\n", packages=True),
}
PLACES = {"conf": "conf/main.yaml", "data": "data/d.csv", "views": "views/page.html"}
WIDE = ("pandas", "numpy", "pyarrow")
KINDS = [pytest.param(each, marks=pytest.mark.wide if each in WIDE else ()) for each in MISSES]


def missing(bundler: Bundler, include: tuple[str, ...] = ()) -> str | None:
    """Runs the job, and returns the hint of its end; None if it succeeds."""
    done = bundler.run(include=include)
    if done.returncode == 0:
        return None
    travelled = {each.path.removeprefix("project/") for each in bundler.plan(include=include).files}
    return hint_of_left_file(done.stdout + done.stderr, bundler.project, "", travelled) or done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_the_line_that_takes_it_along_makes_the_job_run(tmp_path: Path, kind: str) -> None:
    miss = MISSES[kind]
    if miss.packages:
        require_distributions()
    files = {PLACES.get(each, each): miss.text for each in miss.files}
    project = tree(tmp_path / "project", {"job.py": NAME + miss.source, **files})
    bundler = Bundler(project, tmp_path, *([user_python()] if miss.packages else []))

    hint = missing(bundler)

    assert hint is not None
    found = IN_QUOTES.search(hint)
    assert found is not None, hint
    assert found[1] == str([*miss.files]).replace("'", '"')
    assert missing(bundler, miss.files) is None
