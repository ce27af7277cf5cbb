"""The library (docs/library.md)."""

from __future__ import annotations

from raybundle.api import local
from raybundle.api.building import build, compare, export, plan, settings, show, trace, why
from raybundle.api.catalogue import bundles, runs, show_run, tag
from raybundle.api.cluster import attach, doctor, jobs, path, rerun, run, submit
from raybundle.api.job import Job
from raybundle.api.reporting import report
from raybundle.api.stored import bisect, check, diff, pull, run_here, sign, verify

__all__ = [
    "Job",
    "attach",
    "bisect",
    "build",
    "bundles",
    "check",
    "compare",
    "diff",
    "doctor",
    "export",
    "jobs",
    "local",
    "path",
    "plan",
    "pull",
    "report",
    "rerun",
    "run",
    "run_here",
    "runs",
    "settings",
    "show",
    "show_run",
    "sign",
    "submit",
    "tag",
    "trace",
    "verify",
    "why",
]
