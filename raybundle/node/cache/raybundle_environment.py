"""Makes the environment of a bundle: one directory with the files of all its layers, like site-packages.

The files are hard links to the unpacked layers, so bundles share common layers. If two layers have the same
path, the layer whose digest sorts first provides the file. So an environment depends only on its layers, not
on their names or their order.
"""

from __future__ import annotations

import errno
import os
import shutil

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType

CANNOT_LINK = (errno.EXDEV, errno.EMLINK, errno.EPERM)
"""Another file system, too many links to a file, or links not allowed: the file is copied instead."""
BYTE_CODE = "__pycache__"


class Clash(Exception):  # noqa: N818 - it never leaves this file
    """One layer has a file where another has a directory. The argument is the path in the environment."""


def make_environment(record: ModuleType, layers: Mapping[str, str], environment: str) -> str:
    """Makes an environment, and a list of its layers with their sizes.

    Args:
        record: the module `raybundle_record`.
        layers: name and version of each layer, by the absolute path of its unpacked directory.
        environment: the final path; the list is `<environment>.layers`.

    Returns:
        The directory, which does not have its final name yet.

    Raises:
        RuntimeError: one layer has a file where another has a directory.
    """
    partial = f"{environment}.partial"
    os.makedirs(partial, 0o700)
    made = [partial]
    lines = [f"{_add(layer, partial, made, layers)} {os.path.basename(layer)}\n" for layer in sorted(layers)]
    record.replace(f"{environment}.layers", "".join(lines).encode())
    for directory in made:
        os.chmod(directory, 0o500)
    return partial


def _add(layer: str, partial: str, made: list[str], layers: Mapping[str, str]) -> int:
    """Adds a layer to the environment, and returns its bytes."""
    try:
        return _merge(layer, partial, made)
    except Clash as clash:
        raise RuntimeError(_explain(str(clash)[len(partial) + 1 :], layer, layers)) from None


def _explain(path: str, second: str, layers: Mapping[str, str]) -> str:
    """Returns a message that names the two distributions with a file and a directory at one path."""
    first = next(layer for layer in sorted(layers) if os.path.lexists(f"{layer}/{path}"))
    expected, found = (
        ("a directory", "a file") if os.path.isdir(f"{first}/{path}") else ("a file", "a directory")
    )
    return f"file {path}: expected {expected} as in {layers[first]}, found {found} in {layers[second]}"


def _merge(source: str, target: str, made: list[str]) -> int:
    """Links everything in `source` into `target`, appends new directories to `made`, returns the bytes."""
    total = 0
    linked: set[str] = set()
    folders: list[str] = []
    for entry in os.scandir(source):
        if entry.is_dir(follow_symlinks=False):
            folders.append(entry.name)
            continue
        total += entry.stat(follow_symlinks=False).st_size
        if _link(entry.path, f"{target}/{entry.name}"):
            linked.add(entry.name)
    for name in folders:
        if name == BYTE_CODE:
            total += _merge_byte_code(f"{source}/{name}", f"{target}/{name}", linked, made)
        else:
            _make_directory(f"{target}/{name}", made)
            total += _merge(f"{source}/{name}", f"{target}/{name}", made)
    return total


def _merge_byte_code(source: str, target: str, linked: set[str], made: list[str]) -> int:
    """Links byte-code whose source is from the same layer, so a module never runs another's byte-code."""
    total = 0
    _make_directory(target, made)
    for entry in os.scandir(source):
        total += entry.stat(follow_symlinks=False).st_size
        if f"{entry.name.split('.', 1)[0]}.py" in linked:
            _link(entry.path, f"{target}/{entry.name}")
    return total


def _make_directory(path: str, made: list[str]) -> None:
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        if not os.path.isdir(path):
            raise Clash(path) from None
    else:
        made.append(path)


def _link(source: str, target: str) -> bool:
    try:
        os.link(source, target)
    except FileExistsError:
        if os.path.isdir(target):
            raise Clash(target) from None
        return False
    except OSError as error:
        if error.errno not in CANNOT_LINK:
            raise
        shutil.copy2(source, target)
    return True
