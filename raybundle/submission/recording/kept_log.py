"""Keeps the log of a job in the store, if the user asks for it."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING

from raybundle.errors import StoreError
from raybundle.publish.runs.marks import log_key
from raybundle.store.base import PIECE_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from raybundle.publish.runs.run import Run
    from raybundle.store.base import Store


@contextmanager
def keeping_log(
    store: Store, run: Run, write: Callable[[bytes], None], warn: Callable[[str], None]
) -> Iterator[Callable[[bytes], None]]:
    """Yields what takes the log in pieces, as `write` does; puts all of it into the store in the end.

    Args:
        store: that has the run.
        run: whose log it is.
        write: takes each piece as well.
        warn: takes a line if the log cannot be kept.
    """
    fault: OSError | None = None
    with tempfile.TemporaryFile(buffering=0) as file:

        def keep(piece: bytes) -> None:
            nonlocal fault
            write(piece)
            try:
                data = memoryview(b"" if fault else piece)
                while data:
                    data = data[file.write(data) :]
            except OSError as error:  # a full disk does not end the wait for the job
                fault = error

        yield keep

        def chunks() -> Iterator[bytes]:
            file.seek(0)
            yield from iter(lambda: file.read(PIECE_BYTES), b"")

        try:
            if fault is not None:
                raise fault
            store.put_new_chunks(log_key(run), chunks)
        except (OSError, StoreError) as failure:
            warn(f"the log is not kept in the store: {failure}")
