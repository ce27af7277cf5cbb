"""raybundle: run Ray jobs from exact, hash-addressed bundles of the code they need."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from raybundle.version import __version__

if TYPE_CHECKING:
    from raybundle import errors
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
    from raybundle.cluster.embedded.record import LocalCluster
    from raybundle.cluster.jobs import JobInfo
    from raybundle.config import Setting
    from raybundle.pipeline.bisecting.bisect import Bisection
    from raybundle.pipeline.comparing import Comparison
    from raybundle.pipeline.diffing.diff import Diff
    from raybundle.pipeline.diffing.patching import Patch
    from raybundle.pipeline.findings import Finding
    from raybundle.pipeline.kuberay import Export
    from raybundle.pipeline.past.runs import RunRecord
    from raybundle.pipeline.reasoning import Why
    from raybundle.pipeline.serving.building import ServeConfig
    from raybundle.pipeline.serving.deploying import Deployed
    from raybundle.pipeline.tracing import Trace
    from raybundle.pipeline.verifying import Verification
    from raybundle.pipeline.viewing.values import PathView
    from raybundle.planning import Plan
    from raybundle.publish.catalogue import Listed
    from raybundle.publish.content.checking import Checked
    from raybundle.publish.content.pulling import Pulled
    from raybundle.publish.gc.collect import Collected
    from raybundle.publish.runs.marks import Row
    from raybundle.publish.stored import Stored
    from raybundle.publish.trust.signatures import Signed
    from raybundle.reporting.report import Report
    from raybundle.store.probe import Probed, Property

__all__ = [
    "Bisection",
    "Checked",
    "Collected",
    "Comparison",
    "Deployed",
    "Diff",
    "Export",
    "Finding",
    "Job",
    "JobFunction",
    "JobInfo",
    "Listed",
    "LocalCluster",
    "Patch",
    "PathView",
    "Plan",
    "Probed",
    "Property",
    "Pulled",
    "Report",
    "Row",
    "RunRecord",
    "ServeConfig",
    "Setting",
    "Signed",
    "Stored",
    "Trace",
    "Verification",
    "Why",
    "__version__",
    "attach",
    "bisect",
    "build",
    "bundles",
    "check",
    "compare",
    "diff",
    "doctor",
    "errors",
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

_MODULES = {
    "Bisection": "raybundle.pipeline.bisecting.bisect",
    "Checked": "raybundle.publish.content.checking",
    "Collected": "raybundle.publish.gc.collect",
    "Comparison": "raybundle.pipeline.comparing",
    "Deployed": "raybundle.pipeline.serving.deploying",
    "Diff": "raybundle.pipeline.diffing.diff",
    "Export": "raybundle.pipeline.kuberay",
    "Finding": "raybundle.pipeline.findings",
    "Job": "raybundle.api.handle",
    "JobFunction": "raybundle.api.functions",
    "JobInfo": "raybundle.cluster.jobs",
    "Listed": "raybundle.publish.catalogue",
    "LocalCluster": "raybundle.cluster.embedded.record",
    "Patch": "raybundle.pipeline.diffing.patching",
    "PathView": "raybundle.pipeline.viewing.values",
    "Plan": "raybundle.planning",
    "Probed": "raybundle.store.probe",
    "Property": "raybundle.store.probe",
    "Pulled": "raybundle.publish.content.pulling",
    "Report": "raybundle.reporting.report",
    "Row": "raybundle.publish.runs.marks",
    "RunRecord": "raybundle.pipeline.past.runs",
    "ServeConfig": "raybundle.pipeline.serving.building",
    "Setting": "raybundle.config",
    "Signed": "raybundle.publish.trust.signatures",
    "Stored": "raybundle.publish.stored",
    "Trace": "raybundle.pipeline.tracing",
    "Verification": "raybundle.pipeline.verifying",
    "Why": "raybundle.pipeline.reasoning",
    "attach": "raybundle.api.cluster",
    "bisect": "raybundle.api.stored",
    "build": "raybundle.api.building",
    "bundles": "raybundle.api.catalogue",
    "check": "raybundle.api.stored",
    "compare": "raybundle.api.building",
    "diff": "raybundle.api.stored",
    "doctor": "raybundle.api.cluster",
    "export": "raybundle.api.building",
    "gc": "raybundle.api.stored",
    "job": "raybundle.api.functions",
    "jobs": "raybundle.api.cluster",
    "patch": "raybundle.api.stored",
    "path": "raybundle.api.cluster",
    "plan": "raybundle.api.building",
    "probe_store": "raybundle.api.stored",
    "pull": "raybundle.api.stored",
    "report": "raybundle.api.reporting",
    "rerun": "raybundle.api.cluster",
    "run": "raybundle.api.cluster",
    "run_function": "raybundle.api.functions",
    "run_here": "raybundle.api.stored",
    "runs": "raybundle.api.catalogue",
    "runtime_env": "raybundle.api.building",
    "sbom": "raybundle.api.building",
    "settings": "raybundle.api.building",
    "show": "raybundle.api.building",
    "show_run": "raybundle.api.catalogue",
    "sign": "raybundle.api.stored",
    "submit": "raybundle.api.cluster",
    "submit_function": "raybundle.api.functions",
    "tag": "raybundle.api.catalogue",
    "trace": "raybundle.api.building",
    "verify": "raybundle.api.stored",
    "why": "raybundle.api.building",
}
"""The module that has each name."""
_WHOLE = {"errors": "raybundle.errors", "local": "raybundle.api.local", "serve": "raybundle.api.serve"}
"""Names of modules."""


def __getattr__(name: str) -> Any:
    """Loads the part of the library that has a name: `import raybundle` and `--help` stay light."""
    from importlib import import_module

    if name in _WHOLE:
        return import_module(_WHOLE[name])
    if name in _MODULES:
        return getattr(import_module(_MODULES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
