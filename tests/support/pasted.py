"""A project, and command lines that people paste after `--`: those that run, and those with an answer."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from raybundle.cli.entrypoint.model import Run

if TYPE_CHECKING:
    from pathlib import Path

_JOB = """\
import json, os, sys
import beside
print("REPORT " + json.dumps([beside.NAME, os.environ.get("SEED"), sys.argv[1:]]))
"""
_CELL = {"cell_type": "code", "source": "import beside"}
FILES = {
    "pyproject.toml": '[project]\nname = "p"\nversion = "1"\n[project.scripts]\nmy-tool = "pkg.mod:main"\n',
    "job.py": _JOB,
    "prepare.py": _JOB,
    "beside.py": 'NAME = "top"\n',
    "scripts/train.py": _JOB,
    "scripts/beside.py": 'NAME = "scripts"\n',
    "configs/base.yaml": "lr: 1\n",
    "pkg/__init__.py": "",
    "pkg/mod.py": _JOB + "\n\ndef main():\n    pass\n",
    "tests/__init__.py": "",
    "tests/test_x.py": "import unittest\nimport beside\n\n\nclass TestX(unittest.TestCase):\n"
    "    def test_a(self):\n        assert beside.NAME\n",
    "app.py": "app = 1\n\n\ndef build(arguments):\n    return arguments\n",
    "nb.ipynb": json.dumps({"nbformat": 4, "metadata": {}, "cells": [_CELL]}),
    "run.sh": "#!/usr/bin/env bash\nset -euo pipefail\n# the sweep\nsource .venv/bin/activate\n"
    'export SEED=3\n\npython scripts/train.py --lr 1 \\\n  "$@"\n',
    "both.sh": "#!/bin/sh\npython prepare.py\npython job.py $1\n",
    "stay.sh": '#!/bin/bash\nset -e\ncd "$(dirname "$0")" || exit 1\npython job.py --lr 1 "$@"\n',
    "jobs/here.sh": '#!/bin/bash\nDIR="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"\n'
    'python "$DIR/own.py"\n',
    "jobs/up.sh": '#!/bin/bash\ncd "$(dirname "$0")/.."\npython scripts/train.py $1\n',
    "jobs/own.py": _JOB.replace("import beside", "import beside_own as beside"),
    "jobs/beside_own.py": 'NAME = "jobs"\n',
    "start": "#!/bin/bash\nexec python job.py --fast\n",
    "pep.py": '# /// script\n# dependencies = ["rich"]\n# ///\nimport rich\n',
    "serve.yaml": "applications:\n"
    "- {import_path: 'app:build', route_prefix: /, name: one, args: {size: 1}}\n",
}


def environment(command: str) -> str:
    return (
        f"the job runs without `{command}`: the bundle is built from the active environment, "
        "else from the project's .venv"
    )


CARRIED_OUT: list[tuple[str, Run]] = [
    ("python job.py --x 1", Run(("job.py", "--x", "1"))),
    (
        "/usr/bin/python3 job.py '$HOME' '`id`' '*' 'a  b' ''",
        Run(("job.py", "$HOME", "`id`", "*", "a  b", "")),
    ),
    ("python -u -P -X dev job.py", Run(("job.py",), options=("-P", "-Xdev"))),
    (
        "python3.11 -um pkg.mod -u",
        Run(("-m", "pkg.mod", "-u"), notes=("the job runs on the nodes' Python, not on `python3.11`",)),
    ),
    ("job.py --x", Run(("job.py", "--x"))),
    ("'$ python job.py --x'", Run(("job.py", "--x"))),
    ("'$' python job.py --x", Run(("job.py", "--x"))),
    ("''", Run(())),
    ("./scripts/train.py", Run(("./scripts/train.py",))),
    ("my-tool --help", Run(("my-tool", "--help"))),
    ("pkg", Run(("pkg",))),
    ('"python job.py --x 1"', Run(("job.py", "--x", "1"))),
    (
        "\"python job.py 'a  b' \\\"c \\\\$HOME\\\" d\\\\ e ''\"",
        Run(("job.py", "a  b", "c $HOME", "d e", "")),
    ),
    ('"SEED=1 python -m pkg.mod"', Run(("-m", "pkg.mod"), env=(("SEED", "1"),))),
    (
        '"PROMPT=python SEED=1 uv run job.py"',
        Run(("job.py",), env=(("PROMPT", "python"), ("SEED", "1")), notes=(environment("uv run"),)),
    ),
    ("PROMPT='use python 3' python job.py", Run(("job.py",), env=(("PROMPT", "use python 3"),))),
    ("SEED=1 python job.py", Run(("job.py",), env=(("SEED", "1"),))),
    ("SEED='a b' LR= python job.py", Run(("job.py",), env=(("SEED", "a b"), ("LR", "")))),
    ("env SEED=1 python job.py", Run(("job.py",), env=(("SEED", "1"),))),
    ("/usr/bin/env python3 job.py", Run(("job.py",))),
    ("exec python job.py", Run(("job.py",))),
    (
        "time python job.py",
        Run(("job.py",), notes=("the job runs without `time`: `--json` has the seconds of each stage",)),
    ),
    (
        "nohup python job.py",
        Run(("job.py",), notes=("the job runs without `nohup`: a job does not end with your terminal",)),
    ),
    (
        "nice -n 5 python job.py",
        Run(
            ("job.py",),
            notes=("the job runs without `nice`: it has the priority of the cluster's other jobs",),
        ),
    ),
    (
        "stdbuf -oL python job.py",
        Run(("job.py",), notes=("the job runs without `stdbuf`: the log of a job is not buffered",)),
    ),
    ("uv run job.py --x", Run(("job.py", "--x"), notes=(environment("uv run"),))),
    ("uv run --frozen -- python job.py", Run(("job.py",), notes=(environment("uv run"),))),
    ("uv run -m pkg.mod x", Run(("-m", "pkg.mod", "x"), notes=(environment("uv run"),))),
    ("poetry run python job.py", Run(("job.py",), notes=(environment("poetry run"),))),
    ("pdm run python job.py", Run(("job.py",), notes=(environment("pdm run"),))),
    ("hatch run my-tool x", Run(("my-tool", "x"), notes=(environment("hatch run"),))),
    ("pipenv run python job.py", Run(("job.py",), notes=(environment("pipenv run"),))),
    ("conda run --live-stream python job.py", Run(("job.py",), notes=(environment("conda run"),))),
    ("bash -c 'python job.py \"a b\"'", Run(("job.py", "a b"))),
    ("sh -ec 'SEED=1 exec python job.py'", Run(("job.py",), env=(("SEED", "1"),))),
    (
        "uv run bash -c 'time python job.py'",
        Run(
            ("job.py",),
            notes=(
                environment("uv run"),
                "the job runs without `time`: `--json` has the seconds of each stage",
            ),
        ),
    ),
    ("python -m runpy pkg.mod x", Run(("-m", "pkg.mod", "x"))),
    ("unknown-tool x", Run(("unknown-tool", "x"))),
]


PROJECT = ", and a bundle runs a script of the project"
THERE = ", and a bundle takes one that is there"
CHANGED = f" changes the environment{THERE}"


def advice(*parts: str) -> str:
    return "\n".join(parts)


def typing(line: str) -> str:
    return f"type `{line}`"


def script(name: str, *lines: str) -> str:
    return f"write {name}:\n\n" + "".join(f"    {line}\n" for line in lines)


def module(name: str, of: str) -> str:
    call = f'runpy.run_module("{of}", run_name="__main__", alter_sys=True)'
    return script(name, "import runpy", call)


def in_shell(line: str, name: str = "run_line.py") -> str:
    return script(
        name,
        "import os, subprocess, sys",
        'os.environ["PATH"] = os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"]',
        f"sys.exit(subprocess.run({line!r}, shell=True).returncode)",
    )


def follow(hint: str, directory: Path) -> str:
    """Writes the driver that an answer shows, and returns the command line to type."""
    if found := re.search(r"write (\S+):\n\n((?:    .*\n)+)", hint):
        (directory / found[1]).write_text(re.sub("(?m)^    ", "", found[2]))
    typed: list[str] = re.findall(r"type `(.*?)`", hint)
    return typed[-1]
