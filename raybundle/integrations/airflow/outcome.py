"""What Airflow and OpenLineage are told of a job; an error says whether to try again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from raybundle.errors import BundleError, DamagedCacheError, JobStoppedError, JobTimeoutError, UsageError
from raybundle.integrations.airflow.compat import AirflowException, AirflowFailException
from raybundle.integrations.airflow.link import url_of

if TYPE_CHECKING:
    from raybundle.cluster.jobs import JobInfo
    from raybundle.errors import RaybundleError

FINAL = (UsageError, BundleError, JobStoppedError, JobTimeoutError)
"""Errors after which another try of the task would end the same way, or is not wanted."""


def is_final(error: RaybundleError) -> bool:
    """Whether Airflow should not try the task again after this error."""
    return isinstance(error, FINAL) and not isinstance(error, DamagedCacheError)


def text_of(error: RaybundleError) -> str:
    """Returns what is wrong, and what to do about it."""
    return f"{error}\nhint: {error.hint}" if error.hint else str(error)


def airflow_error(text: str, *, final: bool, log_end: str = "") -> AirflowException:
    """Returns the exception of a task.

    Args:
        text: what is wrong.
        final: Airflow must not try again.
        log_end: of the job.
    """
    if log_end:
        text = f"{text}\n\nThe end of the log:\n{log_end}"
    return AirflowFailException(text) if final else AirflowException(text)


def result_of(info: JobInfo, address: str) -> dict[str, Any]:
    """Returns what a task hands on of a job: small, and JSON."""
    return {
        "submission_id": info.submission_id,
        "status": info.status,
        "exit_code": info.driver_exit_code,
        "bundle": info.metadata.get("raybundle"),
        "address": address,
        "url": url_of(address, info.submission_id),
    }


def lineage_of(submission_id: str | None, address: str | None) -> Any:
    """Returns OpenLineage's facet of a query that another system runs; None without a job or the provider.

    Args:
        submission_id: of the job.
        address: of its cluster.
    """
    if submission_id is None or address is None:
        return None
    try:
        from airflow.providers.openlineage.extractors import OperatorLineage
        from openlineage.client.facet_v2 import external_query_run
    except ImportError:
        return None
    facet = external_query_run.ExternalQueryRunFacet(externalQueryId=submission_id, source=address)
    return OperatorLineage(run_facets={"externalQuery": facet})
