"""From a target and its options to the request of the user."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from raybundle.config import load_settings
from raybundle.request import Request, Tracing
from raybundle.resolve.driver.project import find_project, project_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from raybundle.config import Settings
    from raybundle.model import Target
    from raybundle.submission.ray_environment import RayEnvironment


@dataclass(frozen=True, slots=True)
class Given:
    """Settings that a command or a call gives, by key, and where it is given."""

    flags: Mapping[str, Any]
    environ: Mapping[str, str]
    cwd: Path
    profile: str | None = None

    def settings(self, project: Path | None = None) -> Settings:
        """Returns all settings; the project is looked for from the current directory if absent.

        Raises:
            UsageError: a setting is wrong.
        """
        return load_settings(self.flags, self.environ, project or find_project(self.cwd), self.profile)


def ask(
    target: Target, arguments: tuple[str, ...], given: Given, environment: RayEnvironment, *, traces: bool
) -> Request:
    """Returns what is to be bundled, with all its settings.

    Args:
        target: what the job runs.
        arguments: of the job.
        given: settings of the command.
        environment: what the options of `ray job submit` say; its `working_dir` is the project.
        traces: run the target first, and add what it imports.

    Raises:
        UsageError: a setting is wrong.
    """
    project = environment.project or project_of(target, given.cwd)
    settings = given.settings(project).extended("roots", environment.roots, "--runtime-env")
    if environment.project is not None:
        settings = settings.with_default("data", "tracked", "--working-dir")
    return Request(
        target,
        settings.extended("exclude", environment.excludes, "--runtime-env"),
        project,
        environment.project or given.cwd,
        given.environ,
        Tracing(arguments) if traces else None,
        environment.set_up,
        arguments,
        environment.warnings,
        {**environment.env, **settings.table("env")},
    )
