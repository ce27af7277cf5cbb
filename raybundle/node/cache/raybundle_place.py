"""Gives what was made in the cache its final name: first it is on the disk, then it is named and recorded.

A name that exists already may be in use. Then its files are replaced one by one, and no process misses one.
"""

from __future__ import annotations

import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping
    from types import ModuleType
    from typing import Any

    from raybundle.node.cache.raybundle_layers import Job, Missing
    from raybundle.node.stub import Stub

    Batch = list[tuple[str, list[Job]]]
    """Layers by the directories that have no final name yet, and their files."""

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
    """Unpacks and verifies layers, the largest first, and beside it others for the idle processors.

    A layer gets its final name soon after all of its files are verified; a wrong layer is removed. While the
    disk is written to, the next layers are unpacked. Ray kills a worker that does not start within 60 s
    (`worker_register_timeout_seconds`). The next worker keeps the layers and files that are there, so even a
    slow disk gets the largest layer in the end.

    Raises:
        RuntimeError: a file does not match its document.
        OSError: a file cannot be written.
    """
    record, most = stub.load("raybundle_record"), stub.load("raybundle_parallel").processes()
    waiting: list[tuple[Batch, Any]] = []
    try:
        for batch in _batches(missing.jobs, stub.load("raybundle_layers").cost_of, most):
            _unpack_batch(stub, batch)
            sync = record.Sync(os.path.dirname(batch[0][0]))
            finished, waiting = waiting, [(batch, sync)]
            _publish(stub, finished)
    finally:
        _publish(stub, waiting)


def _batches(
    jobs: dict[str, list[Job]], cost_of: Callable[[list[Job]], float], processes: int
) -> Iterator[Batch]:
    """Yields layers to unpack at the same time: the largest, and others for idle processors beside it."""
    costs = {partial: cost_of(each) for partial, each in jobs.items()}
    rest = sorted(jobs, key=costs.__getitem__, reverse=True)
    while rest:
        longest = max((cost_of([job]) for job in jobs[rest[0]]), default=0.0)
        room = processes * max(longest, costs[rest[0]] / processes, BATCH_SECONDS)
        batch: Batch = []
        for partial in list(rest):
            if not batch or costs[partial] <= room:
                room -= costs[partial]
                batch.append((partial, jobs[partial]))
                rest.remove(partial)
        yield batch


def _unpack_batch(stub: Stub, batch: Batch) -> None:
    layers, record = stub.load("raybundle_layers"), stub.load("raybundle_record")
    try:
        for partial, jobs in batch:
            files = layers.files_of(jobs)
            if os.path.lexists(partial):
                clear(record, partial, files, layers.directories_of(partial, files))
        layers.fill(stub, batch)
    except Exception:
        for partial, jobs in batch:  # a wrong file is not there
            if not all(os.path.lexists(job.target) for job in jobs):
                record.remove(partial)
        raise


def _publish(stub: Stub, waiting: list[tuple[Batch, Any]]) -> None:
    """Names finished layers once they are on the disk."""
    record = stub.load("raybundle_record")
    for batch, sync in waiting:
        synced = sync.done()
        for partial, jobs in batch:
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
    """Takes the final name from a directory, so that it is completed as an unfinished one."""
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
