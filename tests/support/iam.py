"""Reads the policies of templates/iam, and decides as IAM does about the requests of a store."""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from raybundle.cli.templates import templates

if TYPE_CHECKING:
    from collections.abc import Mapping

PLACE = "my-bucket/bundles"
"""Bucket and prefix in the templates."""
ROLES = ("collectors", "nodes", "readers", "runners", "signers", "submitters")
CREATE_ONLY = "s3:if-none-match"


class Asked(NamedTuple):
    """What a request asks for."""

    action: str
    resource: str
    """Without `arn:aws:s3:::`."""
    prefix: str
    """Of a list."""
    creates_only: bool
    """The request has `If-None-Match`."""


def policy(role: str, bucket: str, prefix: str) -> dict[str, Any]:
    """Returns the policy of a role for a store at `s3://BUCKET/PREFIX`."""
    text = (templates() / "iam" / f"{role}.json").read_text("utf-8")
    text = text.replace(PLACE, f"{bucket}/{prefix}").replace("my-bucket", bucket)
    document: dict[str, Any] = json.loads(text.replace('"bundles/*"', f'"{prefix}/*"'))
    return document


def without_create_only(document: dict[str, Any]) -> dict[str, Any]:
    """Returns a policy without the condition that SeaweedFS 4.48 does not know: it denies what has it."""
    rows = [
        {name: value for name, value in each.items() if name != "Condition" or CREATE_ONLY not in str(value)}
        for each in document["Statement"]
    ]
    return {**document, "Statement": rows}


def asked(method: str, path: str, headers: Mapping[str, str]) -> Asked:
    """Returns what a request of S3 asks for, in the words of IAM."""
    parts = urlsplit(path)
    query, name = parse_qs(parts.query, keep_blank_values=True), unquote(parts.path).strip("/")
    bucket, _, key = name.partition("/")
    action = {"GET": "GetObject", "HEAD": "GetObject", "PUT": "PutObject", "POST": "PutObject"}.get(
        method, "DeleteObject"
    )
    if method == "DELETE" and "uploadId" in query:
        action = "AbortMultipartUpload"
    if method == "POST" and "delete" in query:
        action = "DeleteObject"
    elif not key:
        action = "ListBucket"
    prefix = query.get("prefix", [""])[0]
    return Asked(f"s3:{action}", bucket if not key else name, prefix, "if-none-match" in headers)


def allowing(document: dict[str, Any], what: Asked) -> set[str]:
    """Returns the names of the statements that allow a request."""
    return {each["Sid"] for each in document["Statement"] if _allows(each, what)}


def _allows(statement: Mapping[str, Any], what: Asked) -> bool:
    actions, resources = (_listed(statement[name]) for name in ("Action", "Resource"))
    if what.action not in actions:
        return False
    asked_for = f"arn:aws:s3:::{what.resource}"
    if what.action == "s3:DeleteObject" and "/" not in what.resource:  # the keys are in the body
        asked_for = next((each for each in resources if each.startswith(f"{asked_for}/")), asked_for)
    if not any(fnmatchcase(asked_for, each) for each in resources):
        return False
    for kind, condition in statement.get("Condition", {}).items():
        match kind, condition:
            case "StringLike", {"s3:prefix": patterns}:
                if not any(fnmatchcase(what.prefix, each) for each in _listed(patterns)):
                    return False
            case "Null", {"s3:if-none-match": "false"}:
                if not what.creates_only:
                    return False
            case _:
                raise AssertionError(condition)
    return True


def _listed(value: str | list[str]) -> list[str]:
    return value if isinstance(value, list) else [value]
