"""Plans the target of a stored bundle again, from the working tree at hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raybundle.bundle.values import ModuleEntry, ScriptEntry
from raybundle.errors import UsageError
from raybundle.exhaustive import assert_never
from raybundle.model import ModuleName, ModuleTarget
from raybundle.planning import plan
from raybundle.request import prepare
from raybundle.resolve.driver.project import find_project, find_target
from raybundle.submission.asking import ask
from raybundle.submission.ray_environment import RayEnvironment

if TYPE_CHECKING:
    from pathlib import Path

    from raybundle.bundle.values import Manifest
    from raybundle.model import Target
    from raybundle.planning import Plan
    from raybundle.submission.asking import Given


def plan_again(manifest: Manifest, given: Given) -> Plan:
    """Returns what a bundle's target is in the project of the current directory.

    Args:
        manifest: of the stored bundle.
        given: settings of the command.

    Raises:
        UsageError: the project has no such target.
        BundleError: the target cannot be bundled now.
    """
    target = _target(manifest, find_project(given.cwd))
    return plan(prepare(ask(target, (), given, RayEnvironment(), traces=False)))


def _target(manifest: Manifest, project: Path) -> Target:
    match manifest.target:
        case ModuleEntry(name=name):
            return ModuleTarget(ModuleName(name))
        case ScriptEntry(path=path):
            folder, _, below = str(path).partition("/")
            notebook = project / f"{below.removesuffix('.py')}.ipynb"
            file = notebook if notebook.is_file() and not (project / below).is_file() else project / below
            if folder != "project" or not file.is_file():
                raise UsageError(
                    f"{project} has no {below if folder == 'project' else path}, which the bundle runs",
                    hint="run the command in the project that the bundle was built from",
                )
            return find_target(str(file))
        case other:
            return assert_never(other)
