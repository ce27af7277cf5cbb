"""`sign`: vouches for a bundle of the store with a key."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from raybundle.cli.request import settings_of
from raybundle.publish.bundles import open_configured
from raybundle.publish.trust.keys import read_signer
from raybundle.publish.trust.signatures import sign_bundle

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from raybundle.cli.output.console import Console


def sign(arguments: argparse.Namespace, console: Console) -> int:
    """Signs a bundle, and prints its digest."""
    signer = read_signer(Path(arguments.key))
    store = open_configured(settings_of(arguments), os.environ)
    found = sign_bundle(store, arguments.ref, signer, arguments.version)
    if console.json_mode:
        console.document(
            {
                "bundle": found.digest,
                "store": store.url,
                "key": found.key.id,
                "signed_as": found.name,
                "new": found.new,
            }
        )
        return 0
    what = f"it, and that it is {found.name}" if found.name else "it"
    console.data(found.digest)
    console.note(f"{'key' if found.new else 'unchanged: key'} {found.key.id[:16]} has signed {what}")
    return 0


COMMANDS: dict[str, Callable[[argparse.Namespace, Console], int]] = {"sign": sign}
