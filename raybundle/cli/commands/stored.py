"""`pull`: what a store has of a bundle, as files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from raybundle.cli.request import settings_of
from raybundle.formats.amounts import counted, size_text
from raybundle.publish.content.pulling import pull as pulled

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from raybundle.cli.output.console import Console


def pull(arguments: argparse.Namespace, console: Console) -> int:
    """Unpacks a bundle and prints its digest."""
    settings, directory = settings_of(arguments), Path(arguments.directory)
    found = pulled(arguments.ref, directory, settings, os.environ, console, layers=arguments.layers)
    if console.json_mode:
        console.document(
            {
                "bundle": found.digest,
                "directory": str(found.directory.absolute()),
                "files": found.files,
                "bytes": found.bytes,
            }
        )
        return 0
    console.data(found.digest)
    console.note(f"{counted(found.files, 'file')} ({size_text(found.bytes)}) in {directory}")
    return 0


COMMANDS: dict[str, Callable[[argparse.Namespace, Console], int]] = {"pull": pull}
