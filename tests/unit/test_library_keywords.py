"""The library's keywords and the options of the command line are the same, but for what is listed here."""

from __future__ import annotations

from typing import get_type_hints

import pytest

from raybundle.api import keywords, stored_keywords
from raybundle.api.job_keywords import LogKeywords, RerunKeywords, RunsKeywords, StopKeywords
from raybundle.cli.parser import command_parsers
from raybundle.config import KEYS, PROJECT_ONLY
from raybundle.errors import UsageError

OUTPUT = "how the command prints: a caller gets values"
UNHEEDED = "taken from `ray job`, and without effect"
CLI_ONLY = {
    "help": OUTPUT,
    "json": OUTPUT,
    "quiet": OUTPUT,
    "no_color": OUTPUT,
    "format": OUTPUT,
    "form": OUTPUT,
    "dotenv": OUTPUT,
    "log_file": "`Job.wait` hands the log to a function",
    "timestamps": "as `log_file`",
    "exit_code": "errors have `exit_code`, and `JobInfo` has `driver_exit_code`",
    "on_interrupt": "a library leaves signals to its caller",
    "no_wait": "a caller who does not wait does not call `Job.wait`",
    "follow": "`Job.wait` follows the log",
    "id": "an argument of its own",
    "log_style": UNHEEDED,
    "log_color": UNHEEDED,
    "verbose": UNHEEDED,
    "status": "a caller has the `JobInfo` of each job",
    "since": "as `status`",
    "ref": "an argument of its own",
    "run": "as `ref`",
    "args": "as `ref`",
    "directory": "an argument of its own",
    "key": "an argument of its own",
    "tag": "an argument of its own",
    "sbom": "a function of its own",
    "here": "`run_here`",
    "before": "an argument of its own",
    "good": "an argument of its own",
    "bad": "an argument of its own",
    "after": "an argument of its own",
    "stat": "`FileDiff.count` counts the lines",
    "words": "arguments of their own",
    "module_target": "`module` of the target",
    "all": "`Why.ways` has all chains",
    "limit": "as `all`",
    "watch": "a caller calls again",
    "action": "a function of its own",
    "output": "an argument of its own",
    "url": "an argument of its own",
}
"""Options that make no sense for a library, and why."""
OTHER_NAMES = {"secret": "secrets", "metadata_json": "metadata", "runtime_env_json": "runtime_env"}
LIBRARY_ONLY = {
    "module": "`-m` before the target",
    "notify": "the command line writes to stderr",
    "env": "of `plan` and `build`: a setting, and an option only of `submit` and `run`",
    "wait": "`--no-wait` of `stop`",
    **dict.fromkeys(
        (
            *("data", "rules", "optional", "dependencies", "cluster_provides"),
            *("max_bytes", "max_distributions", "forbid", "record_env"),
        ),
        "settings without an option",
    ),
}
"""Keywords that no option has, and why."""
CALLS = {
    "submit": (keywords.SubmitKeywords, keywords.WaitKeywords),
    "plan": (keywords.BundleKeywords,),
    "build": (keywords.BuildKeywords,),
    "run": (keywords.RunKeywords, keywords.WaitKeywords),
    "rerun": (RerunKeywords, keywords.WaitKeywords),
    "why": (keywords.BundleKeywords,),
    "trace": (keywords.TraceKeywords,),
    "show": (keywords.StoreKeywords,),
    "bundles": (keywords.StoreKeywords,),
    "runs": (RunsKeywords,),
    "tag": (keywords.StoreKeywords,),
    "export": (keywords.ExportKeywords,),
    "pull": (stored_keywords.PullKeywords,),
    "bisect": (stored_keywords.BisectKeywords,),
    "sign": (stored_keywords.SignKeywords,),
    "patch": (stored_keywords.PatchKeywords,),
    "diff": (keywords.StoreKeywords,),
    "verify": (stored_keywords.VerifyKeywords,),
    "check": (stored_keywords.CheckKeywords,),
    "store": (keywords.StoreKeywords,),
    "gc": (stored_keywords.GcKeywords,),
    "local": (keywords.LocalKeywords,),
    "doctor": (keywords.DoctorKeywords,),
    "report": (keywords.ReportKeywords,),
    "path": (keywords.PathKeywords,),
    "list": (keywords.ClusterKeywords,),
    "status": (keywords.ClusterKeywords,),
    "delete": (keywords.ClusterKeywords,),
    "stop": (keywords.ClusterKeywords, StopKeywords),
    "logs": (keywords.ClusterKeywords, LogKeywords),
    "serve": (keywords.ServeKeywords,),
    "attach": (keywords.AttachKeywords, keywords.WaitKeywords, LogKeywords),
}
"""The keywords of what does the same as a command."""
ELSEWHERE = {
    ("plan", "against"): "an argument of `compare`",
    **dict.fromkeys(
        [
            (each, name)
            for each in (
                *("plan", "build", "why", "trace", "show"),
                *(
                    "bundles",
                    "tag",
                    "export",
                    "pull",
                    "patch",
                    "sign",
                    "diff",
                    "verify",
                    "check",
                    "gc",
                    "store",
                    "local",
                ),
            )
            for name in ("address", *(("store", "profile") if each == "local" else ()))
        ],
        "an option of all commands, which these do not use",
    ),
    **dict.fromkeys(
        [(each, "store") for each in ("list", "status", "delete", "stop", "logs")],
        "an option of all commands, which those for jobs do not use",
    ),
}
"""Options that one command does not use."""
BEYOND = {
    ("attach", "retries"): "only what was submitted here is submitted again",
    ("doctor", "ref"): "a word of the command line that is no target",
    ("path", "ref"): "as for `doctor`",
    ("report", "ref"): "as for `doctor`",
    ("runs", "since"): "the option of that name, which `list` has for its output only",
    ("runs", "status"): "as `since`",
    ("run", "python"): "a setting, and no option of `run`",
    ("rerun", "python"): "as for `run`",
    ("bisect", "python"): "as for `run`",
    ("bisect", "check"): "words after `--`",
    ("bisect", "here"): "an option of both, which `run` has as a function of its own",
}
"""Keywords that one command has no option for."""


def options_of(command: str) -> set[str]:
    actions = command_parsers()[command]._actions
    return {OTHER_NAMES.get(each.dest, each.dest) for each in actions if each.dest not in CLI_ONLY}


def keywords_of(command: str) -> set[str]:
    return {name for each in CALLS[command] for name in get_type_hints(each)}


@pytest.mark.parametrize("command", CALLS)
def test_an_option_of_the_command_line_is_a_keyword_of_the_library_and_the_reverse(command: str) -> None:
    options, known = options_of(command), keywords_of(command)

    assert options - known == {name for each, name in ELSEWHERE if each == command}
    assert known - options - set(LIBRARY_ONLY) == {name for each, name in BEYOND if each == command}


def test_no_exception_is_listed_in_vain() -> None:
    options = {each.dest for one in CALLS for each in command_parsers()[one]._actions}
    known = {name for one in CALLS for name in keywords_of(one)}

    assert set(CLI_ONLY) <= options
    assert set(LIBRARY_ONLY) <= known


def test_every_setting_is_a_keyword_but_for_those_that_only_a_project_may_set() -> None:
    settings = {key.replace("-", "_") for key in set(KEYS) - PROJECT_ONLY}
    known = get_type_hints(keywords.SubmitKeywords) | get_type_hints(keywords.BuildKeywords)

    assert settings - set(known) == set()


@pytest.mark.parametrize("number", ["timeout", "start_timeout", "retries"])
def test_a_negative_number_is_refused(number: str) -> None:
    with pytest.raises(UsageError, match=f"`{number}` is -1, and must not be negative"):
        keywords.check({number: -1}, keywords.WaitKeywords)


def test_none_is_not_given() -> None:
    keywords.check(dict.fromkeys(get_type_hints(keywords.SubmitKeywords)), keywords.SubmitKeywords)
