"""A link from a task to the page of its job."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from airflow.sdk import BaseOperatorLink


class RayJobLink(BaseOperatorLink):
    """Leads to the job in Ray's dashboard; the operator says where, once it has submitted the job."""

    name = "Ray job"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:  # noqa: ARG002 - Airflow calls it with the key
        """Returns the address of the page; empty if no job was submitted."""
        return getattr(operator, "job_url", None) or ""


def url_of(address: str, submission_id: str) -> str:
    """Returns the address of a job's page."""
    return f"{address}/#/jobs/{quote(submission_id)}"
