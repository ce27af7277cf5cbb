"""Makes the large files of bundles on a node: each once, whichever trees have links to it.

The file with the SHA-256 X is `data/X/content`, an executable one `data/X-x/content`. Its directory has a
record, so it is compared and made anew as a layer is.
"""

from __future__ import annotations

import os
import time
from hashlib import sha256

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from raybundle.node.stub import Stub

LARGE = 1 << 20
"""As in `raybundle_record`, which the boot loads by its name alone."""
CHUNK = 4 << 20
"""Bytes that are copied at a time."""
BATCH_SECONDS = 1.0
"""Seconds of copying after which what is finished is synced and named."""


class Data:
    """The large files of a bundle."""

    def __init__(self, stub: Stub, files: Sequence[dict[str, Any]]) -> None:
        """Finds out which of the files, as the manifest has them, this node has; reads what has changed."""
        self._stub = stub
        self._record: Any = stub.load("raybundle_record")
        large = {self._directory(file): file for file in files if file["size"] > LARGE}
        self.directories = list(large)
        self._missing = {
            directory: file for directory, file in large.items() if not self._record.is_right(directory)
        }

    @property
    def needed(self) -> int:
        """Bytes of the files that this node lacks."""
        return sum(int(file["size"]) for file in self._missing.values())

    def _directory(self, file: dict[str, Any]) -> str:
        return f"{self._stub.PRIVATE}/data/{file['sha256']}{'-x' if file['executable'] else ''}"

    def make(self) -> None:
        """Brings the files that this node lacks, from relayed packages or from the store.

        Raises:
            RuntimeError: one is not what the manifest says, or cannot be had.
            OSError: one cannot be written.
        """
        if not self._missing:
            return
        content, fetch = self._stub.load("raybundle_content"), self._stub.load("raybundle_fetch")
        places, source = content.find_places(), os.environ.get("RAYBUNDLE_SOURCE", "")
        relayed = {sha: parts for sha in self._digests() if (parts := content.find_parts(sha, places))}
        wanted = {}
        for file in self._missing.values():
            sha = file["sha256"]
            if sha not in relayed:
                if not source:
                    raise RuntimeError(f"file {sha}.data: expected it in py_modules of the job, found none")
                wanted[sha] = fetch.Archive(sha, f"data/{sha}", sha, file["size"])
        with fetch.Fetched(self._stub, list(wanted.values()), source, in_place=False) as fetched:
            self._place_all(fetched, relayed)

    def _digests(self) -> set[str]:
        return {file["sha256"] for file in self._missing.values()}

    def _place_all(self, fetched: dict[str, str], relayed: dict[str, list[str]]) -> None:
        finished: list[tuple[str, str]] = []
        began = time.monotonic()
        last = {file["sha256"]: directory for directory, file in self._missing.items()}
        try:
            for directory, file in self._missing.items():
                sha, partial = file["sha256"], f"{directory}.partial"
                self._record.remove(partial)
                os.mkdir(partial, 0o700)
                if sha in fetched and last[sha] == directory:
                    os.rename(fetched[sha], f"{partial}/content")
                else:
                    _copy(relayed.get(sha) or [fetched[sha]], f"{partial}/content", file)
                os.chmod(f"{partial}/content", 0o500 if file["executable"] else 0o400)
                os.chmod(partial, 0o500)
                finished.append((directory, sha))
                if time.monotonic() - began > BATCH_SECONDS:
                    batch, finished, began = finished, [], time.monotonic()
                    self._publish(batch)
        finally:
            self._publish(finished)

    def _publish(self, finished: Sequence[tuple[str, str]]) -> None:
        if not finished:
            return
        place = self._stub.load("raybundle_place")
        synced = self._record.sync(f"{self._stub.PRIVATE}/data")
        for directory, sha in finished:
            place.place(self._stub, f"{directory}.partial", directory)
            lines = self._record.take(directory, {"content": sha}, links=True)
            self._record.write(directory, lines, synced=synced)

    def place(self, file: dict[str, Any], target: str) -> None:
        """Makes a link to a file in a tree, or a copy if that is not possible."""
        source = f"{self._directory(file)}/content"
        try:
            os.link(source, target)
        except OSError:
            _copy([source], target, file)
            os.chmod(target, 0o500 if file["executable"] else 0o400)


def _copy(parts: Sequence[str], target: str, file: dict[str, Any]) -> None:
    """Joins the parts of a file, and compares what is written with the manifest."""
    found, size = sha256(), 0
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "wb") as stream:
        for part in parts:
            with open(part, "rb", buffering=0) as source:
                while size <= file["size"] and (data := source.read(CHUNK)):
                    found.update(data)
                    size += len(data)
                    stream.write(data)
    if (size, found.hexdigest()) != (file["size"], file["sha256"]):
        raise RuntimeError(
            f"file {file['path']} in {os.path.dirname(parts[0])}: expected sha256 {file['sha256']} "
            f"({file['size']} bytes), found {found.hexdigest()} ({size} bytes)"
        )
