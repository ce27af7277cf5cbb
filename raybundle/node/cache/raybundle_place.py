"""Gives what was made in the cache its final name: first it is on the disk, then it is named and recorded.

A name that exists already may be in use. Then its files are replaced one by one, and no process misses one.
"""

from __future__ import annotations

import os
import stat
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from types import ModuleType

    from raybundle.node.cache.raybundle_layers import Job, Missing
    from raybundle.node.stub import Stub

BATCH_SECONDS = 1.0
"""Seconds of unpacking after which the finished layers are synced and named. A sync takes 0.02 s or more."""


def put(stub: Stub, partial: str, final: str, known: Mapping[str, str], *, links: bool = False) -> None:
    """Syncs, names and records a directory.

    Args:
        stub: the module `sitecustomize`.
        partial: absolute path of the finished directory.
        final: its final path.
        known: as in `raybundle_record.take`.
        links: likewise.
    """
    record = stub.load("raybundle_record")
    synced = record.sync(partial)
    place(stub, partial, final)
    record.write(final, record.take(final, known, links=links), synced=synced)


def unpack(stub: Stub, missing: Missing) -> None:
    """Unpacks and verifies one layer after the other, the largest first.

    A layer gets its final name soon after all of its files are verified; a wrong layer is removed. Ray
    kills a worker that does not start within 60 s (`worker_register_timeout_seconds`). The next worker keeps
    the layers and files that are there, so even a slow disk gets the largest layer in the end.

    Raises:
        RuntimeError: a file does not match its document.
        OSError: a file cannot be written.
    """
    layers = stub.load("raybundle_layers")
    ordered = sorted(missing.jobs.items(), key=lambda each: layers.cost_of(each[1]), reverse=True)
    finished: list[tuple[str, list[Job]]] = []
    began = time.monotonic()
    try:
        for partial, jobs in ordered:
            _unpack_one(stub, partial, jobs)
            finished.append((partial, jobs))
            if time.monotonic() - began > BATCH_SECONDS:
                _publish(stub, finished)
                finished, began = [], time.monotonic()
    finally:
        _publish(stub, finished)


def _unpack_one(stub: Stub, partial: str, jobs: list[Job]) -> None:
    layers = stub.load("raybundle_layers")
    try:
        files = layers.files_of(jobs)
        if os.path.lexists(partial):
            clear(stub.load("raybundle_record"), partial, files, layers.directories_of(partial, files))
        layers.fill(stub, partial, jobs)
    except Exception:
        stub.load("raybundle_record").remove(partial)
        raise


def _publish(stub: Stub, finished: list[tuple[str, list[Job]]]) -> None:
    if not finished:
        return
    record = stub.load("raybundle_record")
    synced = record.sync(os.path.dirname(finished[0][0]))
    for partial, jobs in finished:
        final = partial.removesuffix(".partial")
        known = {job.target[len(partial) + 1 :]: job.sha256 for job in jobs}
        place(stub, partial, final)
        record.write(final, record.take(final, known), synced=synced)


def clear(record: ModuleType, directory: str, files: Collection[str], directories: Collection[str]) -> None:
    """Removes everything below `directory` that is neither one of `files` nor one of `directories`."""
    if not record.is_directory(directory):
        os.unlink(directory)
        return
    os.chmod(directory, 0o700)
    for entry in list(os.scandir(directory)):
        if entry.is_dir(follow_symlinks=False) and entry.path in directories:
            clear(record, entry.path, files, directories)
        elif not (entry.is_file(follow_symlinks=False) and entry.path in files):
            record.remove(entry.path)


def reopen(stub: Stub, directory: str) -> None:
    """Takes a directory its final name, so that it is completed as an unfinished one."""
    partial, record = f"{directory}.partial", stub.load("raybundle_record")
    if os.path.lexists(directory):
        record.remove(partial)
        os.rename(directory, partial)


def place(stub: Stub, partial: str, final: str) -> None:
    """Renames `partial` to `final`, or else makes `final` the same and removes `partial`."""
    record = stub.load("raybundle_record")
    if os.path.lexists(final) and not record.is_directory(final):
        os.unlink(final)
    if os.path.lexists(final):
        _settle(record, partial, final)
        record.remove(partial)
    else:
        os.rename(partial, final)


def _settle(record: ModuleType, source: str, target: str) -> None:
    """Moves the files of `source` over those of `target`, and removes all others there."""
    mode = stat.S_IMODE(os.lstat(source).st_mode)
    os.chmod(source, 0o700)
    os.chmod(target, 0o700)
    names = set()
    for entry in list(os.scandir(source)):
        names.add(entry.name)
        there = f"{target}/{entry.name}"
        if entry.is_dir(follow_symlinks=False):
            if not record.is_directory(there):
                record.remove(there)
                os.mkdir(there, 0o700)
            _settle(record, entry.path, there)
        else:
            if record.is_directory(there):
                record.remove(there)
            os.replace(entry.path, there)
    for name in set(os.listdir(target)) - names:
        record.remove(f"{target}/{name}")
    os.chmod(target, mode)
