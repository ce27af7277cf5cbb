"""Reads obstore's errors: what went wrong, in words, and whether another try may help."""

from __future__ import annotations

import re

HINTS = {
    "SignatureDoesNotMatch": "the secret key does not belong to the access key: set both again",
    "InvalidAccessKeyId": "the server does not know the access key: check the endpoint",
    "AccessDenied": "the identity needs s3:GetObject, s3:PutObject, s3:ListBucket, s3:DeleteObject for gc",
    "ExpiredToken": "the temporary credentials have expired: sign in again (`aws sso login`)",
    "InvalidToken": "AWS_SESSION_TOKEN does not belong to the access key: set all three again",
    "RequestTimeTooSkewed": "this machine's clock is wrong: set it",
    "NoSuchBucket": "create the bucket, or name another one with --store",
    "AuthorizationHeaderMalformed": "the bucket is in another region: set AWS_REGION",
    "PermanentRedirect": "the bucket is in another region: set AWS_REGION",
}
"""Hints by S3's error code."""


REASONS = {
    "kind: Timeout": "no answer in time",
    "ConnectionRefused": "connection refused",
    "certificate": "its certificate is not valid",
    "kind: Connect": "cannot connect (name or network)",
    "IncompleteBody": "the answer was cut",
    "kind: Body": "the answer was cut",
    "invalid list response": "the answer was cut",
    "SendRequest": "the connection was cut",
    "kind: Interrupted": "the connection was cut",
}
"""What is wrong with a connection, by a part of obstore's debug text; the first that fits counts."""

TRANSIENT = tuple(REASONS)

NO_ETAG = "ETag Header missing from response"
"""What obstore says if the answer to a write is not one of S3."""


def find(pattern: str, error: Exception) -> str | None:
    """Returns what the first group of a pattern finds in the text of an error."""
    match = re.search(pattern, str(error))
    return match[1].strip() if match else None


def is_foreign(error: Exception, verb: str) -> bool:
    """Returns whether a 404 is not one of S3, which names a code in each body; a HEAD has no body."""
    said = find(r"status code: 404 Not Found: (.*)", error)
    return bool(said) or verb.startswith("write")


def is_conflict(error: Exception) -> bool:
    """Returns whether two writers of one key met: ConditionalRequestConflict of a conditional write."""
    return find(r"status code: (409)", error) is not None


def may_pass(error: Exception) -> bool:
    """Returns whether another try may help: the network failed, or the server is busy."""
    status = find(r"status code: (\d{3})", error)
    if status is not None:
        return status in {"409", "429"} or status.startswith("5")
    return any(text in str(error) for text in TRANSIENT) and "certificate" not in str(error)


def reason_of(error: Exception) -> str:
    """Returns in words the innermost cause in the debug text, else its first line."""
    text = str(error)
    for part, words in REASONS.items():
        if part in text:
            return words
    return text.partition("\n")[0].removeprefix("Generic S3 error: ")
