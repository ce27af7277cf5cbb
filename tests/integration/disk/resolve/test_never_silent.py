"""Dynamic imports and file accesses are followed or told with their place: none is missed in silence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.bundled import Bundler
from tests.support.silent_kinds import FILES, IMPORTS
from tests.support.small_project import tree

if TYPE_CHECKING:
    from pathlib import Path

PROJECT = {
    "pyproject.toml": '[tool.raybundle]\ncluster-provides = ["celery", "django", "hydra-core", "jinja2", '
    '"numpy", "pandas", "pyarrow", "dotenv", "pyyaml", "werkzeug"]\n',
    "plug/__init__.py": "",
    "plug/alpha.py": "def run():\n    return 41\n\n\nclass Run:\n    pass\n",
    "tools/gen.py": "VALUE = 41\n",
    "data/table.csv": "a,b\n1,2\n",
}
KNOWN = {
    "literal": 'NAME = "plug.alpha"\nFILE = "{file}"\n',
    "put together": 'P = "plug"\nNAME = P + ".alpha"\nD = "{folder}"\nFILE = D + "/{name}"\n',
}
UNKNOWN = "NAME = bytes.fromhex('{module}').decode()\nFILE = bytes.fromhex('{path}').decode()\n"
"""Nobody knows the two without running it."""


def lines_of(head: str, file: str) -> str:
    folder, _, name = file.rpartition("/")
    known = {"file": file, "folder": folder, "name": name, "path": file.encode().hex()}
    return head.format(**known, module=b"plug.alpha".hex())


def missed(tmp_path: Path, job: str, wanted: str) -> bool:
    """Claims that a file does not travel, and that nothing is said of the driver."""
    bundler = Bundler(tree(tmp_path / "p", {**PROJECT, "job.py": job}), tmp_path)
    told = [each for each in bundler.told() if "job.py" in each]
    if any("cannot find" in each for each in told):
        return False
    return f"project/{wanted}" not in {file.path for file in bundler.plan().files} and not told


def wanted_by(body: str) -> str:
    return "tools/gen.py" if "FILE" in body else "plug/alpha.py"


HEADS = [pytest.param(head, id=name, marks=pytest.mark.slow) for name, head in KNOWN.items()]


@pytest.mark.parametrize("head", [*HEADS, pytest.param(UNKNOWN, id="unknown")])
@pytest.mark.parametrize("kind", IMPORTS)
def test_a_dynamic_import_is_followed_or_told(tmp_path: Path, kind: str, head: str) -> None:
    wanted = wanted_by(IMPORTS[kind])

    assert not missed(tmp_path, lines_of(head, wanted) + IMPORTS[kind], wanted)


@pytest.mark.slow
@pytest.mark.parametrize("head", KNOWN.values(), ids=KNOWN)
@pytest.mark.parametrize("kind", FILES)
def test_a_file_that_is_named_by_its_path_travels(tmp_path: Path, kind: str, head: str) -> None:
    job = lines_of(head, "data/table.csv") + FILES[kind]
    bundler = Bundler(tree(tmp_path / "p", {**PROJECT, "job.py": job}), tmp_path)

    assert "project/data/table.csv" in {file.path for file in bundler.plan().files}


@pytest.mark.parametrize("kind", FILES)
def test_a_file_whose_name_only_the_run_knows_is_told(tmp_path: Path, kind: str) -> None:
    job = lines_of(UNKNOWN, "data/table.csv") + FILES[kind]

    assert not missed(tmp_path, job, "data/table.csv")
