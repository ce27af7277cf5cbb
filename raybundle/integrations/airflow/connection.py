"""From the fields of an Airflow connection to the keywords of raybundle's library."""

from __future__ import annotations

import base64
import json
from typing import Any

from raybundle.errors import UsageError


def keywords_of(connection: Any) -> dict[str, Any]:
    """Returns the keywords of the library that a connection gives.

    Args:
        connection: an Airflow connection.

    Raises:
        UsageError: its headers are not a JSON object.
    """
    given = connection.extra_dejson.items()  # values may be objects, which no set takes
    extra = {name: value for name, value in given if value not in (None, "")}
    headers = _headers(extra.get("headers"), connection.conn_id)
    if connection.login:
        pair = f"{connection.login}:{connection.password or ''}"
        headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    elif connection.password:
        headers["Authorization"] = f"Bearer {connection.password}"
    found = {
        "address": _address(connection),
        "headers": headers or None,
        "verify": _verify(extra.get("verify")),
        **{name: extra.get(name) for name in ("client_cert", "client_key", "profile", "store")},
    }
    return {name: value for name, value in found.items() if value is not None}


def _address(connection: Any) -> str | None:
    """Returns the dashboard's URL; the host may be one, or a name with scheme and port in their fields."""
    if not connection.host:
        return None
    scheme, separator, place = connection.host.rpartition("://")
    host, slash, path = place.partition("/")
    if connection.port and ":" not in host.rpartition("]")[2]:
        host = f"{host}:{connection.port}"
    return f"{scheme if separator else connection.schema or 'http'}://{host}{slash}{path}"


def _headers(given: Any, conn_id: str) -> dict[str, str]:
    """Returns the headers of a connection; the form of the web interface has them as text."""
    try:
        found = json.loads(given) if isinstance(given, str) else given or {}
    except ValueError:
        found = None
    if not isinstance(found, dict):  # not shown: it may hold a token
        raise UsageError(
            f"`headers` of the connection {conn_id} is not a JSON object", hint='such as {"X-Team": "search"}'
        )
    return {str(name): str(value) for name, value in found.items()}


def _verify(given: Any) -> bool | str | None:
    words = {"true": True, "false": False}
    return words.get(given.lower(), given) if isinstance(given, str) else given
