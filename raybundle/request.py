"""What the user asks for, and what is decided about it once: interpreter, Python of the nodes, cache."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from raybundle.cache.documents import Cache
from raybundle.config import cache_directory
from raybundle.resolve.driver.project import parse_directory, start_directory
from raybundle.resolve.interpreter.describe import describe, find_interpreter

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from raybundle.config import Settings
    from raybundle.model import Interpreter, Target, Warning
    from raybundle.resolve.interpreter.node_python import NodePython


@dataclass(frozen=True, slots=True)
class Tracing:
    """A run of the target that is observed."""

    arguments: tuple[str, ...] = ()
    as_main: bool = False
    """Enters `if __name__ == "__main__":`."""


@dataclass(frozen=True, slots=True)
class Request:
    """What the user asks for: a target, the settings, and the directory of the command."""

    target: Target
    settings: Settings
    project: Path
    cwd: Path
    environ: Mapping[str, str]
    tracing: Tracing | None = None
    """How the target is run before it is resolved; None runs nothing."""
    set_up: tuple[str, ...] = ()
    """Distributions that Ray installs on the nodes for this job, normalised: `pip`, `uv`, `conda`."""
    arguments: tuple[str, ...] = ()
    """The job's arguments, if they are known: files of the project that they name travel."""
    warnings: tuple[Warning, ...] = ()
    """What is odd about the request itself."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """The job's variables of the environment, without secrets; files that they name travel too."""

    def start(self, cwd: str | None = None) -> str:
        """Returns where the job starts, relative to the project: `cwd`, else the directory of the command.

        Raises:
            UsageError: the directory is outside the project.
        """
        if cwd is not None:
            return parse_directory(cwd)
        return start_directory(self.target, self.project, self.cwd)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request with what all later steps need to know; it is decided once and passed on."""

    request: Request
    interpreter: Interpreter
    """The one that the target is resolved against."""
    tag: NodePython | None
    """The Python of the nodes, if it differs from `interpreter`."""
    cache: Cache


def prepare(request: Request, nodes: NodePython | None = None) -> Prepared:
    """Returns a request with its interpreter, described once, and the Python of the nodes.

    Args:
        request: what the user asks for.
        nodes: what a cluster says about its nodes; the settings `python` and `platform` take precedence.

    Raises:
        BundleError: the interpreter does not start or does not answer.
        UsageError: there is no such interpreter, or no bundle can be made for such a Python or platform.
    """
    python, platform = (request.settings.text(key) for key in ("python", "platform"))
    executable = find_interpreter(python, request.project, request.environ)
    cache = Cache(cache_directory(request.environ))
    interpreter = describe(executable, request.environ, request.cwd, cache, request.target.options)
    tag = None
    if python or platform or nodes:
        from raybundle.resolve.interpreter.node_python import find_node_python

        tag = find_node_python(python, platform, interpreter, nodes)
    return Prepared(request, interpreter, tag, cache)
