"""The effective path of a target's driver on this machine, and the one that the boot sets for its bundle."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from raybundle.model import ScriptTarget
from raybundle.pipeline.viewing.values import Entry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from raybundle.bundle.values import Manifest
    from raybundle.model import Interpreter, Resolution


def path_here(resolution: Resolution) -> tuple[Entry, ...]:
    """Returns the driver's path: the roots of the bundle, and what the interpreter has besides them."""
    interpreter = resolution.interpreter
    directories = {root.symbol: str(root.directory) for root in resolution.roots}
    path: list[Entry] = []
    for symbol in resolution.path:
        if symbol == "stdlib":
            path += [Entry(each, "stdlib") for each in interpreter.stdlib]
        elif symbol in directories:
            path.append(Entry(directories[symbol], symbol))
    return tuple(_with_others(path, interpreter))


def path_of_interpreter(interpreter: Interpreter) -> tuple[Entry, ...]:
    """Returns the path of an interpreter without a target."""
    return tuple(_with_others([], interpreter))


def _with_others(path: list[Entry], interpreter: Interpreter) -> list[Entry]:
    """Adds what the interpreter has on its path and the bundle does not need, each where Python has it."""
    place = 0
    for each in interpreter.path:
        known = next((index for index, entry in enumerate(path) if _same(entry.path, each)), None)
        if known is not None:
            place = max(place, known + 1)
        elif os.path.exists(each):  # noqa: PTH110 - an entry is a string
            kind = "stdlib" if each in interpreter.stdlib else "PYTHONPATH or .pth"
            path.insert(place, Entry(each, "site-packages" if each in interpreter.site else kind))
            place += 1
    return [entry for entry in path if os.path.exists(entry.path)]  # noqa: PTH110 - as above


def _same(one: str, other: str) -> bool:
    return one == other or os.path.realpath(one) == os.path.realpath(other)


def path_of_boot(manifest: Manifest, digest: str) -> tuple[Entry, ...]:
    """Returns what the boot will set; UID is the user's there, and empty is what only the node knows."""
    tree = f"/tmp/raybundle-UID/trees/{digest.partition(':')[2]}"  # noqa: S108 - where nodes keep bundles
    path = []
    for symbol in manifest.path:
        root, _, rest = symbol.partition(":")
        if root == "project":
            place = os.path.normpath(f"{tree}/project/{rest}")
        elif root == "root":
            number, _, below = rest.partition(":")
            place = os.path.normpath(f"{tree}/root-{number}/{below}")
        else:
            place = ""
        path.append(Entry(place, symbol))
    return tuple(path)


def edits_of(resolution: Resolution, declared: Sequence[str], directory: str) -> list[tuple[str, bool]]:
    """Returns the roots that the driver's own code puts on its path, as `sys.path` of a copy would have them.

    Args:
        resolution: of the target.
        declared: directories of the setting `roots`, which plain Ray does not know.
        directory: that is sent; a root below it is relative.

    Returns:
        Each with whether it is before the standard library.
    """
    known = {os.path.realpath(each) for each in (*resolution.interpreter.path, *declared)}
    if isinstance(resolution.target, ScriptTarget):
        known.add(os.path.realpath(resolution.target.path.parent))
    else:
        known.add(os.path.realpath(directory))
    symbols: list[str] = list(resolution.path)
    library = symbols.index("stdlib") if "stdlib" in symbols else len(symbols)
    added = [
        (_relative(str(root.directory), directory), symbols.index(root.symbol) < library)
        for root in resolution.roots
        if root.symbol in symbols and not root.source and os.path.realpath(root.directory) not in known
    ]
    # Each that comes first is inserted before the one above, so the last of them is done first.
    return [each for each in reversed(added) if each[1]] + [each for each in added if not each[1]]


def _relative(path: str, directory: str) -> str:
    inside = os.path.relpath(path, directory)
    return path if Path(inside).parts[0] == os.pardir else inside
