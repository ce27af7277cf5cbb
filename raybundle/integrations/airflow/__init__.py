"""Airflow 3 runs bundles on Ray: an operator, a sensor and a connection type (docs/airflow.md).

A DAG file imports this module, and the scheduler reads it often: nothing is loaded before its first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from raybundle.integrations.airflow.hook import RayBundleHook
    from raybundle.integrations.airflow.operator import RayBundleSubmitOperator
    from raybundle.integrations.airflow.sensor import RayBundleSensor
    from raybundle.integrations.airflow.trigger import RayBundleTrigger

__all__ = ["RayBundleHook", "RayBundleSensor", "RayBundleSubmitOperator", "RayBundleTrigger"]

_MODULES = {
    "RayBundleHook": "hook",
    "RayBundleSensor": "sensor",
    "RayBundleSubmitOperator": "operator",
    "RayBundleTrigger": "trigger",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
