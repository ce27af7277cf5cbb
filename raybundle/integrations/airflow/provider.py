"""What Airflow reads of every installed provider; it imports nothing else of this package."""

from __future__ import annotations

from typing import Any

from raybundle.version import __version__

_HERE = "raybundle.integrations.airflow"
_TEXT = {"type": ["string", "null"]}


def get_provider_info() -> dict[str, Any]:
    """Returns the connection type, operators, decorator and links, as Airflow's schema has them."""
    name = "Ray (raybundle)"
    return {
        "package-name": "raybundle",
        "name": name,
        "description": "Runs Ray jobs from exact, hash-addressed bundles of the code they need.",
        "versions": [__version__],
        "integrations": [
            {"integration-name": name, "external-doc-url": "https://docs.ray.io/", "tags": ["software"]}
        ],
        "operators": [{"integration-name": name, "python-modules": [f"{_HERE}.operator"]}],
        "sensors": [{"integration-name": name, "python-modules": [f"{_HERE}.sensor"]}],
        "hooks": [{"integration-name": name, "python-modules": [f"{_HERE}.hook"]}],
        "triggers": [{"integration-name": name, "python-modules": [f"{_HERE}.trigger"]}],
        "task-decorators": [{"name": "raybundle", "class-name": f"{_HERE}.decorator.raybundle_task"}],
        "extra-links": [f"{_HERE}.link.RayJobLink"],
        "connection-types": [_connection_type(name)],
    }


def _connection_type(name: str) -> dict[str, Any]:
    return {
        "connection-type": "raybundle",
        "hook-class-name": f"{_HERE}.hook.RayBundleHook",
        "hook-name": name,
        "conn-fields": {
            "store": _field("Store", "Where bundles are kept, such as s3://bucket/prefix"),
            "verify": _field("Verify", "true, false, or a PEM file of the authorities to trust"),
            "client_cert": _field("Client certificate", "A PEM file"),
            "client_key": _field("Its key", "A PEM file, if it is not in the same file"),
            "headers": _field("Headers", "A JSON object of headers for each request"),
            "profile": _field("Profile", "A profile of raybundle's configuration"),
        },
        "ui-field-behaviour": {
            "hidden-fields": ["extra"],
            "relabeling": {
                "host": "Dashboard",
                "schema": "http or https",
                "login": "User",
                "password": "Token or password",
            },
            "placeholders": {
                "host": "https://ray.example.com, or a host with its port below",
                "login": "only for a proxy that asks for a user and a password",
                "password": "Ray's authentication token",
            },
        },
    }


def _field(label: str, description: str) -> dict[str, Any]:
    return {"label": label, "description": description, "schema": dict(_TEXT)}
