"""Writes the scripts with which shells complete command lines: from the parser, by shtab."""

from __future__ import annotations

import shtab

from raybundle.cli.parser import WITH_ARGUMENTS, parsers

_COMPLETED = {
    **dict.fromkeys(("FILE", "PATH", "true|false|PATH", "TARGET", "TARGET MODULE", "APP"), shtab.FILE),
    "DIR": shtab.DIRECTORY,
}
"""What completes a value, by the word that means it in the help."""


def script(shell: str) -> str:
    """Returns the script for bash, zsh or fish; it starts no process of raybundle."""
    parser, commands = parsers()
    for name in WITH_ARGUMENTS:
        commands[name].add_argument("target", nargs="*", metavar="TARGET")  # `parse` cuts it off before
    for command in commands.values():
        for action in command._actions:  # noqa: SLF001 - argparse does not list them elsewhere
            if action.metavar in _COMPLETED:
                action.complete = _COMPLETED[action.metavar]  # type: ignore[attr-defined]
    text: str = shtab.complete(parser, shell)
    return text
