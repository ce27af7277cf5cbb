"""Runs a command line of raybundle, and prints when each stage of a submission was over: wall clock and CPU.

A stage ends when a function is called or returns. Nothing in raybundle knows of it: the functions are wrapped
as soon as their modules are loaded, and the time of all imports is added up on the way.
"""

from __future__ import annotations

import importlib._bootstrap as bootstrap
import json
import resource
import sys
import time
from typing import Any

BEGAN = time.time(), time.process_time()

STAGES = (
    ("raybundle.cli.main", "parse", "return", "the command line is parsed"),
    ("raybundle.cli.commands.submit", "order_target", "call", "settings are read, the target is found"),
    ("raybundle.pipeline.orders", "checked_plan", "return", "bundle: resolved, collected, named"),
    ("raybundle.pipeline.orders", "name_bundle", "return", "store: all is there"),
    ("raybundle.submission.connecting", "Connecting.cluster", "return", "embedded cluster: it answers"),
    ("raybundle.submission.submit", "deliver", "return", "delivery: the cluster has the archive"),
    ("raybundle.submission.submit", "_recheck", "return", "record of the run, on the disk"),
    ("raybundle.submission.submit", "_post", "return", "request: the cluster accepts the job"),
    ("raybundle.submission.attempts", "_note_accepted", "return", "record: accepted"),
    ("raybundle.cluster.logs", "LogReader.finish", "call", "the job, until its end is noticed"),
    ("raybundle.cluster.logs", "LogReader.finish", "return", "the end of the log"),
    ("raybundle.submission.wait", "end_run", "return", "record: the end"),
    ("raybundle.submission.wait", "Observing.notes", "return", "record: what the boot saw"),
)
"""Module, function, whether the stage ends with its call or its return, and the stage."""

marks: list[tuple[str, float, float, float]] = [("Python starts", *BEGAN, 0.0)]
imports = {"cpu": 0.0, "depth": 0.0}
load = bootstrap._find_and_load  # type: ignore[attr-defined]  # noqa: SLF001 - all imports pass it


def cpu() -> float:
    """Returns the seconds of this process so far, and of those that it has waited for."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def mark(stage: str) -> None:
    """Ends a stage."""
    marks.append((stage, time.time(), cpu(), imports["cpu"]))


def wrap(module: Any, name: str) -> None:
    """Makes a function of a module, or a method of its class, say when a stage ends."""
    owner, _, last = name.rpartition(".")
    holder = getattr(module, owner) if owner else module
    inner = getattr(holder, last)
    stages = {kind: stage for place, each, kind, stage in STAGES if (place, each) == (module.__name__, name)}

    def outer(*words: object, **options: object) -> object:
        if "call" in stages:
            mark(stages["call"])
        found = inner(*words, **options)
        if "return" in stages:
            mark(stages["return"])
        return found

    setattr(holder, last, outer)


def find_and_load(name: str, import_: object) -> object:
    """Imports a module, and wraps functions that are there now."""
    imports["depth"] += 1
    begin = time.thread_time()
    try:
        found = load(name, import_)
    finally:
        imports["depth"] -= 1
        if not imports["depth"]:
            imports["cpu"] += time.thread_time() - begin
    for place, functions in FUNCTIONS.items():
        module = sys.modules.get(place)
        if place not in wrapped and all(hasattr(module, each.partition(".")[0]) for each in functions):
            wrapped.add(place)
            for each in functions:
                wrap(module, each)
    return found


FUNCTIONS: dict[str, set[str]] = {}
"""Those that are wrapped, by their modules."""
for place, function, *_ in STAGES:
    FUNCTIONS.setdefault(place, set()).add(function)
wrapped: set[str] = set()
bootstrap._find_and_load = find_and_load  # type: ignore[attr-defined]  # noqa: SLF001 - as said

from raybundle.cli import main  # noqa: E402 - it is what is measured

code = main(sys.argv[1:])
mark("the last line")
sys.stderr.write("STAGES " + json.dumps(marks) + "\n")
sys.exit(code)
