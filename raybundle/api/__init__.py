"""The library (docs/library.md)."""

from __future__ import annotations

from raybundle.api import local
from raybundle.api.bundles import build, export, plan, settings, show, trace, why
from raybundle.api.calls import attach, jobs, run, submit
from raybundle.api.job import Job

__all__ = [
    "Job",
    "attach",
    "build",
    "export",
    "jobs",
    "local",
    "plan",
    "run",
    "settings",
    "show",
    "submit",
    "trace",
    "why",
]
