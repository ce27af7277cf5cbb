"""Makes the verified tree of a bundle on a node: once, under a lock, each file hashed, all or nothing.

Ray's unpacked archive is the source, never the place to run from: anybody's job may write to it. Runs once
per node and bundle, so it may import what it needs of the standard library.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from hashlib import sha256
from importlib import _bootstrap_external as import_system

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    Manifest = dict[str, Any]

CACHE_BYTES = 10 << 30
"""Bytes of files in the trees of a node, before the one unused for longest is removed."""


def materialise(stub: Any, tree: str) -> None:
    """Makes the directory `tree`, and the boot beside it, from the unpacked archive, unless they are there.

    Raises:
        RuntimeError: a file of the archive is not what the manifest says, or cannot be read or written.
    """
    import fcntl  # here, because a client on Windows reads `member_name` from this file

    _make_private(stub)
    with open(f"{stub.PRIVATE}/materialise.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        archive = os.environ["RAYBUNDLE_SCRATCH"]
        _remove_leftovers(stub)
        _install_boot(stub)
        if os.path.exists(f"{tree}/record"):
            return
        manifest = _read_manifest(archive)
        _evict(f"{stub.PRIVATE}/trees", CACHE_BYTES - _size(manifest))
        try:
            _make_tree(manifest, archive, f"{tree}.partial")
        except OSError as error:
            _remove_tree(f"{tree}.partial")
            raise RuntimeError(f"file {error.filename or tree}: {error.strerror}") from error
        os.rename(f"{tree}.partial", tree)


def _make_private(stub: Any) -> None:
    for directory in (stub.PRIVATE, f"{stub.PRIVATE}/trees", f"{stub.PRIVATE}/boot", f"{stub.PRIVATE}/links"):
        try:
            os.mkdir(directory, 0o700)
        except FileExistsError:
            pass
        if not stub.is_private(directory):
            raise RuntimeError(
                f"file {directory}: expected a directory of user {os.getuid()} with mode 0700, found another"
            )


def _read_manifest(archive: str) -> Manifest:
    file = f"{archive}/.raybundle/manifest.json"
    data = _read(file)
    found, expected = f"sha256:{sha256(data).hexdigest()}", os.environ["RAYBUNDLE_DIGEST"]
    if found != expected:
        raise RuntimeError(f"file {file}: expected {expected}, found {found}")
    manifest: Manifest = json.loads(data)
    if manifest["format"] != 1:
        raise RuntimeError(f"file {file}: expected format 1, found format {manifest['format']}")
    for path in [file["path"] for file in manifest["files"]] + manifest["path"]:
        if ".." in path.replace(":", "/").split("/"):
            raise RuntimeError(f"file {file}: expected paths below the tree, found {path}")
    return manifest


def _read(file: str) -> bytes:
    try:
        with open(file, "rb") as stream:
            return stream.read()
    except FileNotFoundError:
        raise RuntimeError(f"file {file}: expected a file, found none") from None


def _size(manifest: Manifest) -> int:
    return sum(int(file["size"]) for file in manifest["files"])


def member_name(path: str) -> str:
    """Returns where the file `path` of a bundle lies in its archive.

    Project files lie at the top, because the unpacked archive is the job's working directory; what would
    collide with the boot, and the files of other roots, lie under `.raybundle/`.
    """
    folder, _, rest = path.partition("/")
    first = rest.split("/", 1)[0]
    if folder == "project" and first != ".raybundle" and first.split(".", 1)[0] != "sitecustomize":
        return rest
    return f".raybundle/{path}"


def _make_tree(manifest: Manifest, archive: str, partial: str) -> None:
    os.makedirs(f"{partial}/project", 0o700)
    made: set[str] = set()
    for file in manifest["files"]:
        data = _verified(file, f"{archive}/{member_name(file['path'])}")
        target = f"{partial}/{file['path']}"
        directory = os.path.dirname(target)
        if directory not in made:
            os.makedirs(directory, 0o700, exist_ok=True)
            made.add(directory)
        descriptor = os.open(
            target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o500 if file["executable"] else 0o400
        )
        with open(descriptor, "wb") as stream:
            stream.write(data)
        if target.endswith(".py"):
            _compile(data, target, target.replace(".partial/", "/", 1))
    for directory, _, _ in os.walk(partial):
        os.chmod(directory, 0o500)
    os.chmod(partial, 0o700)
    with open(f"{partial}/record", "w", encoding="utf-8") as stream:
        stream.writelines(f"{line}\n" for line in _record(manifest))


def _compile(data: bytes, target: str, final: str) -> None:
    """Writes the byte-code of a verified source beside it, for the place where it will stand."""
    try:
        code = compile(data, final, "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return  # whoever imports it is told by Python
    status = os.stat(target)
    byte_code = import_system._code_to_timestamp_pyc(  # type: ignore[attr-defined]
        code, int(status.st_mtime), status.st_size
    )
    file = import_system.cache_from_source(target)
    os.makedirs(os.path.dirname(file), 0o700, exist_ok=True)
    with open(file, "wb") as stream:
        stream.write(byte_code)


def _remove_leftovers(stub: Any) -> None:
    """Removes what processes left that were killed while they held the lock."""
    for parent in ("trees", "boot"):
        for entry in os.scandir(f"{stub.PRIVATE}/{parent}"):
            if entry.name.endswith((".partial", ".evicted")):
                _remove_tree(entry.path)


def _remove_tree(tree: str) -> None:
    for directory, folders, _ in os.walk(tree):
        for folder in folders:
            os.chmod(f"{directory}/{folder}", 0o700)
    shutil.rmtree(tree, ignore_errors=True)


def _verified(file: dict[str, Any], source: str) -> bytes:
    data = _read(source)
    found = sha256(data).hexdigest()
    if found != file["sha256"]:
        raise RuntimeError(f"file {file['path']}: expected sha256 {file['sha256']}, found {found}")
    return data


def _record(manifest: Manifest) -> Iterator[str]:
    """Yields what the warm boot needs of the manifest, in lines that it reads without a parser."""
    yield f"python {manifest['python']['implementation']} {manifest['python']['minor']}"
    yield from (f"path {symbol}" for symbol in manifest["path"])
    yield from (f"provided {item['name']} {item['version']}" for item in manifest["provided"])
    yield f"bytes {_size(manifest)}"
    if any(_is_sitecustomize(file["path"], manifest["path"]) for file in manifest["files"]):
        yield "sitecustomize yes"


def _is_sitecustomize(path: str, symbols: list[str]) -> bool:
    directory, _, name = path.removesuffix("/__init__.py").rpartition("/")
    if name not in ("sitecustomize", "sitecustomize.py"):
        return False
    folder, _, below = directory.partition("/")
    if folder == "project":
        return f"project:{below or '.'}" in symbols
    symbol = folder.replace("-", ":", 1)
    return (f"{symbol}:{below}" if below else symbol) in symbols


def _install_boot(stub: Any) -> None:
    """Copies the boot to where later processes take it from; they cannot be reached by what a job writes."""
    target = f"{stub.PRIVATE}/boot/{os.environ['RAYBUNDLE_BOOT']}"
    if os.path.exists(target):
        return
    files = stub.read_boot()
    os.mkdir(f"{target}.partial", 0o700)
    for name, data in files.items():
        with open(f"{target}.partial/{name}", "wb") as stream:
            stream.write(data)
    os.rename(f"{target}.partial", target)


def _evict(trees: str, allowed: int) -> None:
    """Removes trees that no process holds, oldest use first, until `allowed` bytes are left."""
    sizes = {}
    for entry in os.scandir(trees):
        if entry.name.endswith(".lock"):
            tree = entry.path.removesuffix(".lock")
            sizes[tree] = (entry.stat().st_mtime_ns, _recorded_bytes(tree))
    total = sum(size for _, size in sizes.values())
    for tree in sorted(sizes, key=lambda tree: sizes[tree]):
        if total <= allowed:
            return
        if _remove_unused(tree):
            total -= sizes[tree][1]


def _recorded_bytes(tree: str) -> int:
    try:
        with open(f"{tree}/record", encoding="utf-8") as stream:
            return next((int(line[6:]) for line in stream if line.startswith("bytes ")), 0)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTDIR):
            raise
        return 0


def _remove_unused(tree: str) -> bool:
    import fcntl

    with open(f"{tree}.lock", "r+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        if os.path.exists(tree):
            os.rename(tree, f"{tree}.evicted")
            _remove_tree(f"{tree}.evicted")
        return True
