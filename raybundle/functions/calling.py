"""Turns a call of a function of this process into a target, with the path on which this process imports."""

# Why strings: these are entries of `sys.path`.
# ruff: noqa: PTH109, PTH112, PTH119

from __future__ import annotations

import json
import os
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raybundle.functions.pickling import pickled
from raybundle.functions.script import known_lines, make_script, script_name, shown_name
from raybundle.model import FunctionTarget
from raybundle.resolve.driver.project import find_project

if TYPE_CHECKING:
    from collections.abc import Iterable

    from raybundle.functions.pickling import Call


_INSTALLED = ("site-packages", "dist-packages")
"""Names of directories that have installed distributions."""


def target_of(call: Call, project: Path | None = None) -> FunctionTarget:
    """Returns the target that carries out a call.

    Args:
        call: of a function of this process.
        project: that the code is relative to; by default, that of the directory where imports begin.

    Raises:
        UsageError: the call cannot be pickled.
    """
    directory = _first_directory()
    data, carried = pickled(call)
    files = {each.__code__.co_filename for each in carried}
    more = {
        "shown": {file: name for file in sorted(files) if (name := shown_name(file)) != file},
        "lines": known_lines(carried),
        "project": str(project or find_project(directory)),
    }
    file = directory / script_name(call.name)
    script = make_script(carried, data, file)
    return FunctionTarget(file, script.content, tuple(script.places), data + json.dumps(more).encode())


def own_roots(target: FunctionTarget, path: Iterable[str]) -> tuple[str, ...]:
    """Returns the directories from which this process imports, and which another one would not have.

    Args:
        target: whose directory comes first.
        path: of the interpreter.
    """
    known = {os.path.realpath(each) for each in path} | {str(target.script.parent)}
    return tuple(dict.fromkeys(each for each in _own_entries() if each not in known))


def named_in(call: Call) -> tuple[str, ...]:
    """Returns the arguments of a call that may name files, as the words of a command line."""
    values: list[Any] = [*call.args, *call.kwargs.values()]
    return tuple(os.fspath(each) for each in values if isinstance(each, (str, os.PathLike)))


def _first_directory() -> Path:
    """Returns where imports of this process begin: the script's directory, or the current one."""
    return Path(next(iter(_own_entries()), os.getcwd())).resolve()


def _own_entries() -> list[str]:
    """Returns the directories on `sys.path` that are no part of an installation, in order."""
    names = ("stdlib", "platstdlib", "purelib", "platlib", "scripts")
    installed = {os.path.realpath(sysconfig.get_path(name)) for name in names}
    found = []
    for entry in sys.path:
        real = os.path.realpath(entry or os.getcwd())
        inside = any(real == each or real.startswith(f"{each}{os.sep}") for each in installed)
        if os.path.isdir(real) and not inside and os.path.basename(real) not in _INSTALLED:
            found.append(real)
    return found
