"""Scripts of shells and makefiles that a job runs name files, as people write them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.disk.resolve.test_resolve import run
from tests.support.bundled import Bundler
from tests.support.small_project import tree

if TYPE_CHECKING:
    from pathlib import Path

RUNS = "import subprocess\nsubprocess.run({}, check=True)\n"
BASH = RUNS.format("['bash', 'scripts/go.sh']")
PYTHON = "#!/usr/bin/env python3\n"
FILES = ("data/d.csv", "data/e.csv", "scripts/own.txt", "in.txt", "VOCAB", "tools/step.py", "lib/env.sh")
KINDS: dict[str, tuple[dict[str, str], set[str]]] = {
    "a variable": ({"scripts/go.sh": 'DATA=data/d.csv\ncat "$DATA"\n'}, {"data/d.csv"}),
    "a folder in a variable": ({"scripts/go.sh": "D='data'\nwc -l ${D}/e.csv\n"}, {"data/e.csv"}),
    "a default": ({"scripts/go.sh": 'cat "${IN:-data/d.csv}"\n'}, {"data/d.csv"}),
    "an exported variable": ({"scripts/go.sh": "export A=1 IN=data/d.csv\ntool=x env\n"}, {"data/d.csv"}),
    "input": ({"scripts/go.sh": "wc -l < in.txt\npython3 tools/step.py < VOCAB\n"}, {"in.txt", "VOCAB"}),
    "a loop": ({"scripts/go.sh": "for f in data/*.csv; do wc -l $f; done\n"}, {"data/d.csv", "data/e.csv"}),
    "another script": ({"scripts/go.sh": ". lib/env.sh\nsource ./lib/env.sh\n"}, {"lib/env.sh"}),
    "the folder of the script": (
        {"scripts/go.sh": 'HERE="$(cd "$(dirname "$0")" && pwd)"\ncat "$HERE/own.txt" $HERE/../in.txt\n'},
        {"scripts/own.txt", "in.txt"},
    ),
    "a change of directory": ({"scripts/go.sh": "cd data\ncat d.csv\ncd ..\ncat in.txt\n"},
                              {"data/d.csv", "in.txt"}),
    "a plain name": ({"scripts/go.sh": "sort -u VOCAB\n"}, {"VOCAB"}),
    "a script without a suffix": (
        {"job.py": RUNS.format("['bin/run']"), "bin/run": "#!/bin/sh\ncat data/d.csv\n"},
        {"bin/run", "data/d.csv"},
    ),
    "an executable beside the job": (
        {"job.py": RUNS.format("['./run', 'VOCAB']"), "run": "#!/usr/bin/env bash\ncat in.txt\n"},
        {"run", "VOCAB", "in.txt"},
    ),
    "a program in Python without a suffix": (
        {
            "job.py": RUNS.format("['tools/gen']"),
            "tools/gen": f"{PYTHON}import genlib, json\nopen('in.txt')\nfrom parts import one\n",
            **dict.fromkeys(("tools/genlib.py", "tools/parts/__init__.py", "tools/parts/one.py"), ""),
        },
        {"tools/gen", "in.txt"},
    ),
    "os.system": ({"job.py": "import os\nos.system('cd data && cat d.csv | sort < e.csv')\n"},
                  {"data/d.csv", "data/e.csv"}),
    "a makefile": (
        {
            "job.py": RUNS.format("['make', '-s', 'all']"),
            "Makefile": "SRC := in.txt\nD = data/d.csv \\\n  data/e.csv\ninclude lib/more.mk\n.PHONY: all\n"
            "all: build/out.txt $(SRC)\nbuild/out.txt: VOCAB\n\t@cat $(SRC) > $@\n",
            "lib/more.mk": "x:\n\tcat scripts/own.txt\n",
        },
        {"Makefile", "lib/more.mk", "in.txt", "data/d.csv", "data/e.csv", "VOCAB", "scripts/own.txt"},
    ),
    "a makefile elsewhere": (
        {"job.py": RUNS.format("'make -C tools x'.split()"), "tools/Makefile": "x: y.in\n", "tools/y.in": ""},
        {"tools/Makefile", "tools/y.in"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_script_of_a_shell_reads_travels(tmp_path: Path, kind: str) -> None:
    files, expected = KINDS[kind]
    project = tree(tmp_path / "app", {**dict.fromkeys(FILES, ""), "job.py": BASH, **files})

    data = {each.path.removeprefix("project/") for each in run(project / "job.py").data}

    assert data == expected | ({"scripts/go.sh"} & {*files})


@pytest.mark.parametrize(
    "shell", ["cat in.txt > out.txt", "cat in.txt >> out.txt", "cat in.txt | tee x > out.txt"]
)
def test_what_a_command_of_a_shell_writes_does_not_travel(tmp_path: Path, shell: str) -> None:
    job = f"import os\nos.system('{shell}')\nprint(open('out.txt').read())\n"
    project = tree(tmp_path / "app", {"job.py": job, "in.txt": "", "out.txt": ""})

    assert {each.path for each in run(project / "job.py").data} == {"project/in.txt"}


@pytest.mark.parametrize("head", ["hello() {", "function hello() {", "hello ()\n{"])
def test_a_function_of_a_script_is_no_program(tmp_path: Path, head: str) -> None:
    shell = f"#!/bin/sh\n{head}\n  echo hi\n}}\nhello\nother-tool\n"
    project = tree(tmp_path / "app", {"job.py": BASH, "scripts/go.sh": shell})

    [warning] = run(project / "job.py").warnings

    assert warning.text.startswith("`other-tool` is a program")


@pytest.mark.slow
def test_scripts_run_from_the_bundle(tmp_path: Path) -> None:
    job = (
        "import os, subprocess\n"
        "print(subprocess.check_output(['bash', 'scripts/go.sh'], text=True))\n"
        "print(subprocess.check_output('make -s all', shell=True, text=True), os.system('wc -l < VOCAB'))\n"
    )
    shell = (
        'set -e\n. lib/env.sh\nfor f in "$DATA"/*.csv; do cat $f; done\ncd "$(dirname "$0")"\ncat own.txt\n'
    )
    files = {
        "scripts/go.sh": shell,
        "lib/env.sh": "DATA=data\n",
        "data/d.csv": "d\n",
        "scripts/own.txt": "own\n",
        "VOCAB": "v\n",
        "Makefile": "all: in.txt\n\t@cat in.txt\n",
        "in.txt": "i\n",
        "pyproject.toml": '[tool.raybundle]\ncluster-provides = ["make"]\n',
    }
    bundler = Bundler(tree(tmp_path / "project", {"job.py": job, **files}), tmp_path)

    assert bundler.told() == []
    done = bundler.run()
    assert done.stdout == bundler.here(), done.stderr


@pytest.mark.slow
def test_a_program_in_python_finds_what_lies_beside_it(tmp_path: Path) -> None:
    shows = "print(genlib.deep.X, one.Y, open('in.txt').read())\n"
    files = {
        "job.py": "import subprocess\nprint(subprocess.check_output(['tools/gen'], text=True))\n",
        "tools/gen": f"{PYTHON}import genlib\nfrom parts import one\n{shows}",
        "tools/genlib.py": "import deep\n",
        "tools/deep.py": "X = 1\n",
        "tools/parts/__init__.py": "",
        "tools/parts/one.py": "Y = 2\n",
        "in.txt": "i\n",
    }
    project = tree(tmp_path / "project", files)
    (project / "tools/gen").chmod(0o755)
    bundler = Bundler(project, tmp_path)

    assert bundler.told() == []
    done = bundler.run()
    assert done.stdout == bundler.here(), done.stderr
