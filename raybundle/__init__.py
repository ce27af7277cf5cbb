"""raybundle: run Ray jobs from exact, hash-addressed bundles of the code they need."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from raybundle.version import __version__

if TYPE_CHECKING:
    from raybundle import errors
    from raybundle.api import Job, attach, build, jobs, plan, run, submit
    from raybundle.cluster.jobs import JobInfo
    from raybundle.planning import Plan
    from raybundle.publish.stored import Stored

__all__ = [
    "Job",
    "JobInfo",
    "Plan",
    "Stored",
    "__version__",
    "attach",
    "build",
    "errors",
    "jobs",
    "plan",
    "run",
    "submit",
]

_MODULES = {
    "JobInfo": "raybundle.cluster.jobs",
    "Plan": "raybundle.planning",
    "Stored": "raybundle.publish.stored",
}
"""Where names come from that are not in `raybundle.api`."""


def __getattr__(name: str) -> Any:
    """Loads the library at its first use: `import raybundle` and `--help` stay light."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    if name == "errors":
        return import_module("raybundle.errors")
    return getattr(import_module(_MODULES.get(name, "raybundle.api")), name)


def __dir__() -> list[str]:
    return sorted(__all__)
