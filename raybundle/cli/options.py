"""The options of the command line, in the groups that commands share."""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from argparse import ArgumentParser

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def add_global(parser: ArgumentParser, default: Any) -> None:
    """Adds the options of all commands."""
    add = parser.add_argument_group("global options").add_argument
    flag = False if default is None else default
    add("--store", metavar="URL", default=default, help="where bundles are stored")
    add("--address", metavar="URL", default=default, help="URL of the cluster's dashboard")
    add("--profile", metavar="NAME", default=default, help="profile in the configuration")
    add("--json", action="store_true", default=flag, help="print one JSON document")
    add("--quiet", action="store_true", default=flag, help="print errors only")
    add("--no-color", action="store_true", default=flag, help="print no colours")


def add_submission(command: ArgumentParser) -> None:
    """Adds what a command takes that submits a job."""
    _add_job(command)
    add_start(command)
    add_wait(command, on_interrupt="ask")
    add_log(command)
    add_report(command)
    add_trust(command)
    add_connection(command)


def add_trust(command: ArgumentParser) -> None:
    """Adds whose signature a bundle needs."""
    add = command.add_argument_group("signatures (docs/signing.md)").add_argument
    required = "refuse a bundle that no trusted key has signed"
    add("--require-signature", action="store_true", default=None, help=required)
    key = "public key, or a PEM file with one, that is trusted"
    add("--trusted-key", dest="trusted_keys", action="append", metavar="KEY", help=key)


def add_python(parser: argparse._ActionsContainer, when: str = "") -> None:
    """Adds for which Python and platform a bundle is made; `when` begins the help."""
    text = "target interpreter: a path, or the nodes' version such as 3.12"
    parser.add_argument("--python", help=f"{when}{text}")
    text = "the nodes' platform, such as linux or aarch64-manylinux_2_28"
    parser.add_argument("--platform", help=f"{when}{text}")


def add_resolve(parser: ArgumentParser, *, runs: bool = False) -> None:
    """Adds what is resolved and bundled; `runs` if the command runs the target anyway."""
    group = parser.add_argument_group("what is in the bundle")
    add_python(group)
    add = group.add_argument
    add("--root", dest="roots", action="append", metavar="DIR", help="another source root")
    add("--working-dir", metavar="DIR", help="project directory; TARGET is relative to it")
    add("--include", action="append", metavar="GLOB", help="more files to bundle")
    add("--exclude", action="append", metavar="GLOB", help="data files to leave out")
    add("--strict", action="store_true", help="treat warnings as errors")
    if runs:
        parser.set_defaults(trace=False)
    else:
        add("--trace", action="store_true", help="run the target's module body here; bundle what it imports")
    add = parser.add_argument_group(
        "runtime_env for Ray, merged into the bundle (docs/ray-job.md)"
    ).add_argument
    add("--runtime-env", metavar="FILE", help="YAML file")
    add("--runtime-env-json", metavar="JSON", help="JSON object")


def _add_job(parser: ArgumentParser) -> None:
    add = parser.add_argument_group("the job").add_argument
    add(
        "--env",
        action="append",
        metavar="NAME[=VALUE]",
        help="variable of the job; NAME alone copies its value",
    )
    reference = "variable whose value each node reads for itself"
    add("--secret", action="append", metavar="NAME=file:PATH|env:NAME", help=reference)
    add(
        "--submission-id",
        "--job-id",
        metavar="ID",
        help="use this ID instead of a new one; `@ci` makes one of the run of a pipeline",
    )
    known = "if the cluster has that ID: attach to the job if it is the same, fail, or take a new ID"
    add("--if-exists", choices=["attach", "fail", "new"], default="attach", help=known)
    add("--retries", type=count, default=0, metavar="N", help="submit a failed job up to N more times")
    add("--metadata-json", metavar="JSON", help="metadata of the job")
    add("--entrypoint-num-cpus", type=float, metavar="N", help="CPUs for the driver")
    add("--entrypoint-num-gpus", type=float, metavar="N", help="GPUs for the driver")
    add("--entrypoint-memory", type=int, metavar="BYTES", help="memory for the driver")
    add("--entrypoint-resources", metavar="JSON", help="custom resources for the driver")
    add("--entrypoint-label-selector", metavar="JSON", help="labels that the driver's node must have")
    add("--no-wait", action="store_true", help="return once the job is accepted")
    add("--save-logs", action="store_true", help="keep the job's log in the store, for `logs` of later days")
    add("--check", action="store_true", help="examine the cluster first, and submit only if nothing fails")


def add_report(parser: ArgumentParser) -> None:
    """Adds what programs read."""
    add = parser.add_argument_group("for programs").add_argument
    lines = "`ndjson`: stdout has a JSON document for each step and each line of the log"
    add("--output", dest="form", choices=["text", "ndjson"], default="text", help=lines)
    add("--dotenv", metavar="FILE", help="write bundle, id, status and exit code there, as NAME=VALUE")


def add_start(parser: ArgumentParser) -> None:
    """Adds where a job starts."""
    start = "directory in which the job starts, relative to the project's root (docs/targets.md)"
    parser.add_argument("--cwd", metavar="DIR", help=start)


def add_wait(parser: ArgumentParser, on_interrupt: str) -> None:
    """Adds how a job is waited for."""
    add = parser.add_argument_group("waiting").add_argument
    own = "`job` returns the driver's own exit code"
    add("--exit-code", choices=["status", "job"], default="status", help=own)
    add("--timeout", type=duration, metavar="TIME", help="stop the job after this time: 90, 90s, 10m, 2h")
    add("--start-timeout", type=duration, metavar="TIME", help="stop the job if it has not started by then")
    interrupt = "what Ctrl-C and SIGTERM do to the job; without a terminal, `ask` stops it"
    choices, text = ["stop", "detach", "ask"], f"{interrupt} (default: {on_interrupt})"
    add("--on-interrupt", choices=choices, default=on_interrupt, help=text)


def add_log(parser: ArgumentParser) -> None:
    """Adds what happens to a job's log."""
    add = parser.add_argument_group("the job's log").add_argument
    add("--log-file", metavar="FILE", help="also write the log to this file, unchanged")
    add("--timestamps", action="store_true", help="prefix each line with the time it arrived")


def add_connection(parser: ArgumentParser) -> None:
    """Adds how a cluster is reached."""
    add = parser.add_argument_group("the connection").add_argument
    add("--headers", metavar="JSON", help="headers for each request (default: RAY_JOB_HEADERS)")
    add("--verify", metavar="true|false|PATH", help="check the server's certificate, or the CA file to use")
    add("--client-cert", metavar="FILE", help="client certificate, in PEM")
    add("--client-key", metavar="FILE", help="key of the client certificate, if it is in another file")
    for name in ("--log-style", "--log-color"):
        add(name, help=argparse.SUPPRESS)  # `ray job` has them for its own messages
    add("-v", "--verbose", action="store_true", help=argparse.SUPPRESS)


def job_id(text: str) -> str:
    """Returns the id of a job."""
    if text in ("", ".", ".."):  # parts of a URL's path, and not of a name
        raise argparse.ArgumentTypeError(f"{text!r} is not the ID of a job")
    return text


def count(text: str) -> int:
    """Returns a whole number."""
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
    return int(text)


def duration(text: str) -> float:
    """Returns seconds."""
    found = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+)([smhd]?)", text, re.ASCII)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time such as 90, 90s, 10m, 2h or 1d")
    return float(found[1]) * _UNITS[found[2]]
