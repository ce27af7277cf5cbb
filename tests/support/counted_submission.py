"""Runs a command line, and prints how often the description of an interpreter was read or asked for."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from raybundle.cli.main import main as command

described: list[str] = []


def note(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open" and isinstance(arguments[0], (str, os.PathLike)):
        name = Path(arguments[0]).name
        if name.startswith("interpreter-"):
            described.append(name)


def main() -> int:
    sys.addaudithook(note)
    code = command(sys.argv[1:])
    sys.stdout.write(json.dumps({"described": len(described)}) + "\n")
    return code


sys.exit(main())
