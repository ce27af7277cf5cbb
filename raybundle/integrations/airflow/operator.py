"""The operator: it submits a bundle as a Ray job, and ends as the job ends. Functions share its rules."""

from __future__ import annotations

import time
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseOperator

from raybundle.integrations.airflow.compat import AirflowException, conf
from raybundle.integrations.airflow.link import RayJobLink, url_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from raybundle import Job
    from raybundle.cluster.jobs import JobInfo
    from raybundle.integrations.airflow.hook import RayBundleHook

DEFAULT_CONNECTION = "raybundle_default"
POLL_INTERVAL = 5.0
"""Seconds between two looks of the trigger at a job that has run for some minutes."""
KILLED = "the job was stopped because Airflow ended the task"


class JobOperator(BaseOperator):
    """A task that is one Ray job. A retry of the task follows the job that an earlier try left running.

    Args:
        env: environment variables of the job.
        secrets: references to secrets by variable, `file:/path` or `env:NAME`; the nodes read them.
        metadata: of the job.
        driver_resources: what the driver needs, as the Jobs API names it: `entrypoint_num_cpus` and so on.
        build_options: of `raybundle.build`, such as `python` or `include`, for a bundle that the task builds.
        cwd: where the job starts, relative to the project's root.
        name: records a bundle that the task builds as a version of this name.
        store: in place of the connection's.
        timeout: after which the job is stopped and the task fails; `execution_timeout` by default.
        start_timeout: after which a job that has not started is stopped.
        poll_interval: the most seconds between two looks at the job, if the task is deferred.
        deferrable: waits in the triggerer, which takes no worker; Airflow's `default_deferrable` if None.
        raybundle_conn_id: of the connection; None takes raybundle's own configuration.
        options: of every operator.
    """

    template_fields: Sequence[str] = (
        "env",
        "metadata",
        "driver_resources",
        "build_options",
        "cwd",
        "name",
        "store",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {
        "env": "json",
        "metadata": "json",
        "driver_resources": "json",
        "build_options": "json",
    }
    operator_extra_links = (RayJobLink(),)
    ui_color = "#d6ecfa"

    def __init__(  # noqa: PLR0913 - what a job is
        self,
        *,
        env: Mapping[str, str] | None = None,
        secrets: Mapping[str, str] | None = None,
        metadata: Mapping[str, str] | None = None,
        driver_resources: Mapping[str, Any] | None = None,
        build_options: Mapping[str, Any] | None = None,
        cwd: str | None = None,
        name: str | None = None,
        store: str | None = None,
        timeout: timedelta | float | None = None,
        start_timeout: timedelta | float | None = None,
        poll_interval: float = POLL_INTERVAL,
        deferrable: bool | None = None,
        raybundle_conn_id: str | None = DEFAULT_CONNECTION,
        **options: Any,
    ) -> None:
        """Makes the task; nothing is read or built before it runs."""
        super().__init__(**options)
        self.env, self.secrets = env, secrets
        self.metadata, self.driver_resources = metadata, driver_resources
        self.build_options = build_options
        self.cwd, self.name, self.store = cwd, name, store
        self.timeout = _seconds(timeout if timeout is not None else self.execution_timeout)
        self.start_timeout = _seconds(start_timeout)
        self.poll_interval = poll_interval
        chosen = conf.getboolean("operators", "default_deferrable", fallback=False)
        self.deferrable = chosen if deferrable is None else deferrable
        self.raybundle_conn_id = raybundle_conn_id
        self.job_url: str | None = None
        self._submission_id: str | None = None
        self._killed = False

    def request(self, context: Any, options: dict[str, Any]) -> Job:
        """Submits the job; `options` are of `raybundle.run` and `raybundle.submit` alike."""
        raise NotImplementedError

    def wait_for(self, job: Job, write: Callable[[str], object]) -> Any:
        """Returns what is handed on of a job that succeeded; `write` takes its log."""
        raise NotImplementedError

    def execute(self, context: Any) -> Any:
        """Submits the job or finds it, and waits for its end."""
        from raybundle.errors import RaybundleError
        from raybundle.integrations.airflow.outcome import airflow_error, is_final, text_of

        try:
            job, found = self._start(context)
        except RaybundleError as error:
            raise airflow_error(text_of(error), final=is_final(error)) from None
        if self.deferrable and not (found and found.ended):
            self._defer(job)
        return self._finish(job, attached=found is not None)

    def execute_complete(self, context: Any, event: dict[str, Any]) -> Any:
        """Goes on when the trigger has seen the end of the job."""
        from raybundle.errors import RaybundleError
        from raybundle.integrations.airflow.outcome import airflow_error, is_final, text_of

        self._submission_id = event["submission_id"]
        if event["error"] is not None:
            raise airflow_error(event["error"], final=event["final"])
        try:
            job = self.hook.attach(event["submission_id"])
        except RaybundleError as error:
            raise airflow_error(text_of(error), final=is_final(error)) from None
        self._announce(context, job.address)
        return self._finish(job, attached=True)

    def on_kill(self) -> None:
        """Stops the job: the task was cleared or marked, its worker shuts down, or it took too long."""
        self._killed = True
        if self._submission_id is not None:
            self.hook.stop(self._submission_id)

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:  # noqa: ARG002 - as it calls it
        """Returns which job the task had; OpenLineage's provider asks when the task has ended."""
        from raybundle.integrations.airflow.outcome import lineage_of

        address = self.job_url and self.job_url.partition("/#/")[0]
        return lineage_of(self._submission_id, address)

    @property
    def hook(self) -> RayBundleHook:
        """The cluster and the store of the connection."""
        from raybundle.integrations.airflow.hook import RayBundleHook

        found = self.__dict__.get("_made_hook")
        if found is None:
            found = self.__dict__["_made_hook"] = RayBundleHook(self.raybundle_conn_id, self.store)
        return found

    @property
    def building(self) -> dict[str, Any]:
        """Options of a bundle that the task builds."""
        return {"name": self.name, **(self.build_options or {})}

    def _start(self, context: Any) -> tuple[Job, JobInfo | None]:
        """Returns the job, and what the cluster says of it if another try has submitted it."""
        from raybundle.errors import RecordedRunError
        from raybundle.integrations.airflow.identity import base_id, find_job, numbered

        base = base_id(context)
        with closing(self.hook.client()) as client:
            number, found = find_job(client, base)
            while True:
                self._submission_id = numbered(base, number)
                self._announce(context, client.address)
                if found is not None:
                    self.log.info("job %s is %s: following it", self._submission_id, found.status)
                    return self.hook.attach(self._submission_id), found
                try:
                    return self._submit(context, self._submission_id), None
                except RecordedRunError:  # its cluster has lost the job
                    number, found = find_job(client, base, number + 1)

    def _submit(self, context: Any, submission_id: str) -> Job:
        """Submits the job under an id that is recorded before the request is sent."""
        if self._killed:
            raise AirflowException(KILLED)
        options: dict[str, Any] = {
            "submission_id": submission_id,
            "env": self.env,
            "secrets": self.secrets,
            "metadata": {**_origin(context), **(self.metadata or {})},
            "cwd": self.cwd,
            **(self.driver_resources or {}),
        }
        job = self.request(context, options)
        if self._killed:  # the signal came while the request was under way
            self.hook.stop(submission_id)
        return job

    def _announce(self, context: Any, address: str) -> None:
        """Makes the id and the link visible while the job runs."""
        self.job_url = url_of(address, str(self._submission_id))
        context["ti"].xcom_push(key="submission_id", value=self._submission_id)
        context["ti"].xcom_push(key=RayJobLink().xcom_key, value=self.job_url)

    def _defer(self, job: Job) -> None:
        from raybundle.integrations.airflow.trigger import RayBundleTrigger

        now = time.time()
        trigger = RayBundleTrigger(
            job.id,
            self.raybundle_conn_id,
            poll_interval=self.poll_interval,
            deadline=None if self.timeout is None else now + self.timeout,
            start_deadline=None if self.start_timeout is None else now + self.start_timeout,
        )
        self.defer(trigger=trigger, method_name="execute_complete")

    def _finish(self, job: Job, *, attached: bool) -> Any:
        """Writes the log of the job into that of the task, and returns what is handed on."""
        from raybundle.errors import FunctionError, JobStoppedError, RaybundleError
        from raybundle.integrations.airflow.lines import LogLines
        from raybundle.integrations.airflow.outcome import airflow_error, is_final, text_of

        lines = LogLines(lambda line: self.log.info("%s", line))
        try:
            found = self.wait_for(job, lines.write)
        except RaybundleError as error:
            end = lines.end()
            if isinstance(error, FunctionError):  # has the traceback, which the log ends with
                end = ""
            if attached:
                self.hook.record_end_of(job.id)
            if self._killed and isinstance(error, JobStoppedError):
                raise airflow_error(KILLED, final=False) from None
            raise airflow_error(text_of(error), final=is_final(error), log_end=end) from None
        lines.end()
        if attached:
            self.hook.record_end_of(job.id)
        return found


class RayBundleSubmitOperator(JobOperator):
    """Runs a bundle as a Ray job.

    Args:
        target: a script or directory to bundle when the task runs; relative to the DAG file.
        bundle: in its place, a bundle of the store: its digest, the start of that, or a name (`train@3`).
        arguments: of the job.
        options: as `JobOperator` lists them, and of every operator.

    Raises:
        ValueError: both or neither of `target` and `bundle` are given.
    """

    template_fields = ("target", "bundle", "arguments", *JobOperator.template_fields)
    template_fields_renderers: ClassVar[dict[str, str]] = {
        "arguments": "py",
        **JobOperator.template_fields_renderers,
    }

    def __init__(
        self,
        *,
        target: str | None = None,
        bundle: str | None = None,
        arguments: Sequence[str] = (),
        **options: Any,
    ) -> None:
        """Makes the task; nothing is read or built before it runs."""
        super().__init__(**options)
        if (target is None) == (bundle is None):
            raise ValueError("give either `target` or `bundle`")
        self.target, self.bundle = target, bundle
        self.arguments = arguments

    def request(self, context: Any, options: dict[str, Any]) -> Job:  # noqa: ARG002 - functions need it
        """Submits the bundle, or that of the target."""
        if self.bundle is not None:
            return self.hook.run(self.bundle, self.arguments, **options)
        target = Path(self.dag.fileloc).parent / str(self.target)
        return self.hook.submit(str(target), self.arguments, **options, **self.building)

    def wait_for(self, job: Job, write: Callable[[str], object]) -> dict[str, Any]:
        """Returns what became of the job."""
        from raybundle.integrations.airflow.outcome import result_of

        info = job.wait(write, timeout=self.timeout, start_timeout=self.start_timeout)
        return result_of(info, job.address)


def _seconds(given: timedelta | float | None) -> float | None:
    return given.total_seconds() if isinstance(given, timedelta) else given


def _origin(context: Any) -> dict[str, str]:
    """Returns metadata that says which task a job is of."""
    ti = context["ti"]
    found = {"airflow.dag_id": ti.dag_id, "airflow.run_id": ti.run_id, "airflow.task_id": ti.task_id}
    return (
        found
        if ti.map_index is None or ti.map_index < 0
        else {**found, "airflow.map_index": str(ti.map_index)}
    )
