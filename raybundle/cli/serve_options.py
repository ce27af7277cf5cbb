"""The options of `serve`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from raybundle.cli.options import add_connection, add_resolve, add_start, add_trust, duration

if TYPE_CHECKING:
    from argparse import ArgumentParser


class _Add(Protocol):
    def __call__(self, name: str, text: str, usage: str | None = None) -> ArgumentParser: ...


ACTIONS = ("build", "deploy", "status", "shutdown")


def add_serve(add: _Add) -> None:
    """Adds `serve`."""
    serve = add(
        "serve",
        "Run applications of Ray Serve from bundles.",
        "serve build|deploy [options] APP… [KEY=VALUE…] | serve status | serve shutdown",
    )
    serve.add_argument("action", choices=ACTIONS)
    serve.add_argument("words", nargs="*", metavar="APP")
    option = serve.add_argument_group("the applications").add_argument
    name = "name of the application (default: default); its bundle becomes a version of that name"
    option("--name", help=name)
    option("--route-prefix", metavar="PATH", help="where it takes requests (default: /)")
    option("--env", action="append", metavar="NAME[=VALUE]", help="variable of the replicas")
    reference = "variable whose value each node reads for itself"
    option("--secret", action="append", metavar="NAME=file:PATH|env:NAME", help=reference)
    out = "of `build`: where the configuration goes, as YAML or, for FILE.json, as JSON (default: stdout)"
    option("-o", dest="output", metavar="FILE", help=out)
    option("--no-wait", action="store_true", help="of `deploy`: return once Serve has the configuration")
    option("--timeout", type=duration, metavar="TIME", help="of `deploy`: wait no longer: 90, 90s, 10m")
    add_start(serve)
    add_resolve(serve, runs=True)
    add_trust(serve)
    add_connection(serve)
