"""Plans the target of a stored bundle again, from the working tree at hand."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from raybundle.bundle.values import ModuleEntry, ScriptEntry
from raybundle.errors import UsageError
from raybundle.exhaustive import assert_never
from raybundle.model import ConsoleScriptTarget, ModuleName, ModuleTarget
from raybundle.planning import plan
from raybundle.request import prepare
from raybundle.resolve.driver.console_script import DIRECTORY
from raybundle.resolve.driver.project import find_project, find_target
from raybundle.resolve.interpreter.node_python import minor_of
from raybundle.resolve.interpreter.platforms import known_platform, platform_of
from raybundle.submission.asking import ask
from raybundle.submission.ray_environment import RayEnvironment

if TYPE_CHECKING:
    from pathlib import Path

    from raybundle.bundle.values import Manifest
    from raybundle.model import Target
    from raybundle.planning import Plan
    from raybundle.request import Prepared
    from raybundle.submission.asking import Given


def plan_again(manifest: Manifest, given: Given) -> Plan:
    """Returns what a bundle's target is in the project of the current directory, for the bundle's Python.

    Args:
        manifest: of the stored bundle.
        given: settings of the command; `python` and `platform` take precedence over those of the bundle.

    Raises:
        UsageError: the project has no such target.
        BundleError: the target cannot be bundled now.
    """
    target = _target(manifest, find_project(given.cwd))
    prepared = _prepared(target, given)
    if flags := _other_python(manifest, given, prepared):
        prepared = _prepared(target, replace(given, flags={**given.flags, **flags}))
    return plan(prepared)


def _other_python(manifest: Manifest, given: Given, prepared: Prepared) -> dict[str, str]:
    """Returns settings for the bundle's Python and platform, where they differ and none are given."""
    flags, python, interpreter = {}, manifest.python, prepared.interpreter
    minor = prepared.tag.minor if prepared.tag else minor_of(interpreter)
    if not given.flags.get("python") and minor != python.minor:
        flags["python"] = python.minor
    platform = known_platform(python.platform, python.abi or "") if python.platform else None
    there = prepared.tag.platform if prepared.tag else platform_of(interpreter)
    other = platform and (platform.sysconfig, platform.libc) != (there.sysconfig, there.libc)
    if platform and other and not given.flags.get("platform"):
        flags["platform"] = platform.setting
    return flags


def _prepared(target: Target, given: Given) -> Prepared:
    return prepare(ask(target, (), given, RayEnvironment(), traces=False))


def _target(manifest: Manifest, project: Path) -> Target:
    match manifest.target:
        case ModuleEntry(name=name):
            return ModuleTarget(ModuleName(name))
        case ScriptEntry(path=path):
            folder, _, below = str(path).partition("/")
            if folder == "project" and below.startswith(f"{DIRECTORY}/"):
                return ConsoleScriptTarget(below.rpartition("/")[2])
            notebook = project / below.removesuffix(".py")
            file = notebook if notebook.suffix == ".ipynb" and notebook.is_file() else project / below
            if folder != "project" or not file.is_file():
                raise UsageError(
                    f"{project} has no {below if folder == 'project' else path}, which the bundle runs",
                    hint="run the command in the project that the bundle was built from",
                )
            return find_target(str(file))
        case other:
            return assert_never(other)
