"""Runs `plan` and prints what it opened, listed and loaded; with the word `old`, its clock is ahead."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import time
from pathlib import Path

if "old" in sys.argv[2:]:
    clock = time.time_ns
    time.time_ns = lambda: clock() + 10 * 10**9  # before raybundle is loaded, which takes its clock from here

from raybundle.cli.main import main as command
from raybundle.resolve.answers import answers

seen: dict[str, list[str]] = {"open": [], "os.scandir": [], "os.listdir": []}


def note(event: str, arguments: tuple[object, ...]) -> None:
    if event in seen and isinstance(arguments[0], (str, os.PathLike)):
        seen[event].append(os.path.abspath(os.fspath(arguments[0])))  # noqa: PTH100 - as it was asked for


def main() -> None:
    answer, within = answers.answer, {}

    def bracketed(*given: object) -> object:
        before = {event: len(paths) for event, paths in seen.items()}
        found = answer(*given)  # type: ignore[arg-type]
        within.update({event: paths[before[event] :] for event, paths in seen.items()})
        return found

    answers.answer = bracketed  # type: ignore[assignment]
    sys.addaudithook(note)
    sys.argv = ["raybundle", "--json", "plan", sys.argv[1]]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
        command()
    document = {
        "opened": seen["open"],
        "listed": seen["os.scandir"] + seen["os.listdir"],
        "resolve_opened": within["open"],
        "resolve_listed": [
            path
            for path in within["os.scandir"] + within["os.listdir"]
            if path != str(Path(answers.__file__).parent)
        ],
        "loaded": sorted(sys.modules),
    }
    sys.stdout.write(json.dumps(document))


main()
