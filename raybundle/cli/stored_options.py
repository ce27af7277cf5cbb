"""The options of commands that look into a store: `pull`, and those that compare and verify."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Callable


def add_stored_commands(add: Callable[[str, str], ArgumentParser]) -> None:
    """Adds the commands."""
    pull = add("pull", "Unpack a bundle of the store, verified file by file, into a new directory.")
    pull.add_argument("ref", metavar="REF")
    pull.add_argument("directory", metavar="DIR")
    pull.add_argument("--layers", action="store_true", help="also unpack the distributions that travel")
