"""Remembers on this machine the highest version of each name that was seen with a trusted signature."""

from __future__ import annotations

import fcntl
import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from raybundle.directories import NotRegularError, make_own, open_lock, read_own, user_directory
from raybundle.errors import UNREADABLE, UntrustedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from raybundle.model import Digest
    from raybundle.store.base import Store

LARGEST = 64 << 20
"""Bytes of the largest memory that is read."""


def remember(  # noqa: PLR0913 - a store, and a version of a name in it
    store: Store, name: str, version: int, digest: Digest, environ: Mapping[str, str], *, moving: bool
) -> None:
    """Notes a version of a name, which a trusted key has signed.

    Args:
        store: that has it.
        name: without the version.
        version: the version.
        digest: of its bundle.
        environ: of the user.
        moving: the REF names no version, and so asks for the highest.

    Raises:
        UntrustedError: this machine has seen a higher version, or another bundle under this one; or it cannot
            remember anything.
    """
    file = user_directory(environ, "XDG_STATE_HOME", ".local/state") / "raybundle" / "versions.json"
    own, where = f"{name}@{version}", store.url
    try:
        make_own(file.parent)
        with _locked(file) as known:
            seen = known.setdefault(store.place, {}).get(name, {"version": 0, "bundle": ""})
            if moving and version < seen["version"]:
                raise UntrustedError(
                    f"{name} is version {version} in {where}, and this machine has seen {seen['version']}",
                    hint=f"someone has rolled it back: ask who; {own} runs that version nevertheless",
                )
            if version == seen["version"] and digest != seen["bundle"]:
                raise UntrustedError(
                    f"{own} is {digest} in {where}, and this machine has seen {seen['bundle']}",
                    hint="a version never changes: ask who signed it twice",
                )
            if version > seen["version"]:
                known[store.place][name] = {"version": version, "bundle": digest}
    except OSError as error:
        raise UntrustedError(
            f"cannot remember versions in {file}: {error.strerror}",
            hint="set XDG_STATE_HOME to a directory that is kept, or name a digest",
        ) from error


@contextmanager
def _locked(file: Path) -> Iterator[dict[str, Any]]:
    """Yields what is remembered, and writes it if the block changes it; one process at a time."""
    with open_lock(file.parent / f"{file.name}.lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            data = read_own(file, LARGEST)
            known: dict[str, Any] = json.loads(data)["stores"]
            for versions in known.values():
                for each in versions.values():
                    if not (isinstance(each["version"], int) and isinstance(each["bundle"], str)):
                        raise TypeError(each)
        except (NotRegularError, *UNREADABLE) as error:
            raise UntrustedError(
                f"{file} is damaged", hint="remove it: versions are remembered anew"
            ) from error
        except FileNotFoundError:
            data, known = b"", {}
        yield known
        written = json.dumps({"schema_version": 1, "stores": known}, indent=1, sort_keys=True).encode()
        if written != data:
            partial = file.with_suffix(".new")
            partial.write_bytes(written)
            partial.replace(file)
