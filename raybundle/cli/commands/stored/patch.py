"""`patch`: what `git apply` needs to get from a commit to the files of a bundle."""

from __future__ import annotations

import base64
import sys
from typing import TYPE_CHECKING

from raybundle.cli.request import given_of
from raybundle.formats.amounts import counted
from raybundle.pipeline.diffing.patching import patch as patching

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from raybundle.cli.output.console import Console


def patch(arguments: argparse.Namespace, console: Console) -> int:
    """Prints the patch, byte for byte; notes go to stderr."""
    found = patching(arguments.ref, arguments.against, given_of(arguments))
    for line in found.left:
        console.warn(f"not in the patch: {line}")
    if console.json_mode:
        console.document(
            {
                "bundle": found.digest,
                "commit": found.commit,
                "patch": base64.b64encode(found.data).decode(),
                "files": found.files,
                "left": list(found.left),
            }
        )
        return 0
    sys.stdout.flush()
    sys.stdout.buffer.write(found.data)
    sys.stdout.buffer.flush()
    says = "leads to" if found.data else "already has the files of"
    console.note(f"{found.commit[:12]} {says} {found.digest} ({counted(found.files, 'file')} compared)")
    return 0


COMMANDS: dict[str, Callable[[argparse.Namespace, Console], int]] = {"patch": patch}
