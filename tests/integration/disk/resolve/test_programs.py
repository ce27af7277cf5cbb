"""Programs of distributions and of the project that a job starts run from its bundle."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.bundled import Bundler
from tests.support.installed import install
from tests.support.remedies import site_of
from tests.support.slow import rest_slow
from tests.support.small_project import tree

if TYPE_CHECKING:
    from pathlib import Path

    from raybundle.planning import Plan

TOOL = {
    "thing/__init__.py": b"import sys\n\ndef main():\n    print('thing', *sys.argv[1:])\n    return 3\n",
    "thing-1.0.dist-info/entry_points.txt": b"[console_scripts]\nthing-tool = thing:main\n",
}


def bundler(tmp_path: Path, files: dict[str, str]) -> Bundler:
    """Returns a project in an environment that has the program `thing-tool`."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "env"], check=True)
    project = tree(tmp_path / "project", files)
    install(site_of(project), "thing", TOOL)
    return Bundler(project, tmp_path, tmp_path / "env/bin/python")


def taken(planned: Plan) -> dict[str, str]:
    return {each.path: each.reason for each in planned.resolution.data}


STARTS = {
    "words": "subprocess.run(['thing-tool', 'a b']).returncode",
    "a text": "os.system('X=1 thing-tool \"a b\"') >> 8",
    "which": "subprocess.run([shutil.which('thing-tool'), 'a b']).returncode",
    "a script of a shell": "subprocess.run(['sh', 'run.sh']).returncode",
}


@pytest.mark.parametrize("kind", rest_slow(STARTS, 1))
def test_a_console_script_runs_with_its_distribution(tmp_path: Path, kind: str) -> None:
    job = f"import os, shutil, subprocess\nprint({STARTS[kind]}, flush=True)\n"
    bench = bundler(tmp_path, {"job.py": job, "run.sh": "thing-tool 'a b'\n"})

    assert bench.told() == []
    assert taken(bench.plan())["project/.raybundle/bin/thing-tool"] == "program of thing"
    done = bench.run()
    assert (done.stdout, done.returncode) == ("thing a b\n3\n", 0), done.stderr


def test_a_program_of_the_project_runs_with_its_modules(tmp_path: Path) -> None:
    files = {
        "job.py": "import subprocess\nprint(subprocess.check_output(['shop-tool'], text=True))\n",
        "shop/__init__.py": "",
        "shop/cli.py": "from shop import text\n\n\ndef main():\n    print(text.HELLO)\n",
        "shop/text.py": "HELLO = 'hello'\n",
    }
    bench = bundler(tmp_path, files)
    site = site_of(bench.project)
    (site / "shop.pth").write_text(f"{bench.project}\n")
    url = f'{{"url": "{bench.project.as_uri()}", "dir_info": {{"editable": true}}}}'
    points = b"[console_scripts]\nshop-tool = shop.cli:main\n"
    metadata = {"entry_points.txt": points, "direct_url.json": url.encode()}
    install(site, "shop", {f"shop-1.0.dist-info/{name}": data for name, data in metadata.items()})

    assert bench.told() == []
    done = bench.run()
    assert (done.stdout, done.returncode) == ("hello\n\n", 0), done.stderr


def test_a_program_that_the_cluster_provides_is_the_clusters(tmp_path: Path) -> None:
    provides = '[tool.raybundle]\ncluster-provides = ["thing"]\n'
    job = "import subprocess\nsubprocess.run(['thing-tool'])\n"
    bench = bundler(tmp_path, {"job.py": job, "pyproject.toml": provides})

    planned = bench.plan()

    assert "project/.raybundle/bin/thing-tool" not in taken(planned)


def test_a_program_that_nobody_brings_is_told_unless_its_absence_is_caught(tmp_path: Path) -> None:
    lines = ["import subprocess", "subprocess.run(['grep', 'x'])", "subprocess.run(['made-tool'])"]
    caught = ["try:", "    subprocess.run(['other-tool'])", "except FileNotFoundError:", "    pass"]
    bench = Bundler(tree(tmp_path / "project", {"job.py": "\n".join([*lines, *caught, ""])}), tmp_path)

    [told] = bench.told()

    assert "job.py:3: `made-tool` is a program that the bundle does not have" in told


STARTED = "os.system('absent')"
ELSEWHERE = {
    "if": f"if os.name == 'nt':\n    {STARTED}\n",
    "else": f"if os.name == 'posix':\n    pass\nelse:\n    {STARTED}\n",
    "elif": f"if sys.argv[9:]:\n    pass\nelif platform.system() == 'Windows':\n    {STARTED}\n",
    "function": f"def f():\n    if sys.platform == 'win32':\n        return {STARTED}\n    return 0\n",
    "choice": "os.system('absent' if os.name == 'nt' else 'true')\n",
    "inner choice": "def f():\n    tool = 'absent' if os.name == 'nt' else 'true'\n    os.system(tool)\n",
    "choice of calls": f"f = os.system('true') if os.name == 'posix' else {STARTED}\n",
    "match": f"match sys.platform:\n    case 'win32':\n        {STARTED}\n    case _:\n        pass\n",
    "name": "if os.name == 'nt':\n    it = 'absent'\nelse:\n    it = 'true'\nos.system(it)\n",
    "flag": f"WINDOWS = os.name == 'nt'\nif WINDOWS:\n    {STARTED}\n",
}
SWAPPED = {"'nt'": "'posix'", "'posix'": "'nt'", "'win32'": "'linux'", "'Windows'": "'Linux'"}


@pytest.mark.parametrize("kind", ELSEWHERE)
def test_a_program_that_only_another_platform_starts_is_not_told(tmp_path: Path, kind: str) -> None:
    job = f"import os, platform, sys\n{ELSEWHERE[kind]}"
    bench = Bundler(tree(tmp_path / "project", {"job.py": job}), tmp_path)

    assert bench.told() == []
    (tmp_path / "project/job.py").write_text(re.sub("|".join(SWAPPED), lambda each: SWAPPED[each[0]], job))
    assert len(bench.told()) == 1
