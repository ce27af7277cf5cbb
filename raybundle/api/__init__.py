"""The library: `plan`, `build`, `submit`, `run`, `attach`, `jobs` and `Job` (docs/library.md)."""

from __future__ import annotations

from raybundle.api.calls import attach, build, jobs, plan, run, submit
from raybundle.api.job import Job

__all__ = ["Job", "attach", "build", "jobs", "plan", "run", "submit"]
