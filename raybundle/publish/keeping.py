"""Keeps what a submission needs while `gc` removes objects: leases, notices, and a last look (decision 030).

The steps are those of the model in tests/unit/test_gc_model.py: a submitter puts, leases, looks, records,
rechecks and submits; a collector lists, gives notice, lists again, removes, and ends its notice.
"""

from __future__ import annotations

import re
import secrets
import time
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from raybundle.errors import ObjectMissingError
from raybundle.formats.canonical import canonical_json, read_digest
from raybundle.publish.layout import FORMAT, find_sizes, layer_key, manifest_key, read_object
from raybundle.publish.stored import data_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from raybundle.bundle.values import Manifest
    from raybundle.model import Digest
    from raybundle.publish.stored import Stored
    from raybundle.store.base import Chunks, Entry, Store

LEASES, NOTICES = "leases/", "gc/"
_NOTICE = re.compile(NOTICES + r"[0-9a-f]{32}\.json")
"""The keys of notices: what others have put beside them is none."""

GRACE = timedelta(days=14)
"""The age that `gc` leaves to what nothing leads to, unless it is told another."""
LEASE = timedelta(days=1)
"""How long a lease counts at least, whatever grace `gc` is given."""
REMOVING = timedelta(minutes=5)
"""How long a collector removes objects after its notice; then it gives another one."""
NOTICE = timedelta(minutes=30)
"""How long a notice counts: REMOVING, the 15 minutes for which S3 accepts a signed request, and a reserve."""
_POLL = 1.0
"""Seconds between two looks at the notices."""
_TRIES = 3
"""How often what is missing is put again."""


class Lease(NamedTuple):
    """What a submitter takes over from others: it counts as if it were written at the time of the lease."""

    bundle: Digest
    keys: frozenset[str]
    """Of layers and large files; the bundle's own folder is leased as a whole."""


class Reused:
    """A store that notes what is there already and is older than half the grace.

    It delegates everything else, so it is used as a `Store`.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self.old: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def as_store(self) -> Store:
        """Returns this, as the type that it means."""
        return cast("Store", self)

    def entry(self, key: str) -> Entry | None:
        """Notes an object that is old."""
        entry = self._store.entry(key)
        if entry is not None and is_old(entry.modified):
            self.old.add(key)
        return entry

    def size(self, key: str) -> int | None:
        """Looks at the time as well."""
        entry = self.entry(key)
        return None if entry is None else entry.size

    def put_new(self, key: str, data: bytes) -> str | None:
        """Looks at an object that is there already."""
        mark = self._store.put_new(key, data)
        return self._noted(key) if mark is None else mark

    def put_new_chunks(self, key: str, chunks: Chunks) -> str | None:
        """Looks at an object that is there already."""
        mark = self._store.put_new_chunks(key, chunks)
        return self._noted(key) if mark is None else mark

    def _noted(self, key: str) -> str | None:
        self.entry(key)
        return None


def is_old(modified: datetime) -> bool:
    """Whether an object is older than half the grace, by the clock of this machine."""
    return datetime.now(timezone.utc) - modified > GRACE / 2


def needed(digest: Digest, manifest: Manifest, archive: str | None = None) -> tuple[str, ...]:
    """Returns the keys of all that a bundle cannot run without; its archive has one of several names."""
    layers = (layer_key(each.digest) for each in manifest.layers)
    data = (each.key for each in data_of(manifest))
    return (manifest_key(digest), *(() if archive is None else (archive,)), *layers, *data)


def lease(
    store: Store, digest: Digest, keys: Iterable[str] = (), notify: Callable[[str], None] | None = None
) -> None:
    """Leases a bundle, and waits for collectors that may be removing it.

    What is there afterwards stays for `LEASE` at least, and for the grace of `gc`.

    Args:
        store: that has it.
        digest: of the bundle. If its manifest is there, the lease keeps all that it names.
        keys: of what it needs, if its manifest may not be there yet.
        notify: hears of it if there is something to wait for.
    """
    kept = sorted(each for each in keys if not each.startswith("bundles/"))
    key = f"{LEASES}{secrets.token_hex(16)}.json"
    store.put_new(key, canonical_json({"bundle": digest, "format": FORMAT, "keys": kept}))
    look(store, (manifest_key(digest), *kept), key, notify)


def lease_old(store: Store, digest: Digest, notify: Callable[[str], None] | None = None) -> bool:
    """Leases a bundle that is to be run, if its manifest is older than half the grace; returns whether it is.

    A build that wrote a younger one has leased what it took over.
    """
    entry = store.entry(manifest_key(digest))
    if entry is not None and not is_old(entry.modified):
        return False
    lease(store, digest, notify=notify)
    return True


def parse_lease(document: dict[str, Any]) -> Lease:
    """Returns the lease in a document; raises one of `UNREADABLE` if it is another."""
    if document["format"] != FORMAT:
        raise ValueError(document)
    return Lease(read_digest(document["bundle"]), _texts(document["keys"]))


def parse_notice(document: dict[str, Any]) -> frozenset[str]:
    """Returns the keys that a collector is about to remove; raises one of `UNREADABLE`."""
    if document["format"] != FORMAT:
        raise ValueError(document)
    return _texts(document["keys"])


def _texts(items: Any) -> frozenset[str]:
    if not (isinstance(items, list) and all(isinstance(each, str) for each in items)):
        raise TypeError(items)
    return frozenset(items)


def look(
    store: Store, keys: Iterable[str], witness: str, notify: Callable[[str], None] | None = None
) -> None:
    """Waits until no collector removes one of these objects, or another object of the bundle's folder.

    The notice of a collector that died counts until `NOTICE` is over.

    Args:
        store: where they are.
        keys: of the objects, the bundle's manifest among them.
        witness: the key of an object that this client wrote: its time is now, by the clock of the store.
        notify: hears of it, once.
    """
    wanted = frozenset(keys)
    ends: dict[str, float] = {}
    while True:
        left = 0.0
        for entry in store.entries(NOTICES):
            if entry.key not in ends and _NOTICE.fullmatch(entry.key):
                ends[entry.key] = _end_of(store, entry.key, entry.modified, wanted, witness)
            left = max(left, ends.get(entry.key, 0.0) - time.monotonic())
        if left <= 0:
            return
        if notify is not None:
            notify(
                f"a `raybundle gc` is removing objects that this bundle needs: waiting until it ends "
                f"(at most {left / 60:.0f} min)"
            )
            notify = None
        time.sleep(min(_POLL, left))


def _end_of(store: Store, key: str, given: datetime, wanted: frozenset[str], witness: str) -> float:
    """Returns until when a notice counts for these objects, as `time.monotonic()`; 0 if it does not."""
    entry = store.entry(witness)
    passed = timedelta(0) if entry is None else max(timedelta(0), entry.modified - given)
    if passed >= NOTICE:
        return 0.0
    try:
        named = read_object(store, key, parse_notice, "remove the object, if no `raybundle gc` runs")
    except ObjectMissingError:  # it has ended
        return 0.0
    folders = tuple(each.rpartition("/")[0] + "/" for each in wanted if each.startswith("bundles/"))
    if not any(each in wanted or each.startswith(folders) for each in named):
        return 0.0
    return time.monotonic() + (NOTICE - passed).total_seconds()


def recheck(store: Store, stored: Stored, root: str, notify: Callable[[str], None] | None = None) -> None:
    """Returns once a bundle is whole to which a name or the record of a run leads now.

    A collector that lists the store from now on leaves the bundle alone. One that listed it before has given
    notice, or lists it again; what it has removed is put again, if the sources are at hand.

    Args:
        store: that holds the bundle.
        stored: the bundle.
        root: the key of the object that leads to it.
        notify: hears of it if there is something to wait for.

    Raises:
        ObjectMissingError: `gc` has removed a part of it, and it cannot be put again.
    """
    keys = (*needed(stored.digest, stored.manifest, stored.archive_key), root)
    for _ in range(_TRIES):
        look(store, keys, root, notify)
        lost = [key for key, size in find_sizes(store, keys).items() if size is None]
        if not lost:
            return
        if stored.again is None:
            break
        made = stored.again()
        if (made.archive_key, made.delivery) != (stored.archive_key, stored.delivery):
            break
    raise ObjectMissingError(
        f"{store.url} has lost {', '.join(lost)} since this command found it",
        hint="did `raybundle gc` run with a shorter grace? Build the bundle again from its sources",
    )
