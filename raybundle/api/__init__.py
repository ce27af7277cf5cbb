"""The library (docs/library.md)."""

from __future__ import annotations

from raybundle.api import local, serve
from raybundle.api.building import (
    build,
    compare,
    export,
    plan,
    runtime_env,
    sbom,
    settings,
    show,
    trace,
    why,
)
from raybundle.api.catalogue import bundles, runs, show_run, tag
from raybundle.api.cluster import attach, doctor, jobs, path, rerun, run, submit
from raybundle.api.functions import JobFunction, job, run_function, submit_function
from raybundle.api.handle import Job
from raybundle.api.reporting import report
from raybundle.api.stored import bisect, check, diff, gc, patch, probe_store, pull, run_here, sign, verify

__all__ = [
    "Job",
    "JobFunction",
    "attach",
    "bisect",
    "build",
    "bundles",
    "check",
    "compare",
    "diff",
    "doctor",
    "export",
    "gc",
    "job",
    "jobs",
    "local",
    "patch",
    "path",
    "plan",
    "probe_store",
    "pull",
    "report",
    "rerun",
    "run",
    "run_function",
    "run_here",
    "runs",
    "runtime_env",
    "sbom",
    "serve",
    "settings",
    "show",
    "show_run",
    "sign",
    "submit",
    "submit_function",
    "tag",
    "trace",
    "verify",
    "why",
]
