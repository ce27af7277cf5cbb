"""The stories of `verify`, `check`, `gc` and `store probe`: is a store, and what it has, as it should be."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from raybundle.bundle.manifest import parse_manifest
from raybundle.cache.documents import Cache
from raybundle.config import cache_directory
from raybundle.errors import StoreError, UsageError
from raybundle.pipeline.changes import Side, changes_between
from raybundle.pipeline.rebuilding import plan_again
from raybundle.publish.bundles import open_configured
from raybundle.publish.content.checking import check_store
from raybundle.publish.content.objects import open_shelf
from raybundle.publish.content.verifying import verify_bundle
from raybundle.publish.gc.collect import collect
from raybundle.publish.gc.reach import Policy
from raybundle.publish.keeping import GRACE
from raybundle.publish.layout import get_document, manifest_key, require_format
from raybundle.publish.refs import look_up
from raybundle.publish.runs.days import forget_marks
from raybundle.store import probe as probing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from raybundle.config import Settings
    from raybundle.model import Digest
    from raybundle.pipeline.changes import Changes
    from raybundle.publish.content.checking import Checked
    from raybundle.publish.content.objects import Shelf
    from raybundle.publish.content.verifying import Part, Verified
    from raybundle.publish.gc.collect import Collected
    from raybundle.store.probe import Probed
    from raybundle.submission.asking import Given

_CENTURY = 36_500 * 86_400.0
"""Seconds; no store has older objects."""


@dataclass(frozen=True, slots=True)
class Verification:
    """What was found of a bundle."""

    store: str
    verified: Verified
    changes: Changes | None = None
    """How the bundle of the working tree differs; None if it was not rebuilt."""

    @property
    def digest(self) -> Digest:
        """Of the bundle."""
        return self.verified.digest

    @property
    def faults(self) -> tuple[Part, ...]:
        """Objects that are missing or damaged."""
        return self.verified.faults

    @property
    def ok(self) -> bool:
        """Whether all is there and right, and, if it was built again, gave the same bundle."""
        return not self.faults and (self.changes is None or not self.changes.differs)


def open_shelf_of(settings: Settings, environ: Mapping[str, str]) -> Shelf:
    """Returns the configured store, with the folder for copies of its objects."""
    return open_shelf(open_configured(settings, environ), Cache(cache_directory(environ)))


def verify(ref: str, given: Given, *, rebuild: bool = False) -> Verification:
    """Reads everything that a bundle reaches, and builds it again from the working tree if asked.

    Raises:
        StoreError: the store has no such bundle, or cannot be used.
        UsageError: there is nothing to build it from.
        BundleError: it cannot be built again.
    """
    shelf = open_shelf_of(given.settings(), given.environ)
    require_format(shelf.store)
    digest = look_up(shelf.store, ref)
    verified = verify_bundle(shelf, digest)
    key = manifest_key(digest)
    if not rebuild or any(each.key == key for each in verified.faults):
        return Verification(shelf.store.url, verified)
    manifest = parse_manifest(get_document(shelf.store, key), digest)
    planned = plan_again(manifest, given)
    before = Side(digest, manifest, sum(file.size for file in manifest.files))
    after = Side(planned.digest, planned.manifest, planned.bytes, planned.resolution)
    return Verification(shelf.store.url, verified, changes_between(before, after))


def check(settings: Settings, environ: Mapping[str, str], *, read_data: bool = False) -> tuple[str, Checked]:
    """Returns the URL of the configured store, and what in it breaks a rule.

    Raises:
        StoreError: the store has another format, or cannot be used.
    """
    shelf = open_shelf_of(settings, environ)
    return shelf.store.url, check_store(shelf, read_data=read_data)


def probe(settings: Settings, environ: Mapping[str, str]) -> Probed:
    """Returns what the configured store does, once what was tried there is removed.

    Raises:
        StoreError: it cannot be read or written at all.
    """
    return probing.probe(lambda: open_configured(settings, environ))


def gc(  # noqa: PLR0913 - what the command line has
    settings: Settings,
    environ: Mapping[str, str],
    *,
    delete: bool = False,
    grace: float = GRACE.total_seconds(),
    forget: float | None = None,
    keep_runs: int = 0,
) -> Collected:
    """Returns what of the configured store nothing leads to, once it is removed if `delete` says so.

    Args:
        settings: name the store.
        environ: of the user.
        delete: removes it.
        grace: seconds for which what nothing leads to stays.
        forget: seconds after which runs about which nothing was written are forgotten; None forgets none.
        keep_runs: the number of runs, the youngest ones, that are not forgotten.

    Raises:
        UsageError: a time is negative or longer than a century, or `keep_runs` has no effect.
        StoreError: the store has another format, or something in it cannot be read: nothing is removed.
        BundleError: the manifest of a bundle is damaged: nothing is removed.
    """
    if not all(0 <= each <= _CENTURY for each in (grace, forget or 0.0)):
        raise UsageError("gc takes times from 0 to 36500 days")
    if keep_runs and forget is None:
        raise UsageError(
            "--keep-runs has no effect: no run is forgotten", hint="add `--forget-runs-older-than 90d`"
        )
    older = None if forget is None else timedelta(seconds=forget)
    policy = Policy(timedelta(seconds=grace), older, keep_runs)
    store = open_configured(settings, environ)
    try:
        return collect(store, policy, delete=delete)
    finally:
        if delete:
            with contextlib.suppress(StoreError):
                forget_marks(store, Cache(cache_directory(environ)))
