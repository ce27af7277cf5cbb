"""The sensor: it waits for a job that something else submits."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseSensorOperator, PokeReturnValue

from raybundle.integrations.airflow.compat import conf
from raybundle.integrations.airflow.link import RayJobLink, url_of

if TYPE_CHECKING:
    from raybundle.cluster.jobs import JobInfo


class RayBundleSensor(BaseSensorOperator):
    """Succeeds when a job has succeeded, and fails when it has ended otherwise."""

    template_fields = ("submission_id",)
    operator_extra_links = (RayJobLink(),)
    ui_color = "#d6ecfa"

    def __init__(
        self,
        *,
        submission_id: str,
        poke_interval: float = 10.0,
        deferrable: bool | None = None,
        raybundle_conn_id: str | None = "raybundle_default",
        **options: Any,
    ) -> None:
        """Makes the task.

        Args:
            submission_id: of the job; the cluster need not know it yet.
            poke_interval: seconds between two looks.
            deferrable: waits in the triggerer, which takes no worker; Airflow's `default_deferrable` if None.
            raybundle_conn_id: of the connection; None takes raybundle's own configuration.
            options: of every sensor.
        """
        super().__init__(poke_interval=poke_interval, **options)
        self.submission_id = submission_id
        chosen = conf.getboolean("operators", "default_deferrable", fallback=False)
        self.deferrable = chosen if deferrable is None else deferrable
        self.raybundle_conn_id = raybundle_conn_id
        self.job_url: str | None = None

    def execute(self, context: Any) -> Any:
        """Waits, here or in the triggerer."""
        if not self.deferrable:
            return super().execute(context)
        from raybundle.integrations.airflow.trigger import RayBundleTrigger

        trigger = RayBundleTrigger(
            self.submission_id, self.raybundle_conn_id, poll_interval=self.poke_interval, owns=False
        )
        self.defer(trigger=trigger, method_name="execute_complete", timeout=self.timeout)
        return None

    def poke(self, context: Any) -> PokeReturnValue:  # noqa: ARG002 - as Airflow calls it
        """Looks at the job."""
        info, address = self._look()
        if info is None or not info.ended:
            self.log.info(
                "job %s is %s", self.submission_id, "not there yet" if info is None else info.status
            )
            return PokeReturnValue(is_done=False)
        return PokeReturnValue(is_done=True, xcom_value=_result(info, address))

    def execute_complete(self, context: Any, event: dict[str, Any]) -> Any:  # noqa: ARG002 - see `poke`
        """Goes on when the trigger has seen the end of the job."""
        from raybundle.integrations.airflow.outcome import airflow_error

        if event["error"] is not None:
            raise airflow_error(event["error"], final=event["final"])
        info, address = self._look()
        if info is None:
            raise airflow_error(f"the cluster no longer knows the job {self.submission_id}", final=False)
        return _result(info, address)

    def _look(self) -> tuple[JobInfo | None, str]:
        from raybundle.errors import RaybundleError
        from raybundle.integrations.airflow.hook import RayBundleHook
        from raybundle.integrations.airflow.outcome import airflow_error, is_final, text_of

        try:
            with closing(RayBundleHook(self.raybundle_conn_id).client()) as client:
                self.job_url = url_of(client.address, self.submission_id)
                return client.find(self.submission_id), client.address
        except RaybundleError as error:
            raise airflow_error(text_of(error), final=is_final(error)) from None


def _result(info: JobInfo, address: str) -> dict[str, Any]:
    """Returns what is handed on of a job that succeeded; raises if it did not."""
    from raybundle.cluster.outcome import job_error
    from raybundle.integrations.airflow.outcome import airflow_error, result_of, text_of

    error = job_error(info)
    if error is not None:
        raise airflow_error(text_of(error), final=True)
    return result_of(info, address)
