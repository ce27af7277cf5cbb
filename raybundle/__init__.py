"""raybundle: run Ray jobs from exact, hash-addressed bundles of the code they need."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from raybundle.version import __version__

if TYPE_CHECKING:
    from raybundle import errors
    from raybundle.api import (
        Job,
        JobFunction,
        attach,
        bisect,
        build,
        bundles,
        check,
        compare,
        diff,
        doctor,
        export,
        gc,
        job,
        jobs,
        local,
        patch,
        path,
        plan,
        probe_store,
        pull,
        report,
        rerun,
        run,
        run_function,
        run_here,
        runs,
        runtime_env,
        sbom,
        serve,
        settings,
        show,
        show_run,
        sign,
        submit,
        submit_function,
        tag,
        trace,
        verify,
        why,
    )
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
