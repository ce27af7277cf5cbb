"""`serve`: applications of Ray Serve that run from bundles."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from raybundle.cli.job import connecting_of
from raybundle.cli.output.table import rows_of
from raybundle.cli.request import given_of, settings_of
from raybundle.cluster.outcome import brief
from raybundle.cluster.secrets import parse_secrets
from raybundle.cluster.serve import ServeClient
from raybundle.errors import UsageError
from raybundle.pipeline.serving.building import Options, build_config
from raybundle.pipeline.serving.configuration import read_wanted
from raybundle.pipeline.serving.deploying import ending
from raybundle.pipeline.serving.story import deploy_wanted

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Sequence

    from raybundle.cli.output.console import Console
    from raybundle.cluster.serve import Application
    from raybundle.pipeline.serving.deploying import Deployed

_SHORT = 19
"""Characters of a digest in a table: `sha256:` and 12 digits."""


def serve(arguments: argparse.Namespace, console: Console) -> int:
    """Builds, deploys, shows or ends applications."""
    _refuse_unheeded(arguments)
    match arguments.action:
        case "build":
            return _build(arguments, console)
        case "deploy":
            return _deploy(arguments, console)
        case "status":
            return _status(arguments, console)
        case _:
            return _shutdown(arguments, console)


def _refuse_unheeded(arguments: argparse.Namespace) -> None:
    """Refuses what would have no effect."""
    action = arguments.action
    command = f"raybundle serve {action}"
    if arguments.words and action in ("status", "shutdown"):
        raise UsageError(f"`{command}` takes no `{arguments.words[0]}`")
    given = {
        "-o": arguments.output is not None and action != "build",
        "--no-wait": arguments.no_wait and action != "deploy",
        "--timeout": arguments.timeout is not None and action != "deploy",
    }
    if unheeded := [name for name, there in given.items() if there]:
        raise UsageError(f"`{command}` takes no {', '.join(unheeded)}")
    if arguments.no_wait and arguments.timeout is not None:
        raise UsageError("--timeout: nobody waits for the applications with --no-wait")


def _options(arguments: argparse.Namespace) -> Options:
    return Options(
        given_of(arguments),
        arguments.runtime_env,
        arguments.runtime_env_json,
        arguments.working_dir,
        parse_secrets(arguments.secret or ()),
        arguments.cwd,
        arguments.strict,
    )


def _build(arguments: argparse.Namespace, console: Console) -> int:
    wanted = read_wanted(arguments.words, arguments.name, arguments.route_prefix)
    config = build_config(wanted, _options(arguments), console)
    out = arguments.output and Path(arguments.output)
    if out:
        out.write_text(config.text(as_json=out.suffix == ".json"), "utf-8")
    if console.json_mode:
        rows = [_built(each, config.bundles) for each in config.applications]
        console.document({"file": arguments.output, "applications": rows, "config": config.document})
    elif not out:
        console.data(config.text().removesuffix("\n"))
    return 0


def _built(entry: Any, bundles: dict[str, str]) -> dict[str, Any]:
    name = entry.get("name", "default")
    route = entry.get("route_prefix", "/")
    return {
        "name": name,
        "route_prefix": route,
        "import_path": entry["import_path"],
        "bundle": bundles[name],
    }


def _deploy(arguments: argparse.Namespace, console: Console) -> int:
    wanted = read_wanted(arguments.words, arguments.name, arguments.route_prefix)
    options = _options(arguments)
    connecting = connecting_of(arguments, settings_of(arguments), console)
    timeout = 0 if arguments.no_wait else arguments.timeout
    try:
        config, found = deploy_wanted(wanted, options, connecting, console, timeout=timeout)
    except KeyboardInterrupt:
        console.note(
            "interrupted; what Serve has taken goes on: `raybundle serve status` shows it, and the same "
            "command follows it again"
        )
        raise
    error = ending(found)
    for each in found:
        if each.error is not None and each.error is not error:
            console.error(each.error)
    code = 0 if error is None else error.exit_code
    if console.json_mode:
        rows = [_built(each, config.bundles) for each in config.applications]
        ends = [{**row, **_ended(each)} for row, each in zip(rows, found, strict=True)]
        console.document({"applications": ends, "exit_code": code})
    elif not arguments.no_wait:
        for line in _rows([each.application for each in found if each.application is not None]):
            console.data(line)
    if error is not None:
        console.error(error)
    return code


def _ended(each: Deployed) -> dict[str, Any]:
    return {
        "changed": each.changed,
        "status": None if each.application is None else each.application.status,
        "error": None if each.error is None else str(each.error),
    }


def _status(arguments: argparse.Namespace, console: Console) -> int:
    client = connecting_of(arguments, settings_of(arguments), console).client()
    found = list(ServeClient(client).applications().values())
    if console.json_mode:
        rows = [_application(each) for each in found]
        console.document({"address": client.address, "applications": rows})
        return 0
    for line in _rows(found) if found else ():
        console.data(line)
    if not found:
        console.note("no application")
    for each in found:
        for text in filter(None, [each.message, *(one.message for one in each.deployments)]):
            console.note(f"{each.name}: {brief(text)}")
    return 0


def _application(each: Application) -> dict[str, Any]:
    return {
        "name": each.name,
        "status": each.status,
        "message": each.message,
        "route_prefix": each.route_prefix,
        "import_path": each.config.get("import_path"),
        "bundle": each.bundle,
        "deployments": [
            {
                "name": one.name,
                "status": one.status,
                "message": one.message,
                "running": one.running,
                "wanted": one.wanted,
            }
            for one in each.deployments
        ],
    }


def _rows(found: Sequence[Application]) -> Iterator[str]:
    cells = [
        (
            each.name,
            each.status,
            each.route_prefix or "-",
            (each.bundle or "-")[:_SHORT],
            ", ".join(f"{one.name} {one.running}/{one.wanted}" for one in each.deployments) or "-",
        )
        for each in found
    ]
    yield from rows_of(("NAME", "STATUS", "ROUTE", "BUNDLE", "REPLICAS"), cells)


def _shutdown(arguments: argparse.Namespace, console: Console) -> int:
    client = connecting_of(arguments, settings_of(arguments), console).client()
    found = sorted(ServeClient(client).applications())
    ServeClient(client).shutdown()
    if console.json_mode:
        console.document({"address": client.address, "ended": found})
    else:
        console.note(f"ended: {', '.join(found) or 'no application was running'}")
    return 0


COMMANDS: dict[str, Callable[[argparse.Namespace, Console], int]] = {"serve": serve}
