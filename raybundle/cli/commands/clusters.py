"""Runs `local`, `config` and `node`: the embedded cluster, each setting's source, a node's cache."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from raybundle.cli.request import settings_of
from raybundle.cluster.secrets import looks_secret
from raybundle.config import KEYS, default_store
from raybundle.formats.credentials import without_credentials

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from raybundle.cli.output.console import Console
    from raybundle.cluster.embedded.record import LocalCluster
    from raybundle.config import Value


def local(arguments: argparse.Namespace, console: Console) -> int:
    """Starts, stops or shows the embedded cluster."""
    from raybundle.cluster.embedded import cluster

    match arguments.action:
        case "up":
            options = cluster.LocalOptions(arguments.num_cpus, arguments.object_store_memory)
            before = cluster.status()
            running = cluster.up(arguments.python or sys.executable, options)
            asked = arguments.python or arguments.num_cpus or arguments.object_store_memory
            if asked and before is not None and before.address == running.address:
                console.note(
                    f"another cluster is up, with {running.python}: it is kept as it is; "
                    "`raybundle local down` ends it, with its jobs"
                )
            _show(running, console)
        case "down":
            ended = cluster.down()
            if console.json_mode:
                console.document({"running": False, "ended": ended})
            else:
                console.note("ended" if ended else "was not running")
        case "env":
            _show_variables(cluster.require_running(), console)
        case _:
            _show(cluster.status(), console)
    return 0


def _show_variables(running: LocalCluster, console: Console) -> None:
    """Prints what a shell evaluates: `eval "$(raybundle local env)"`."""
    import shlex

    from raybundle.cluster.embedded.token import driver_variables

    variables = driver_variables(running)
    if console.json_mode:
        console.document({"running": True, "env": variables})
    else:
        console.data("\n".join(f"export {name}={shlex.quote(value)}" for name, value in variables.items()))


def _show(running: LocalCluster | None, console: Console) -> None:
    from raybundle.cluster.embedded.token import token_variables, unprotected

    if running is not None and (risk := unprotected(running)):
        console.warnings([risk])
    if console.json_mode:
        console.document(
            {
                "running": running is not None,
                "address": None if running is None else running.address,
                "pids": [] if running is None else list(running.pids),
                "token_file": token_variables().get("RAY_AUTH_TOKEN_PATH"),
            }
        )
    else:
        console.data("not running" if running is None else running.address)


def config(arguments: argparse.Namespace, console: Console) -> int:
    """Shows every setting, its value and where it comes from."""
    settings = settings_of(arguments)
    rows: dict[str, dict[str, Any]] = {}
    for key in KEYS:
        setting = settings.found.get(key)
        value = None if setting is None else _shown(setting.value)
        rows[key] = {"value": value, "source": "default" if setting is None else setting.source}
    if rows["store"]["value"] is None:
        rows["store"]["value"] = default_store(os.environ)
    if console.json_mode:
        console.document({"settings": rows})
        return 0
    for key, row in rows.items():
        console.data(f"{key:<18} {_value_text(row['value']):<40} {row['source']}")
    return 0


def _shown(value: Value) -> Value:
    """Returns a value without credentials."""
    if isinstance(value, str):
        return without_credentials(value)
    if isinstance(value, dict):
        return {name: _shown_item(name, item) for name, item in value.items()}
    return value


def _shown_item(name: str, item: str | bool) -> str:
    if isinstance(item, bool):
        return "on" if item else "off"
    return "(hidden)" if looks_secret(name, item) else without_credentials(item)


def _value_text(value: Any) -> str:
    match value:
        case None:
            return "-"
        case dict():
            return ", ".join(f"{name}={text}" for name, text in value.items())
        case tuple():
            return ", ".join(value)
        case _:
            return str(value)


def node(arguments: argparse.Namespace, console: Console) -> int:
    """Verifies or cleans the cache that this machine has as a node."""
    from raybundle.node.cache import raybundle_verify

    document, code = raybundle_verify.operate(arguments.action)
    if console.json_mode:
        console.document(document)
    else:
        for line in raybundle_verify.lines_of(document):
            console.data(line)
    return code


COMMANDS: dict[str, Callable[[argparse.Namespace, Console], int]] = {
    "local": local,
    "config": config,
    "node": node,
}
