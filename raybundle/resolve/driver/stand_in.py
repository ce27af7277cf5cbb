"""Drivers that stand in for a program that is not the project's: what an answer tells the user to write."""

from __future__ import annotations

import re


def driver_name(program: str) -> str:
    """Returns the name of the script that runs `program`; no module that it imports has that name."""
    return f"run_{re.sub(r'[^A-Za-z0-9]+', '_', program).strip('_')}.py"


def module_code(module: str) -> str:
    """Returns what does `python -m module`, with the arguments of the script."""
    return f'import runpy\nrunpy.run_module("{module}", run_name="__main__", alter_sys=True)\n'


def function_code(module: str, attribute: str) -> str:
    """Returns what a console script of `module:attribute` does."""
    return f"import sys\nfrom {module} import {attribute.partition('.')[0]}\nsys.exit({attribute}())\n"


def program_code(program: str) -> str:
    """Returns what runs a program of the nodes, with the arguments of the script, and ends as it does."""
    call = f"subprocess.run([{program!r}, *sys.argv[1:]])"
    return f"import subprocess, sys\nsys.exit({call}.returncode)\n"


def command_code(words: tuple[str, ...]) -> str:
    """Returns what runs a command whose words are known, and ends as it does. `-m` is for Python."""
    python = "sys.executable, " if words[:1] == ("-m",) else ""
    call = f"subprocess.run([{python}{', '.join(map(repr, words))}])"
    return f"import subprocess, sys\nsys.exit({call}.returncode)\n"


def shell_code(line: str) -> str:
    """Returns what runs a line as Ray's supervisor does, with the Python of the job as `python`."""
    return (
        "import os, subprocess, sys\n"
        'os.environ["PATH"] = os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"]\n'
        f"sys.exit(subprocess.run({line!r}, shell=True).returncode)\n"
    )


def shown(name: str, code: str) -> str:
    """Returns how a hint shows a script to write."""
    return f"write {name}:\n\n{''.join(f'    {line}' + chr(10) for line in code.splitlines())}"


def advice(typed: str, name: str, code: str) -> str:
    """Returns the hint of an error that does not know the arguments; `typed` is what the script replaces."""
    return (
        f"{shown(name, code)}\ntype `{name}` in place of `{typed}`; "
        "before it, `--include FILE` for each file of the project that its arguments name"
    )
