"""The library (docs/library.md)."""

from __future__ import annotations

from raybundle.api import local
from raybundle.api.bundles import build, compare, export, plan, settings, show, trace, why
from raybundle.api.calls import attach, doctor, jobs, run, submit
from raybundle.api.job import Job
from raybundle.api.stored import pull

__all__ = [
    "Job",
    "attach",
    "build",
    "compare",
    "doctor",
    "export",
    "jobs",
    "local",
    "plan",
    "pull",
    "run",
    "settings",
    "show",
    "submit",
    "trace",
    "why",
]
