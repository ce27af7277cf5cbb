"""Brings back what a function returned or raised: the job's log announces it, the store or the log has it."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import json
import pickle
import re
import sys
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from raybundle.cluster.jobs import TOKEN
from raybundle.errors import UNREADABLE, DigestMismatchError, FunctionError, ResultError, StoreError
from raybundle.model import Digest
from raybundle.publish.layout import get_checked, result_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from raybundle.cluster.jobs import JobInfo
    from raybundle.errors import JobError
    from raybundle.store.base import Store

MOST = 256 << 20
"""Bytes of a result; `_driver.py` has the same bound."""
TAG = b"raybundle: result "
"""Begins the lines by which the script of a function tells the log of its result."""
LONGEST = 64 << 10
"""Bytes of such a line."""
_ANNOUNCED = re.compile(r"(\S+) (sha256:[0-9a-f]{64}) (\d{1,12}) (store|log)")
_PART = re.compile(r"(\S+) part (\d{1,2}) ([A-Za-z0-9+/=]+)")
_REFUSED = re.compile(r"(\S+) refused (.*)")
_HEADER: dict[str, tuple[str, ...]] = {"value": (), "exit": ("text",), "error": ("text", "error")}
"""By the kind of a result: what its header has."""


class Announced(NamedTuple):
    """What the log says of a result."""

    digest: Digest
    size: int
    """Bytes."""
    way: str
    """`store` or `log`."""


@dataclass(slots=True)
class ResultLines:
    """Takes a job's log, keeps the lines about the result, and passes the others on.

    Anybody whose text the job prints can write such a line. What counts is the first that has the token of
    the job, which is known at the end. The empty line before each of them is dropped: it ends what the job
    has printed without an end of line.
    """

    write: Callable[[bytes], object]
    told: dict[str, Announced | str] = field(default_factory=dict)
    """By token: what is announced, or why nothing is."""
    parts: dict[str, dict[int, str]] = field(default_factory=dict)
    _held: bytes = b""
    """The begin of a line that may be about the result."""
    _inside: bool = False
    """The begin of a line is passed on, and its end is not."""
    _empty: bool = False
    """An empty line is not passed on yet."""

    def take(self, piece: bytes) -> None:
        """Takes a piece of the log."""
        *lines, rest = (self._held + piece).split(b"\n")
        self._held = b""
        for line in lines:
            self._line(line + b"\n")
        possible = rest.startswith(TAG) or TAG.startswith(rest)
        if possible and not self._inside and len(rest) <= LONGEST:
            self._held = rest
        else:
            self._show(rest)
            self._inside = True

    def end(self) -> None:
        """Takes the end of the log."""
        held, self._held = self._held, b""
        self._show(held)

    def _line(self, line: bytes) -> None:
        whole, self._inside = not self._inside, False
        if whole and line == b"\n":
            if self._empty:
                self.write(line)
            self._empty = True
        elif whole and len(line) <= LONGEST and line.startswith(TAG) and self._keep(line[len(TAG) :]):
            self._empty = False
        else:
            self._show(line)

    def _show(self, text: bytes) -> None:
        if self._empty:
            self.write(b"\n")
        if text:
            self.write(text)
        self._empty = False

    def _keep(self, line: bytes) -> bool:
        """Keeps a line about a result; returns whether it is one."""
        text = line.decode(errors="replace").strip()
        if found := _ANNOUNCED.fullmatch(text):
            self.told.setdefault(found[1], Announced(Digest(found[2]), int(found[3]), found[4]))
        elif found := _PART.fullmatch(text):
            self.parts.setdefault(found[1], {}).setdefault(int(found[2]), found[3])
        elif found := _REFUSED.fullmatch(text):
            self.told.setdefault(found[1], found[2])
        return found is not None


def result_of(
    job_id: str, info: JobInfo | None, lines: ResultLines, store: Store, failed: JobError | None
) -> Any:
    """Returns what the function of a job returned, or raises what it raised.

    What is read is compared with the digest in the job's log before anything is unpickled.

    Args:
        job_id: of a job that has ended.
        info: what the cluster says of it: its metadata has the token.
        lines: of its whole log.
        store: where it may have put the result.
        failed: why the job did not succeed.

    Raises:
        FunctionError: the function raised an exception that cannot be made again here.
        ResultError: the result cannot be had.
        JobError: the job ended before the function did.
    """
    token = "" if info is None else info.metadata.get(TOKEN, "")
    announced = _announced(job_id, token, lines, failed)
    header, data = _read(job_id, announced, lines.parts.get(token, {}), store)
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
        raise _chained(raised, data, cause)
    raise cause


def _chained(raised: Exception, data: bytes, told: FunctionError) -> BaseException:
    """Returns an exception with those that it was raised from; the first of them was raised from `told`."""
    stream = io.BytesIO(data)
    first: BaseException = raised
    with contextlib.suppress(Exception):  # whatever unpickling runs; many have no chain
        pickle.load(stream)  # noqa: S301 - `_unpickled` has done the same
        chain, links = pickle.load(stream)  # noqa: S301 - as above
        for each, (cause, context, hidden) in zip(chain, links, strict=True):
            each.__cause__ = None if cause is None else chain[cause]
            each.__context__ = None if context is None else chain[context]
            each.__suppress_context__ = hidden
        first = chain[0]
    last, seen = first, {id(first)}
    while (before := last.__cause__ or (None if last.__suppress_context__ else last.__context__)) is not None:
        if id(before) in seen:
            break
        last = before
        seen.add(id(last))
    last.__cause__ = told
    return first


def _announced(job_id: str, token: str, lines: ResultLines, failed: JobError | None) -> Announced:
    lines.end()
    told = lines.told.get(token)
    if told is None:
        raise failed or ResultError(f"job {job_id} has ended, and its log announces no result")
    if isinstance(told, str):
        text = f"job {job_id}: the function has returned, but its result has not: {told}"
        raise ResultError(text, hint=_way_out(told)) from failed
    return told


def _way_out(refused: str) -> str:
    if refused.startswith("it cannot be pickled"):
        return "return what it is made from, such as a list instead of a generator"
    elsewhere = "write the result where you read it and return its path"
    if "cannot write it to the store" in refused:
        return f"let the nodes write to `results/` of the store, or {elsewhere}"
    return elsewhere


def _read(
    job_id: str, announced: Announced, parts: dict[int, str], store: Store
) -> tuple[dict[str, Any], bytes]:
    """Returns header and pickle of a result."""
    if announced.size > MOST:
        raise ResultError(f"job {job_id}: its result has {announced.size >> 20} MiB, more than is read")
    try:
        if announced.way == "store":
            whole = get_checked(store, result_key(job_id, announced.digest), announced.digest, announced.size)
        else:
            whole = _from_log(job_id, parts, announced)
        head, _, data = whole.partition(b"\n")
        header = json.loads(head)
        if not all(isinstance(header[name], str) for name in ("python", *_HEADER[header["kind"]])):
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
