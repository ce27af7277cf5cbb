"""The error tree, drawn once; every error knows its exit code (docs/messages.md).

RaybundleError                 1   unexpected
├── UsageError                 2   command line or configuration
│   └── RecordedRunError           the store has an earlier run of this id
├── BundleError                3   resolution or bundle
│   ├── UnresolvedImportError      imports that resolve nowhere, all at once
│   ├── RefusedFileError           files that must not or cannot travel, all at once
│   │   └── SecretError                secrets in them, all at once
│   ├── DigestMismatchError        bytes that differ from their digest
│   │   └── ObjectTooLargeError        an object that is larger than any of its kind
│   ├── DamagedCacheError          a file of the cache; it is removed, and another try makes it anew
│   └── UntrustedError             no trusted key has signed it, where signatures are required
├── StoreError                 4   store or credentials
│   ├── ObjectMissingError         no object of this name
│   └── StoreAccessError           refused, unreachable, no such bucket
├── ClusterError               5   cluster unreachable or auth
│   └── ClusterUnreachableError    no answer, or a busy server: another try may help
└── JobError                       a job that ended without success
    ├── JobFailedError         20
    │   ├── FunctionError          a function that ran as a job raised an exception
    │   └── ResultError            such a job's result cannot be had
    ├── JobStoppedError        21
    ├── JobStartError          22  runtime_env, supervisor or boot check
    │   └── JobStartTimeoutError   --start-timeout
    ├── JobLostError           23
    └── JobTimeoutError       124  --timeout
"""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, ClassVar, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import Self

UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)
"""What a reader of documents raises if one is damaged or has another shape."""


class Place(NamedTuple):
    """A line of a file, and what is wrong there."""

    file: str
    line: int
    text: str


class RaybundleError(Exception):
    """Something went wrong; `str()` says what and where, `hint` what to do next."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str | None = None, places: Sequence[Place] = ()) -> None:
        super().__init__(message)
        self.hint = hint
        self.places = tuple(places)

    def reworded(self, message: str, *, hint: str | None) -> Self:
        """Returns the same error with what is known where it is told."""
        other = copy(self)
        other.args, other.hint = (message,), hint
        return other


class UsageError(RaybundleError):
    """The command line or the configuration cannot be carried out."""

    exit_code = 2


class RecordedRunError(UsageError):
    """An earlier run has the id that was chosen."""


class BundleError(RaybundleError):
    """The target cannot be resolved, or a bundle is not what it claims."""

    exit_code = 3


class UnresolvedImportError(BundleError):
    """Imports resolve nowhere; the message lists all of them, with file and line."""


class RefusedFileError(BundleError):
    """Files must not or cannot travel; the message lists all of them."""


class SecretError(RefusedFileError):
    """Files hold secrets; the message lists them by place and rule, without their values."""


class DigestMismatchError(BundleError):
    """Bytes differ from the digest that names them."""

    def __init__(self, name: str, *, expected: str, found: str) -> None:
        super().__init__(
            f"{name} does not match its digest: expected {expected}, found {found}",
            hint="the object changed after it was written: remove it and build the bundle again",
        )
        self.name = name
        self.expected = expected
        self.found = found


class ObjectTooLargeError(DigestMismatchError, ValueError):
    """An object is larger than any of its kind, so it is damaged: a ValueError to what reads documents."""

    def __init__(self, *, name: str, most: int) -> None:
        super().__init__(name, expected=f"at most {most:,} bytes", found="more")


class DamagedCacheError(BundleError):
    """A file of the cache was damaged. It is removed: another try makes it anew."""


class UntrustedError(BundleError):
    """Signatures are required, and no trusted key has signed this."""


class StoreError(RaybundleError):
    """The store cannot do what was asked of it."""

    exit_code = 4


class ObjectMissingError(StoreError):
    """The store holds no object of this name."""


class StoreAccessError(StoreError):
    """The store refuses access or cannot be reached."""


class ClusterError(RaybundleError):
    """The cluster cannot be reached or refuses access."""

    exit_code = 5

    def __init__(self, message: str, *, hint: str | None = None, status: int | None = None) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        """The HTTP status of the answer, if there was one."""


class ClusterUnreachableError(ClusterError):
    """No answer came, or the server is busy; the request may have arrived."""


class JobError(RaybundleError):
    """A job ended without success."""


class JobFailedError(JobError):
    """The driver ended with a non-zero exit code."""

    exit_code = 20


class FunctionError(JobFailedError):
    """A function that ran as a job raised an exception; `traceback` is the job's, as text."""

    def __init__(self, message: str, traceback: str) -> None:
        super().__init__(f"{message}\n\n{traceback}" if traceback else message)
        self.traceback = traceback


class ResultError(JobFailedError):
    """The result of a function that ran as a job cannot be had."""


class JobStoppedError(JobError):
    """The job was stopped."""

    exit_code = 21


class JobStartError(JobError):
    """The job could not start: runtime_env, supervisor or boot check."""

    exit_code = 22


class JobStartTimeoutError(JobStartError):
    """The job's driver did not start within `--start-timeout`."""


class JobLostError(JobError):
    """The cluster no longer knows the job."""

    exit_code = 23


class JobTimeoutError(JobError):
    """The job was stopped because it ran for longer than `--timeout`."""

    exit_code = 124


class Terminated(KeyboardInterrupt):
    """SIGTERM arrived."""
