"""A directory that child processes get in `PYTHONPATH` is searched for the modules that they import."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.disk.resolve.test_resolve import run
from tests.support.bundled import Bundler
from tests.support.slow import rest_slow
from tests.support.small_project import tree

if TYPE_CHECKING:
    from pathlib import Path

HEAD = "import os, subprocess, sys\nfrom pathlib import Path\nHERE = Path(__file__).resolve().parent\n"
CHILD = "[sys.executable, '-c', 'import extra; print(extra.V)']"
LIBS = {
    "libs/extra.py": "from pkg.part import V\n",
    "libs/pkg/__init__.py": "",
    "inner/extra/__init__.py": "",
    "inner/extra/run.py": "from beside import V\nprint(V, flush=True)\n",
    "inner/beside.py": "V = 7\n",
    "libs/pkg/part.py": "V = 7\n",
}
OWN = "os.environ.get('PYTHONPATH', '')"
JOBS = {
    "joined": (
        f"env = {{**os.environ, 'PYTHONPATH': os.pathsep.join([str(HERE / 'libs'), {OWN}])}}\n"
        f"subprocess.run({CHILD}, env=env, check=True)\n"
    ),
    "replaced": (
        f"subprocess.run({CHILD}, env={{**os.environ, 'PYTHONPATH': str(HERE / 'libs')}}, check=True)\n"
    ),
    "in a function": (
        "def main():\n    env, libs = os.environ.copy(), os.path.join(os.path.dirname(__file__), 'libs')\n"
        "    env['PYTHONPATH'] = os.path.abspath(libs) + os.pathsep + env.get('PYTHONPATH', '')\n"
        "    subprocess.check_call([sys.executable, '-m', 'extra'], env=env)\nmain()\nprint(7)\n"
    ),
    "of the job": (
        f"os.environ['PYTHONPATH'] = f\"{{HERE}}/libs:{{{OWN}}}\"\nsubprocess.run({CHILD}, check=True)\n"
    ),
    "an option": (
        f"env = dict(os.environ, PYTHONPATH=str(HERE / 'libs') + ':' + {OWN})\n"
        f"subprocess.run({CHILD}, env=env, check=True)\n"
    ),
    "a directory": "subprocess.run([sys.executable, '-m', 'extra.run'], cwd=HERE / 'inner', check=True)\n",
    "a union": (
        f"env = os.environ | {{'PYTHONPATH': f\"{{HERE / 'libs'}}:{{{OWN}}}\"}}\n"
        f"subprocess.run({CHILD}, env=env, check=True)\n"
    ),
}


@pytest.mark.parametrize("kind", rest_slow(JOBS, 2))
def test_a_child_finds_its_modules_on_the_path_that_the_job_gives_it(tmp_path: Path, kind: str) -> None:
    bundler = Bundler(tree(tmp_path / "app", {"job.py": HEAD + JOBS[kind], **LIBS}), tmp_path)

    done = bundler.run()

    assert (done.returncode, done.stdout) == (0, "7\n"), done.stderr
    assert [each for each in bundler.told() if "does not run from" not in each] == []


def test_only_what_is_imported_travels_and_a_comment_ends_it(tmp_path: Path) -> None:
    job = f"{HEAD}{JOBS['of the job']}"
    files = {**LIBS, "libs/unused.py": "", "../other/extra.py": ""}
    script = tree(tmp_path / "app", {"job.py": job, "pyproject.toml": "", **files}) / "job.py"
    names = {each.name for each in run(script).modules}
    script.write_text(job.replace("'')}\"\n", "'')}\"  # raybundle: ignore\n"))

    assert names == {"__main__", "extra", "pkg", "pkg.part"}
    assert {each.name for each in run(script).modules} == {"__main__"}
