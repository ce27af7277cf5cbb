"""The error tree, drawn once; every error knows its exit code (docs/messages.md).

RaybundleError                 1   unexpected
├── UsageError                 2   command line or configuration
├── BundleError                3   resolution or bundle
│   ├── UnresolvedImportError      imports that resolve nowhere, all at once
│   ├── RefusedFileError           files that must not or cannot travel, all at once
│   │   └── SecretError                secrets in them, all at once
│   └── DigestMismatchError        bytes that are not what their name says
├── StoreError                 4   store or credentials
│   ├── ObjectMissingError         no object of this name
│   └── StoreAccessError           refused, unreachable, no such bucket
├── ClusterError               5   cluster unreachable or auth
│   └── ClusterUnreachableError    no answer came, or that of a busy server: another try may help
└── JobError                       how a job ended, where that is no success
    ├── JobFailedError         20
    ├── JobStoppedError        21
    ├── JobStartError          22  runtime_env, supervisor or boot check
    │   └── JobStartTimeoutError   --start-timeout
    ├── JobLostError           23
    └── JobTimeoutError       124  --timeout
"""

from __future__ import annotations

from typing import ClassVar


class RaybundleError(Exception):
    """Something went wrong; `str()` says what and where, `hint` what to do next."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(RaybundleError):
    """The command line or the configuration cannot be carried out."""

    exit_code = 2


class BundleError(RaybundleError):
    """The target cannot be resolved, or a bundle is not what it claims."""

    exit_code = 3


class UnresolvedImportError(BundleError):
    """Imports resolve nowhere; the message lists all of them, with file and line."""


class RefusedFileError(BundleError):
    """Files must not or cannot travel; the message lists all of them."""


class SecretError(RefusedFileError):
    """Files hold secrets; the message lists all of them by place and rule, and no value."""


class DigestMismatchError(BundleError):
    """Bytes differ from the digest they are named by."""

    def __init__(self, name: str, *, expected: str, found: str) -> None:
        super().__init__(
            f"{name} is not what its name says: expected {expected}, found {found}",
            hint="the object was changed or damaged after it was written: "
            "remove it and build the bundle again",
        )
        self.name = name
        self.expected = expected
        self.found = found


class StoreError(RaybundleError):
    """The store cannot do what was asked of it."""

    exit_code = 4


class ObjectMissingError(StoreError):
    """The store holds no object of this name."""


class StoreAccessError(StoreError):
    """The store refuses us or cannot be reached."""


class ClusterError(RaybundleError):
    """The cluster cannot be reached or refuses us."""

    exit_code = 5

    def __init__(self, message: str, *, hint: str | None = None, status: int | None = None) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        """The HTTP status of the answer, if there was one."""


class ClusterUnreachableError(ClusterError):
    """No answer came, or a busy server gave it; a request may have arrived all the same."""


class JobError(RaybundleError):
    """A job ended without success."""


class JobFailedError(JobError):
    """The driver ended with a non-zero exit code."""

    exit_code = 20


class JobStoppedError(JobError):
    """Somebody stopped the job."""

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
    """The job ran for longer than `--timeout`, and was stopped."""

    exit_code = 124
