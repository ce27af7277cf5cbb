"""The library: `plan`, `build`, `submit`, `run` and `Job`, with the same errors as the exit codes."""

from __future__ import annotations

import codecs
import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raybundle.bundle.graph_document import graph_document
from raybundle.cache.documents import Cache
from raybundle.cluster.access import make_access
from raybundle.cluster.embedded import cluster
from raybundle.cluster.jobs import JobsClient
from raybundle.cluster.secrets import refuse_literals
from raybundle.config import cache_directory, dashboard_address, load_settings
from raybundle.destination import for_nodes, require_embedded, require_embedded_for, require_embedded_platform
from raybundle.formats.canonical import canonical_json
from raybundle.model import ModuleName, ModuleTarget
from raybundle.pipeline import Request, find_bundle, open_request_store
from raybundle.pipeline import build as _build
from raybundle.pipeline import plan as _plan
from raybundle.resolve.driver.project import find_target, parse_directory, project_of, start_directory
from raybundle.submission.deliver import Cluster, begin_survey
from raybundle.submission.submission import JobOptions, prepare_run, wait
from raybundle.submission.submission import submit as _submit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from raybundle.cluster.jobs import JobInfo
    from raybundle.config import Settings
    from raybundle.model import Target
    from raybundle.pipeline import Plan
    from raybundle.submission.submission import Stored, Submission


@dataclass(frozen=True, slots=True)
class Job:
    """A job that the cluster accepted."""

    submission: Submission

    @property
    def id(self) -> str:
        """The submission id."""
        return self.submission.run.id

    @property
    def bundle(self) -> str:
        """The digest of the bundle that the job runs."""
        return self.submission.stored.digest

    def status(self) -> JobInfo:
        """Returns what the cluster says of the job now."""
        return self.submission.cluster.client.info(self.id)

    def logs(self) -> str:
        """Returns the driver's log so far."""
        return self.submission.cluster.client.logs(self.id)

    def stop(self) -> bool:
        """Asks the cluster to stop the job; returns whether it was running."""
        return self.submission.cluster.client.stop(self.id)

    def wait(self, write: Callable[[str], None] | None = None) -> JobInfo:
        """Returns the job once it succeeded; `write` takes its log in pieces as it grows.

        Raises:
            JobError: it ended without success.
            ClusterError: the cluster cannot be reached, or no longer knows the job.
        """
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        ended = wait(
            self.submission,
            lambda piece: write(decoder.decode(piece)) if write else None,
            lambda ended: 0 if ended.error is None else ended.error.exit_code,
        )
        if ended.error is not None:
            raise ended.error
        return ended.info


def plan(target: str | Path, *, module: bool = False, **settings: Any) -> Plan:
    """Returns the bundle of a target, which is not stored.

    Args:
        target: a script, a directory with a `__main__.py`, a notebook, the name of a console script of
            the project, or with `module` the name of a module.
        module: run the target as `python -m`.
        settings: as the configuration has them, with `_` for `-`: `store`, `roots`, `include`, `python`, …
    """
    return _plan(_request(target, module, settings))


def build(target: str | Path, *, module: bool = False, **settings: Any) -> Stored:
    """Returns a bundle after it was put into the store; arguments as for `plan`."""
    request = _request(target, module, settings)
    return _store(_plan(request), request.settings)


def submit(
    target: str | Path,
    arguments: Sequence[str] = (),
    *,
    module: bool = False,
    cwd: str | None = None,
    **settings: Any,
) -> Job:
    """Returns the job of a target after it was built, stored and submitted; arguments as for `plan`.

    It starts in `cwd`, relative to the project; by default where this process is.
    """
    request = replace(_request(target, module, settings), arguments=tuple(arguments))
    here = start_directory(request.target, request.project, request.cwd)
    start = here if cwd is None else parse_directory(cwd)
    cluster = None
    if dashboard_address(request.settings, os.environ):
        store = open_request_store(request.settings, os.environ)
        cluster = begin_survey(_cluster(request.settings), store)
        request = for_nodes(request, cluster)
    else:
        require_embedded(request)
    planned = _plan(request)
    if cluster is None:
        require_embedded_platform(request, planned.manifest.python)
    stored = _store(planned, request.settings)
    executable = planned.resolution.interpreter.executable
    cluster = cluster or _cluster(request.settings, executable)
    job = _job(stored, request.settings, arguments, cluster, start)
    return replace(job, submission=replace(job.submission, project=request.project))


def run(ref: str, arguments: Sequence[str] = (), *, cwd: str = "", **settings: Any) -> Job:
    """Returns the job of a bundle of the store, named by its digest, the start of it, or a name.

    It starts in `cwd`, relative to the project.
    """
    found = _settings(settings, Path.cwd())
    address = dashboard_address(found, os.environ)
    stored = find_bundle(open_request_store(found, os.environ), ref)
    python = found.text("python")
    if not address:
        python = require_embedded_for(stored.manifest.python, python, os.environ)
    start = parse_directory(cwd)
    return _job(stored, found, arguments, _cluster(found, python or sys.executable), start)


def _request(target: str | Path, module: bool, settings: Mapping[str, Any]) -> Request:
    value: Target = ModuleTarget(ModuleName(str(target))) if module else find_target(str(target))
    project = project_of(value, Path.cwd())
    return Request(value, _settings(settings, project), project, Path.cwd(), os.environ)


def _settings(settings: Mapping[str, Any], project: Path) -> Settings:
    flags = {key.replace("_", "-"): value for key, value in settings.items()}
    return load_settings(flags, os.environ, project)


def _store(planned: Plan, settings: Settings) -> Stored:
    graph = canonical_json(graph_document(planned.resolution, planned.layers))
    return _build(planned, open_request_store(settings, os.environ), graph)


def _cluster(settings: Settings, python: str = sys.executable) -> Cluster:
    """Returns the configured cluster, else the embedded one, which is started with `python` if need be."""
    address = dashboard_address(settings, os.environ)
    client = JobsClient(make_access(address or cluster.up(python).address, os.environ))
    return Cluster(client, address is None, Cache(cache_directory(os.environ)))


def _job(stored: Stored, settings: Settings, arguments: Sequence[str], cluster: Cluster, start: str) -> Job:
    refuse_literals(settings.table("env"))
    options = JobOptions(arguments=tuple(arguments), env=settings.table("env"), cwd=start)
    store = open_request_store(settings, os.environ)
    run = prepare_run(stored, cluster, options)
    return Job(_submit(run, stored, store, cluster, options))
