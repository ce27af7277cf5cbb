"""Compares what a job is about to run from with what was recorded when it was made: once per job and node.

If a file has changed, `raybundle_materialise` reads it, and makes it anew if its bytes are wrong.
"""

from __future__ import annotations

import os
import sys
from hashlib import sha256

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from raybundle.node.cache.raybundle_record import Lines
    from raybundle.node.stub import Stub

BYTE_CODE = "__pycache__/"


def check(stub: Stub, tree: str, environment: str) -> None:
    """Makes what has changed of the boot, a tree and its environment (if it has one) anew.

    Raises:
        RuntimeError: it cannot be made anew, because its source has changed too or is gone.
    """
    if not (
        boot_is_unchanged(stub)
        and is_unchanged(stub, tree)
        and (not environment or environment_is_unchanged(stub, environment))
    ):
        stub.load("raybundle_materialise").mend(stub, tree)


def is_unchanged(stub: Stub, directory: str) -> bool:
    """Returns whether a directory and all files below it are in their recorded state."""
    record = stub.load("raybundle_record")
    lines = record.read(directory)
    return lines is not None and not record.differing(directory, lines)


def boot_record(stub: Stub) -> tuple[str, str]:
    """Returns the directory of the boot and the name of its record, which is of one kind of interpreter."""
    boot = f"{stub.PRIVATE}/boot/{os.environ['RAYBUNDLE_BOOT']}"
    return boot, f"{boot}.{sys.implementation.cache_tag}"


def boot_is_unchanged(stub: Stub) -> bool:
    """Returns whether the boot in the cache is as it was installed for this kind of interpreter."""
    record = stub.load("raybundle_record")
    boot, name = boot_record(stub)
    lines = record.read(name)
    return lines is not None and not record.differing(boot, lines)


def environment_is_unchanged(stub: Stub, environment: str) -> bool:
    """Returns whether an environment has the recorded files of its layers, and nothing else."""
    lines = environment_lines(stub, environment)
    return lines is not None and not stub.load("raybundle_record").differing(environment, lines)


def environment_is_right(stub: Stub, environment: str) -> bool:
    """Returns the same after a second look, which removes what was added to it."""
    record = stub.load("raybundle_record")
    lines, own = environment_lines(stub, environment), record.read(environment)
    return lines is not None and own is not None and record.renew(environment, lines, own)


def environment_lines(stub: Stub, environment: str) -> Lines | None:
    """Returns the state of each file of an environment; None if the records do not tell.

    Most files are links to those of the layers. The records of the layers have their state, which changes
    with each link that is made or removed. The environment's own record has the directories and copies.
    """
    record = stub.load("raybundle_record")
    own = record.read(environment)
    layers = stub.load("raybundle_evict").layers_of(environment)
    if own is None or environment_key(layers) != os.path.basename(environment):
        return None
    lines: Lines = {}
    for layer in sorted(layers):
        of_layer = record.read(layer)
        if of_layer is None:
            return None
        _merge(lines, of_layer)
    lines.update(own)
    return lines


def environment_key(layers: Iterable[str]) -> str:
    """Returns the name of an environment: a digest of the names of its layers' directories."""
    names = sorted(f"{os.path.basename(each)}\n" for each in layers)
    return sha256("".join(names).encode()).hexdigest()


def _merge(lines: Lines, of_layer: Lines) -> None:
    """Adds the files of a layer by the rules of `raybundle_environment`."""
    linked = {path for path, line in of_layer.items() if line[1] != "-" and path not in lines}
    for path, line in of_layer.items():
        if path in linked and (BYTE_CODE not in path or _source_of(path) in linked):
            lines[path] = line


def _source_of(byte_code: str) -> str:
    folder, _, name = byte_code.rpartition(BYTE_CODE)
    return f"{folder}{name.split('.', 1)[0]}.py"


def record_environment(stub: Stub, environment: str, layers: Collection[str], *, synced: bool) -> None:
    """Records the directories of an environment, and its files that are not links to a layer's."""
    record = stub.load("raybundle_record")
    inodes = {state.split(" ")[3] for layer in layers for state, _ in (record.read(layer) or {}).values()}
    own = {}
    for path in record.below(environment):
        file = f"{environment}/{path}"
        state = record.describe(os.lstat(file))
        if state.startswith("- ") or state.split(" ")[3] not in inodes:
            own[path] = state, record.digest(file)
    record.write(environment, own, synced=synced)
