"""Runs many scripts like Python, each in a fork of one clean process, and prints what each imported.

Reads a JSON list of `{"script": file, "path": [directory, …], "below": directory}` from standard input and
writes a list of `{"ran": [file, …], "modules": {name: file}}`.
A new process for each would take ten times as long.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import types
import typing

STANDARD_LIBRARY = [entry for entry in sys.path[1:] if "-packages" not in entry]


def run(order: dict[str, typing.Any]) -> dict[str, typing.Any]:
    """Runs one script in this process and returns what it imported below its directory."""
    ran: set[str] = set()

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        if (
            event == "exec"
            and isinstance(code := arguments[0], types.CodeType)
            and code.co_name == "<module>"
        ):
            ran.add(code.co_filename)

    sys.path = [os.path.dirname(order["script"]), *order["path"], *STANDARD_LIBRARY]  # noqa: PTH120
    main = sys.modules["__main__"] = types.ModuleType("__main__")
    main.__file__ = order["script"]
    sys.addaudithook(watch)
    with open(order["script"], encoding="utf-8") as file, contextlib.suppress(Exception):  # noqa: PTH123
        exec(compile(file.read(), order["script"], "exec"), main.__dict__)  # noqa: S102
    files = {name: getattr(module, "__file__", None) for name, module in sys.modules.items()}
    return {
        "ran": sorted(file for file in ran if file.startswith(order["below"])),
        "modules": {name: file for name, file in files.items() if file and file.startswith(order["below"])},
    }


def in_fork(order: dict[str, typing.Any]) -> typing.Any:
    """Calls `run` in a fork of this process and returns the result."""
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.close(reader)
        with os.fdopen(writer, "w") as answer:
            answer.write(json.dumps(run(order)))
            answer.flush()
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answer:
        text = answer.read()
    os.wait()
    return json.loads(text)


if __name__ == "__main__":
    json.dump([in_fork(order) for order in json.load(sys.stdin)], sys.stdout)
