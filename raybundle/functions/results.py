"""Brings back what a function returned or raised: the job's log announces it, the store or the log has it."""

from __future__ import annotations

import base64
import hashlib
import json
import pickle
import re
import sys
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from raybundle.errors import UNREADABLE, DigestMismatchError, FunctionError, ResultError, StoreError
from raybundle.model import Digest
from raybundle.publish.layout import get_checked, get_soon, result_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from raybundle.errors import JobError
    from raybundle.store.base import Store

NAME = "raybundle.function"
"""Key of a job's metadata: the name of its function."""
MOST = 256 << 20
"""Bytes of a result; `_driver.py` has the same bound."""
TAG = b"raybundle: result "
"""Begins what the script of a function tells the log."""
_ANNOUNCED = re.compile(r"(\S+) (sha256:[0-9a-f]{64}) (\d{1,12}) (store|log)")
_PART = re.compile(r"(\S+) part (\d{1,4}) ([A-Za-z0-9+/=]+)")
_REFUSED = re.compile(r"(\S+) refused (.*)")


class Announced(NamedTuple):
    """What the log says of a result."""

    digest: Digest
    size: int
    """Bytes."""
    way: str
    """`store` or `log`."""


@dataclass(slots=True)
class ResultLines:
    """Takes a job's log, keeps the lines about the result, and passes the others on."""

    write: Callable[[bytes], object]
    announced: dict[str, Announced] = field(default_factory=dict)
    """By the id of the job: a retry has its own."""
    refused: dict[str, str] = field(default_factory=dict)
    parts: dict[str, dict[int, str]] = field(default_factory=dict)
    _held: bytes = b""

    def take(self, piece: bytes) -> None:
        """Takes a piece of the log."""
        *lines, self._held = (self._held + piece).split(b"\n")
        for line in lines:
            self._line(line + b"\n")
        if TAG not in self._held and not any(self._held.endswith(TAG[:end]) for end in range(1, len(TAG))):
            held, self._held = self._held, b""
            if held:
                self.write(held)

    def end(self) -> None:
        """Takes the end of the log."""
        held, self._held = self._held, b""
        if held:
            self._line(held)

    def _line(self, line: bytes) -> None:
        before, tag, rest = line.partition(TAG)
        text = rest.decode(errors="replace").strip()
        if found := _ANNOUNCED.fullmatch(text):
            self.announced[found[1]] = Announced(Digest(found[2]), int(found[3]), found[4])
        elif found := _PART.fullmatch(text):
            self.parts.setdefault(found[1], {})[int(found[2])] = found[3]
        elif found := _REFUSED.fullmatch(text):
            self.refused[found[1]] = found[2]
        else:
            before += tag + rest
        if before:
            self.write(before)


def result_of(job_id: str, lines: ResultLines, store: Store, failed: JobError | None) -> Any:
    """Returns what the function of a job returned, or raises what it raised.

    What is read is compared with the digest in the job's log before anything is unpickled.

    Args:
        job_id: of a job that has ended.
        lines: of its whole log.
        store: where it may have put the result.
        failed: why the job did not succeed.

    Raises:
        FunctionError: the function raised an exception that cannot be made again here.
        ResultError: the result cannot be had.
        JobError: the job ended before the function did.
    """
    header, data = _read(job_id, _announced(job_id, lines, failed), lines, store)
    if header["kind"] == "value":
        return _unpickled(job_id, header, data)
    if header["kind"] == "exit":
        raise FunctionError(f"job {job_id} has no result: {header['text']}", "") from failed
    cause = FunctionError(f"job {job_id}: the function raised {header['error']}", header["text"])
    raised = None
    if data:
        try:
            raised = _unpickled(job_id, header, data)
        except ResultError as error:
            cause.hint = str(error)
    if isinstance(raised, Exception):
        raise raised from cause
    raise cause


def _announced(job_id: str, lines: ResultLines, failed: JobError | None) -> Announced:
    lines.end()
    if job_id in lines.refused:
        raise ResultError(
            f"job {job_id}: the function has returned, but its result has not: {lines.refused[job_id]}",
            hint="let the nodes write to `results/` of the store, or write the result where you read it and "
            "return its path",
        )
    if job_id not in lines.announced:
        raise failed or ResultError(f"job {job_id} has ended, and its log announces no result")
    return lines.announced[job_id]


def _read(
    job_id: str, announced: Announced, lines: ResultLines, store: Store
) -> tuple[dict[str, Any], bytes]:
    """Returns header and pickle of a result."""
    if announced.size > MOST:
        raise ResultError(f"job {job_id}: its result has {announced.size >> 20} MiB, more than is read")
    try:
        if announced.way == "store":
            whole = get_checked(store, result_key(job_id, announced.digest), announced.digest, get_soon)
        else:
            whole = _from_log(job_id, lines.parts.get(job_id, {}), announced)
        head, _, data = whole.partition(b"\n")
        header = json.loads(head)
        if header["kind"] not in {"value", "exit", "error"} or not isinstance(header["python"], str):
            raise ValueError(header)
    except StoreError as error:
        raise ResultError(
            f"job {job_id}: its result is not in the store: {error}", hint="is this the store of the job?"
        ) from error
    except (DigestMismatchError, zlib.error, *UNREADABLE) as error:
        raise ResultError(f"job {job_id}: its result is damaged: {error}") from error
    return header, data


def _from_log(job_id: str, parts: dict[int, str], announced: Announced) -> bytes:
    text = "".join(parts.get(number, "") for number in range(len(parts)))
    whole = zlib.decompressobj().decompress(base64.b64decode(text), announced.size + 1)
    found = Digest(f"sha256:{hashlib.sha256(whole).hexdigest()}")
    if found != announced.digest:
        raise DigestMismatchError(f"the log of {job_id}", expected=announced.digest, found=found)
    return whole


def _unpickled(job_id: str, header: dict[str, Any], data: bytes) -> Any:
    here = "{}.{}".format(*sys.version_info)
    if header["python"] != here:
        raise ResultError(
            f"job {job_id}: its result is pickled by Python {header['python']}, and this is Python {here}",
            hint=f"read it with a Python {header['python']}",
        )
    try:
        return pickle.loads(data)  # noqa: S301 - whom one trusts: docs/functions.md
    except Exception as error:  # whatever unpickling runs
        raise ResultError(
            f"job {job_id}: its result cannot be unpickled here: {type(error).__name__}: {error}",
            hint="import here what it is made of",
        ) from error
