"""Parses the command line: commands, their options, and where a target's own arguments begin."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, NoReturn, Protocol

from raybundle.cli.command_parser import CommandParser, Parser
from raybundle.cli.examples import epilog
from raybundle.cli.export_options import add_completion, add_export, add_init, add_report_command
from raybundle.cli.options import (
    add_connection,
    add_global,
    add_log,
    add_resolve,
    add_start,
    add_submission,
    add_trust,
    add_wait,
    count,
    duration,
    job_id,
)
from raybundle.cli.serve_options import add_serve
from raybundle.cli.stored_options import add_stored_commands
from raybundle.errors import UsageError
from raybundle.version import __version__

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Iterable, Sequence


class _Add(Protocol):
    """Adds a command."""

    def __call__(self, name: str, text: str, usage: str | None = None) -> ArgumentParser:
        """Returns its parser."""


WITH_ARGUMENTS = ("submit", "plan", "build", "trace", "run", "doctor", "path")
"""Commands whose words after the target or bundle belong to the job."""
ONE_TARGET = ("why", "report", "serve")
"""Commands whose options may follow the target; a command line may be pasted after `--`."""


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Returns the command, its options, and `rest`: the words that argparse must not look into.

    Prints the help and exits if there are no words. Exits with 2 and a usage line if the value of an option
    is wrong, as argparse does.

    Raises:
        UsageError: there is no such command or option.
    """
    parser, commands = parsers()
    words = list(argv)
    if not words:
        parser.print_help()
        parser.exit()
    place = _first_word(parser, words, 0)
    command = None if place is None else words[place]
    own, apart = words, list[str]()
    if place is not None and command is not None:
        if command not in commands:
            raise UsageError(f"there is no command `{command}`", hint=_nearest(command, commands))
        own, apart = _divide(commands[command], words, place)
    arguments, unknown = parser.parse_known_args(own)
    if unknown:
        _refuse(unknown, commands[arguments.command])
    arguments.rest, arguments.judge = ([], apart) if command == "bisect" else (apart, [])
    arguments.pasted = command in ONE_TARGET and "--" in own
    arguments.has_options = len(own) > 1
    return arguments


def _divide(parser: ArgumentParser, words: list[str], place: int) -> tuple[list[str], list[str]]:
    """Returns the words that argparse reads, and those of a job or a judge after them.

    Args:
        parser: of the command.
        words: the command line.
        place: index of the command in it.
    """
    command = words[place]
    if command in WITH_ARGUMENTS:
        end = _first_word(parser, words, place + 1, stops=("-m", "--"))
        return (words, []) if end is None else (words[:end], words[end:])
    if command in ("export", "bisect") and "--" in words:
        end = words.index("--")
        return words[:end], words[end + 1 :]
    if command in ONE_TARGET and "--" not in words:
        return _options_first(parser, words, place + 1), []
    return words, []


def option_names(parser: ArgumentParser) -> frozenset[str]:
    """Returns the long options of a command."""
    strings = (name for action in parser._actions for name in action.option_strings)  # noqa: SLF001 - as below
    return frozenset(name for name in strings if name.startswith("--"))


def _refuse(unknown: Sequence[str], parser: ArgumentParser) -> NoReturn:
    """Refuses the first word that a command does not take."""
    word, command = unknown[0].partition("=")[0], parser.prog
    if not word.startswith("-"):
        raise UsageError(f"`{command}` takes no `{word}`", hint=f"`{command} --help` shows what it takes")
    hint = _nearest(word, option_names(parser)) if word.startswith("--") else None
    raise UsageError(f"`{command}` has no option `{word}`", hint=hint)


def _nearest(word: str, known: Iterable[str]) -> str:
    from raybundle.formats.nearest import did_you_mean

    return did_you_mean(word, known)


_LOOKED_INTO = ("env", "headers", "metadata_json", "runtime_env_json", "secret", "rest", "words", "judge")
"""Options whose readers know what in their value may be a secret, and words that are not options."""


def suspects(arguments: argparse.Namespace) -> list[str]:
    """Returns the options of a command whose values look like secrets."""
    from raybundle.formats.credentials import has_password, has_token, without_credentials

    found = []
    for name, value in vars(arguments).items():
        items = value if isinstance(value, list) else [value]
        texts = [item for item in items if isinstance(item, str) and name not in _LOOKED_INTO]
        if name == "address":  # it may have user and password
            texts = list(map(without_credentials, texts))
        if any(has_token(text) or has_password(text) for text in texts):
            found.append(f"--{name.replace('_', '-')}")
    return sorted(found)


def _first_word(
    parser: ArgumentParser, words: Sequence[str], start: int, stops: Sequence[str] = ()
) -> int | None:
    """Returns the index of the first word that is in `stops`, or is neither an option nor its value."""
    actions = parser._actions  # noqa: SLF001 - argparse does not say elsewhere which options take a value
    values = {name for action in actions for name in action.option_strings if action.nargs != 0}
    index = start
    while index < len(words):
        word = words[index]
        if word in stops or not word.startswith("-") or word == "-":
            return index
        index += 2 if word in values else 1
    return None


def _options_first(parser: ArgumentParser, words: Sequence[str], start: int) -> list[str]:
    """Returns the words with all options first: argparse takes positional words from one place only."""
    options, plain, rest = list(words[:start]), list[str](), list(words[start:])
    while (index := _first_word(parser, rest, 0)) is not None:
        options += rest[:index]
        plain.append(rest[index])
        rest = rest[index + 1 :]
    return [*options, *rest, *plain]


class _Formatter(argparse.HelpFormatter):
    """Leaves a text of several lines as it is."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if "\n" in text else super()._fill_text(text, width, indent)


def command_parsers() -> dict[str, ArgumentParser]:
    """Returns the parser of each command."""
    return parsers()[1]


def parsers() -> tuple[ArgumentParser, dict[str, ArgumentParser]]:
    """Returns the parser of the command line, and that of each command."""
    parser = Parser(
        prog="raybundle",
        description="Run Ray jobs from exact, hash-addressed bundles of the code they need.",
        epilog="Exit codes: 0 ok, 1 unexpected, 2 usage, 3 bundle, 4 store, 5 cluster, "
        "20 job failed, 21 stopped, 22 could not start, 23 lost, 124 --timeout, 130/143 interrupted.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"raybundle {__version__}")
    add_global(parser, default=None)
    subparsers = parser.add_subparsers(
        dest="command", metavar="COMMAND", required=True, parser_class=CommandParser
    )
    commands: dict[str, ArgumentParser] = {}

    def add(name: str, text: str, usage: str | None = None) -> ArgumentParser:
        command = subparsers.add_parser(
            name,
            help=text,
            description=text,
            usage=usage and f"raybundle {usage}",
            epilog=epilog(name),
            formatter_class=_Formatter,
            allow_abbrev=False,
        )
        add_global(command, default=argparse.SUPPRESS)
        return commands.setdefault(name, command)

    for add_commands in (
        _add_target_commands,
        _add_bundle_commands,
        add_stored_commands,
        _add_cluster_commands,
        _add_doctor,
        add_serve,
        _add_local,
    ):
        add_commands(add)
    return parser, commands


def _add_target_commands(add: _Add) -> None:
    submit = add(
        "submit",
        "Resolve, build, upload what is new, submit, follow the log, and return how the job ended.",
        "submit [options] TARGET [ARGS…] | submit [options] -m MODULE [ARGS…] | submit [options] -- python …",
    )
    usage = "{0} [options] TARGET | {0} [options] -- python …".format
    compared = " | plan --against GIT_REF|REF [options] TARGET…"
    plan = add("plan", "Dry run: resolve and build, but upload nothing.", usage("plan") + compared)
    build = add("build", "Build a bundle and store it, but submit no job.", usage("build"))
    why = add(
        "why",
        "Show the import chain that brings a module, a file or a distribution in, or why it is not in.",
        "why [options] TARGET MODULE|PREFIX.*|FILE|DISTRIBUTION",
    )
    trace = add(
        "trace",
        "Run the target here, and record in raybundle-trace.json what it imports and opens.",
        "trace [options] TARGET [ARGS…] | trace [options] -m MODULE [ARGS…]",
    )
    for command in (submit, plan, build, why, trace, add_report_command(add)):
        add_resolve(command, runs=command is trace)
    add_submission(submit)
    plan.add_argument("--format", choices=["text", "json", "markdown"], help="`json` is the same as --json")
    against = "show what differs from a commit, or from a bundle of the store; takes several targets"
    plan.add_argument("--against", metavar="GIT_REF|REF", help=against)
    plan.add_argument("--exit-code", action="store_true", help="with --against: 10 if a bundle differs")
    for command in (submit, build):
        command.add_argument("--name", help="record the bundle as a version of this name")
    why.add_argument("words", nargs="+", metavar="TARGET MODULE")
    why.add_argument("--all", action="store_true", help="show all chains, the shortest first")
    why.add_argument("--format", choices=["text", "dot", "json"], help="`json` is the same as --json")
    why.add_argument("--limit", type=count, default=10, metavar="N", help="chains that --all prints as text")
    why.add_argument("-m", dest="module_target", action="store_true", help="TARGET is a module")
    trace.add_argument("--continue", dest="keep", action="store_true", help="add to the target's record")


def _add_bundle_commands(add: _Add) -> None:
    run = add("run", "Submit a bundle that is in the store.", "run [options] REF [ARGS…] | run --here REF …")
    add_submission(run)
    here = "run it on this machine, without a cluster; `-- python` after REF gives a prompt"
    run.add_argument("--here", action="store_true", help=here)
    show = add("show", "List a bundle's contents, or show what is known of a run.")
    show.add_argument("ref", metavar="REF")
    show.add_argument("--sbom", action="store_true", help="print the bundle's parts list: CycloneDX, as JSON")
    _add_runs(add)
    add("bundles", "List the bundles of the store, with their names.")
    tag = add("tag", "Make a name point to a bundle of the store; the name keeps its history.")
    tag.add_argument("ref", metavar="REF")
    tag.add_argument("tag", metavar="NAME")
    text = "Print what plain Ray or KubeRay needs to run a bundle."
    export = add("export", text, "export [options] REF [-- ARGS…]")
    add_export(export)
    add_start(export)
    add_trust(export)


def _add_runs(add: _Add) -> None:
    rerun = add("rerun", "Repeat a past run with its bundle, arguments and environment.")
    rerun.add_argument("run", metavar="RUN")
    rerun.add_argument(
        "--args", metavar="ARGUMENTS", help="other arguments of the job, quoted as for a shell"
    )
    rerun.add_argument(
        "--accept-drift", action="store_true", help="run it even if the cluster differs from that of the run"
    )
    add_submission(rerun)
    runs = add("runs", "List the runs of the store; no cluster is asked.")
    runs.add_argument(
        "--name", dest="of_name", metavar="NAME", help="only runs of this name: fraud or fraud@3"
    )
    statuses = ["OPEN", "SUCCEEDED", "FAILED", "STOPPED", "LOST"]
    runs.add_argument("--status", choices=statuses, help="only runs of this status; OPEN has no recorded end")
    runs.add_argument("--user", metavar="USER", help="only runs of this user")
    since = "only runs started within this time: 10m, 2h, 30d"
    runs.add_argument("--since", type=duration, metavar="TIME", help=since)
    runs.add_argument("--bundle", metavar="REF", help="only runs of this bundle")
    runs.add_argument("--refresh", action="store_true", help="ask the clusters how open runs have ended")
    add_connection(runs)


def _add_local(add: _Add) -> None:
    local = add("local", "Start, stop or show the embedded cluster on this machine.")
    local.add_argument("action", choices=["up", "down", "status", "env"])
    local.add_argument("--python", help="interpreter that has Ray: a path, or a version such as 3.12")
    local.add_argument("--num-cpus", type=int, metavar="N", help="CPUs of the cluster")
    local.add_argument("--object-store-memory", type=int, metavar="BYTES", help="memory for objects")
    add_init(
        add(
            "init",
            "Write files to begin with: a pipeline, a cluster, a project.",
            "init [options] KIND [DIR]",
        )
    )
    add_completion(add("completion", "Print a script that lets a shell complete commands and options."))
    config = add("config", "Show every setting, its value and where it comes from.")
    config.add_argument("action", choices=["show"])
    node = add("node", "As a node: verify what this machine keeps for jobs, or remove what no job uses.")
    node.add_argument("action", choices=["verify", "clean"])


def _add_doctor(add: _Add) -> None:
    text = "Examine cluster, store and nodes: can they run this bundle? The exit code is 1 if they cannot."
    doctor = add("doctor", text, "doctor [options] [TARGET | -m MODULE | REF]")
    add_resolve(doctor, runs=False)
    doctor.add_argument("--watch", action="store_true", help="examine again until nothing fails")
    text = "Show what driver, tasks and actors import from: here, in the bundle, and on every node."
    path = add("path", text, "path [options] [TARGET | -m MODULE | REF]")
    add_resolve(path, runs=False)
    path.add_argument("--plain", action="store_true", help="as `ray job submit --working-dir` runs TARGET")
    path.add_argument("--module", dest="imports", metavar="NAME", help="the file of this module, and why")
    for command in (doctor, path):
        add_connection(command)


def _add_cluster_commands(add: _Add) -> None:
    listing = add("list", "List the jobs of the cluster.")
    statuses = ["PENDING", "RUNNING", "SUCCEEDED", "FAILED", "STOPPED"]
    listing.add_argument("--status", choices=statuses, help="only jobs of this status")
    since = "only jobs started within this time: 90s, 10m, 2h, 1d"
    listing.add_argument("--since", type=duration, metavar="TIME", help=since)
    status = add("status", "Show a job; the exit code is 1 only if the cluster does not know it.")
    stop = add("stop", "Stop a job and wait until it has ended.")
    stop.add_argument("--no-wait", action="store_true", help="return once the cluster has the request")
    delete = add("delete", "Remove the record of a job that has ended.")
    logs = add("logs", "Print the log of a job.")
    logs.add_argument("-f", "--follow", action="store_true", help="follow the log until the job ends")
    attach = add("attach", "Follow a job to its end, and return how it ended.")
    add_wait(attach, on_interrupt="detach")
    for command in (logs, attach):
        add_log(command)
        command.add_argument("--tail", type=count, metavar="N", help="start with the last N lines")
    for command in (listing, status, stop, delete, logs, attach):
        if command is not listing:
            command.add_argument("id", metavar="ID", type=job_id)
        add_connection(command)
