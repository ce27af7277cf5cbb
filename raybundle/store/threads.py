"""obstore's threads: one set per process, which a fork does not copy."""

from __future__ import annotations

import os

from raybundle.errors import StoreAccessError

_owners: list[int] = []
"""The process that has used obstore."""


def claim() -> None:
    """Refuses to run after a fork of a process that used obstore, which would hang forever."""
    if not _owners:
        _owners.append(os.getpid())
    if _owners[0] != os.getpid():
        raise StoreAccessError(
            f"this process was forked from {_owners[0]} after that had used an S3 store",
            hint='start it without a fork: multiprocessing.get_context("spawn") or "forkserver"',
        )
