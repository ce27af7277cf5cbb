"""What differs from the bundle that this user submitted last for the same target."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from raybundle.bundle.manifest import parse_manifest
from raybundle.cache.documents import Kind
from raybundle.errors import BundleError
from raybundle.formats.amounts import counted
from raybundle.model import Digest, FunctionTarget
from raybundle.pipeline.changes import Changes, Side, changes_between

if TYPE_CHECKING:
    from collections.abc import Iterator

    from raybundle.cache.documents import Cache
    from raybundle.pipeline.changes import DistributionChange
    from raybundle.planning import Plan
    from raybundle.request import Request

_SUBMITTED = Kind("submitted", 200)
"""The manifest that was submitted last, by target."""
_MOST = 3
"""Names of one kind in the line; the rest are counted."""


def remember(request: Request, planned: Plan) -> None:
    """Notes that a bundle was submitted."""
    if not isinstance(request.target, FunctionTarget):  # each call is a target of its own
        manifest = planned.manifest_bytes.decode()
        document = {"bundle": planned.digest, "bytes": planned.bytes, "manifest": manifest}
        planned.cache.write(_SUBMITTED, _name(planned.cache, request), document)


def since_last(request: Request, planned: Plan) -> str | None:
    """Returns a line with what is new since the last submission; None if nothing is, or there was none."""

    def read(document: dict[str, Any]) -> Changes | None:
        before = Digest(document["bundle"])
        if before == planned.digest:
            return None
        try:
            manifest = parse_manifest(document["manifest"].encode(), before)
        except BundleError as error:
            raise ValueError("a damaged manifest") from error
        after = Side(planned.digest, planned.manifest, planned.bytes)
        return changes_between(Side(before, manifest, int(document["bytes"])), after)

    changes = planned.cache.read(_SUBMITTED, _name(planned.cache, request), read)
    return None if changes is None else f"since the last submission: {'; '.join(_words(changes))}"


def _name(cache: Cache, request: Request) -> str:
    return cache.key(str(request.project), repr(request.target))


def _words(changes: Changes) -> Iterator[str]:
    """Yields what is new, by kind."""
    for kind in ("changed", "added", "removed"):
        paths = [each.path.removeprefix("project/") for each in changes.files if each.kind == kind]
        if paths:
            yield f"{_listed(paths, 'file')} {kind}"
    if changes.distributions:
        yield _listed([_distribution(each) for each in changes.distributions], "distribution")
    if not (changes.files or changes.distributions):
        yield "the same files in another order of the path, or for another Python"


def _distribution(change: DistributionChange) -> str:
    if change.kind == "removed":
        return f"{change.name} removed"
    before = f" (was {change.before})" if change.before not in (None, change.after) else ""
    return f"{change.name} {change.after or ''}".rstrip() + before


def _listed(names: list[str], what: str) -> str:
    rest = len(names) - _MOST
    if rest <= 1:
        return ", ".join(names)
    return f"{', '.join(names[:_MOST])} and {counted(rest, f'more {what}')}"
