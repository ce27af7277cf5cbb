"""Finds a console script of the project and makes the script that an installer would install for it."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raybundle.errors import UsageError
from raybundle.formats.toml import read_toml, table_of
from raybundle.resolve.distributions.installed import (
    ENTRY_POINTS,
    InstalledDistribution,
    InstalledDistributions,
)
from raybundle.resolve.driver.generated import Generated
from raybundle.resolve.driver.nearest import nearest
from raybundle.resolve.driver.stand_in import advice, driver_name, function_code, program_code

if TYPE_CHECKING:
    from collections.abc import Iterator

    from raybundle.model import Interpreter
    from raybundle.resolve.distributions.installed import EntryPoint

DIRECTORY = ".raybundle/bin"
"""Directory of the project, there only in a bundle, in place of the environment's `bin`."""
REFERENCE = re.compile(r"\s*([\w.]+)\s*:\s*([\w.]+)\s*(?:\[.*\]\s*)?")
"""`module:object`, with extras that are no longer evaluated (entry points specification)."""


@dataclass(frozen=True, slots=True)
class _Entry:
    reference: str
    file: Path
    line: int


def console_script(name: str, project: Path, interpreter: Interpreter) -> Generated:
    """Returns the script behind `name`: of the project's pyproject.toml, else of its editable install.

    It does what the wrapper of pip and uv does. It is in a directory of its own, which comes first on the
    path as the environment's `bin` does; its name has no suffix, so `sys.argv[0]` ends as it does there.

    Raises:
        UsageError: the project has no such script, or none that can be run.
    """
    entry = next(_entries(name, project, interpreter), None)
    if entry is None:
        raise _not_of_project(name, project, interpreter)
    found = REFERENCE.fullmatch(entry.reference)
    if found is None:
        raise UsageError(
            f"{entry.file}:{entry.line}: the script {name} is {entry.reference!r}, and not `module:function`",
            hint="correct the entry",
        )
    module, attribute = found.groups()
    content = wrapper(module, attribute)
    lines = (entry.line,) * content.count(b"\n")
    return Generated(project / DIRECTORY / name, content, entry.file, lines)


def wrapper(module: str, attribute: str) -> bytes:
    """Returns the script that an installer makes for `module:attribute`."""
    return (
        f"import sys\nfrom {module} import {attribute.partition('.')[0]}\n"
        f'if __name__ == "__main__":\n    sys.exit({attribute}())\n'
    ).encode()


def _not_of_project(name: str, project: Path, interpreter: Interpreter) -> UsageError:
    """Returns the error that tells how to run a program of another distribution, or of the nodes."""
    for each in InstalledDistributions(interpreter.site).by_name.values():
        script = _script_of(each, name)
        found = REFERENCE.fullmatch(script.value) if script else None
        if found:
            text = f"`{name}` is a program of {each.name}, and a bundle runs a script of the project"
            return UsageError(text, hint=advice(name, driver_name(name), function_code(*found.groups())))
    if shutil.which(name):
        text = f"`{name}` is a program of this machine, and a bundle runs a script of the project"
        return UsageError(text, hint=advice(name, driver_name(name), program_code(name)))
    return UsageError(
        f"the target {name} does not exist: it is no file, no directory with a `__main__.py`, "
        f"and no script of the project {project}",
        hint=f"name a file, or a script of [project.scripts] in pyproject.toml{nearest(name, Path())}",
    )


def _script_of(installed: InstalledDistribution, name: str) -> EntryPoint | None:
    scripts = {each.group: each for each in installed.entry_points() if each.name == name}
    return scripts.get("console_scripts") or scripts.get("gui_scripts")


def declares_script(name: str, project: Path) -> bool:
    """Returns whether pyproject.toml of the project declares a console script of this name."""
    try:
        return name in _declared(project / "pyproject.toml")
    except UsageError:  # it is told when the script is made
        return False


def _entries(name: str, project: Path, interpreter: Interpreter) -> Iterator[_Entry]:
    declared = project / "pyproject.toml"
    reference = _declared(declared).get(name)
    if isinstance(reference, str):
        yield _Entry(reference, declared, _line_of(name, declared))
    for directory, metadata in interpreter.projects:
        script = _script_of(InstalledDistribution.at(Path(metadata)), name)
        if directory == str(project) and script:
            yield _Entry(script.value, Path(metadata, ENTRY_POINTS), script.line)


def _declared(file: Path) -> dict[str, Any]:
    project = read_toml(file)
    return table_of(project, file, "project", "gui-scripts") | table_of(project, file, "project", "scripts")


def _line_of(name: str, file: Path) -> int:
    start = re.compile(rf"""\s*["']?{re.escape(name)}["']?\s*=""")
    lines = file.read_text("utf-8").splitlines()
    return next((number for number, line in enumerate(lines, 1) if start.match(line)), 1)
