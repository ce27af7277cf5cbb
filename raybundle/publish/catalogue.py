"""Lists the bundles of a store."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from raybundle.errors import UNREADABLE, ObjectMissingError, StoreError
from raybundle.publish import layout
from raybundle.publish.keeping import lease
from raybundle.publish.names import READERS, all_names, record_name
from raybundle.publish.refs import look_up

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from raybundle.model import Digest
    from raybundle.publish.names import Named
    from raybundle.store.base import Entry, Store

_GONE = "build it again from its sources"


@dataclass(frozen=True, slots=True)
class Listed:
    """A bundle of a store, as its manifest and its names describe it."""

    digest: Digest
    created: datetime
    """When the store got it, in UTC."""
    names: tuple[Named, ...]
    target: str | None = None
    """`job.py` or `-m pkg.job`; None if the manifest cannot be read."""
    python: str | None = None
    files: int = 0
    layers: int = 0


def list_bundles(store: Store) -> tuple[Listed, ...]:
    """Returns the bundles of a store, the oldest first.

    Raises:
        StoreError: the store has another format, or cannot be used.
    """
    layout.require_format(store)
    found = ((layout.bundle_of(each.key), each) for each in store.entries("bundles/"))
    manifests = [(digest, entry) for digest, entry in found if digest is not None]
    names = all_names(store)
    with ThreadPoolExecutor(READERS) as pool:
        listed = list(pool.map(lambda each: _listed(store, each[0], each[1], names), manifests))
    return tuple(sorted(listed, key=lambda each: (each.created, each.digest)))


def tag_bundle(
    store: Store, ref: str, name: str, warn: Callable[[str], None] = lambda _text: None
) -> tuple[Digest, int]:
    """Makes a name point to a bundle, and returns the bundle and its version under that name.

    Raises:
        UsageError: the REF or the name cannot be one.
        ObjectMissingError: the store has no such bundle.
    """
    layout.check_name(name)
    layout.require_format(store)
    digest = look_up(store, ref)
    lease(store, digest)
    if store.size(layout.manifest_key(digest)) is None:
        raise ObjectMissingError(f"{ref} is {digest}, which {store.url} does not have", hint=_GONE)
    return digest, record_name(store, name, digest, warn)


def _listed(store: Store, digest: Digest, entry: Entry, names: dict[Digest, list[Named]]) -> Listed:
    listed = Listed(digest, entry.modified, tuple(names.get(digest, ())))
    try:
        manifest = json.loads(store.get(entry.key))
        python = f"{manifest['python']['implementation']} {manifest['python']['minor']}"
        counts = len(manifest["files"]), len(manifest["layers"])
        return replace(
            listed, target=_target(manifest["target"]), python=python, files=counts[0], layers=counts[1]
        )
    except (StoreError, *UNREADABLE):
        return listed


def _target(target: dict[str, Any]) -> str:
    if "module" in target:
        return f"-m {target['module']}"
    return str(target["script"]).removeprefix("project/")
