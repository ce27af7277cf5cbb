"""Names that Airflow has in other modules since 3.1."""

from __future__ import annotations

try:
    from airflow.sdk.bases.hook import BaseHook
    from airflow.sdk.configuration import conf
    from airflow.sdk.exceptions import AirflowException, AirflowFailException
except ImportError:  # Airflow 3.0
    from airflow.configuration import conf
    from airflow.exceptions import AirflowException, AirflowFailException
    from airflow.hooks.base import BaseHook

__all__ = ["AirflowException", "AirflowFailException", "BaseHook", "conf"]
