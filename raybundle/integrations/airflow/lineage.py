"""What OpenLineage is told of a task, if Airflow has its provider."""

from __future__ import annotations

from typing import Any


def lineage_of(submission_id: str | None, address: str | None) -> Any:
    """Returns the standard facet of a query that another system runs; None without a job or the provider.

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
