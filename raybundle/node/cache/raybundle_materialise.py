"""Makes the directories that a bundle runs from on a node: once, under a lock, each file verified.

These are the verified tree of the project and, if the bundle has layers, their environment. Jobs never run
from the archives that Ray unpacked, because any job on the node may write to them. Runs once per node and
bundle, so it may import any module of the standard library.
"""

from __future__ import annotations

import json
import os
from hashlib import sha256
from importlib import _bootstrap_external as import_system

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from raybundle.node.cache.raybundle_layers import Layer
    from raybundle.node.stub import Stub

    Manifest = dict[str, Any]
    Record = dict[str, Any]

FOLDERS = ("trees", "boot", "links", "layers", "environments", "jobs")
"""Folders of the cache; only this user can read and write them."""


def materialise(stub: Stub, tree: str, take: Callable[[Stub, str], Record | None]) -> Record | None:
    """Makes the tree, its environment and the copy of the boot from what Ray unpacked, if they are missing.

    Args:
        stub: the module `sitecustomize`.
        tree: absolute path.
        take: locks the finished tree and returns its record. It runs before this function gives up its own
            lock, so another process cannot evict the tree in between.

    Returns:
        What `take` returned.

    Raises:
        RuntimeError: a file does not match the manifest, or cannot be read or written.
    """
    import fcntl  # here, because a client on Windows imports `member_name` from this file

    _make_private(stub)
    evict = stub.load("raybundle_evict")
    with open(f"{stub.PRIVATE}/materialise.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        evict.remove_leftovers(stub.PRIVATE)
        try:
            _install_boot(stub)
            taken = take(stub, tree)
            if taken is None:
                _make_all(stub, tree)
                taken = take(stub, tree)
        except OSError as error:
            message = f"file {error.filename or tree}: {_explain(error, stub.PRIVATE)}"
            evict.remove_leftovers(stub.PRIVATE)
            raise RuntimeError(message) from error
        except Exception:  # such as a KeyError from a malformed manifest
            evict.remove_leftovers(stub.PRIVATE)
            raise
    return taken


def _explain(error: OSError, private: str) -> str:
    status = os.statvfs(private)
    return f"{error.strerror} ({status.f_bavail * status.f_frsize >> 20} MiB are free in {private})"


def _make_all(stub: Stub, tree: str) -> None:
    """Makes the missing layers, environment and tree, in this order."""
    archive = os.environ["RAYBUNDLE_ARCHIVE"]
    manifest = _read_manifest(archive)
    stub.load("raybundle_boot").check_python(_python(manifest))
    delivery: dict[str, Any] = {}
    if "RAYBUNDLE_DELIVERY" in os.environ:
        expected = f"sha256:{os.environ['RAYBUNDLE_DELIVERY']}"
        delivery = _read_document(f"{archive}/.raybundle/delivery.json", expected)
    layers = [
        stub.load("raybundle_layers").Layer(stub.PRIVATE, each, delivery) for each in manifest["layers"]
    ]
    environment = _environment_key(layers) if layers else None
    is_new = not os.path.exists(f"{tree}/record")
    needed = _size(manifest) if is_new else 0
    if environment:
        _make_environment(stub, layers, environment, tree, needed)
    else:
        stub.load("raybundle_evict").make_room(stub.PRIVATE, needed, [tree])
    if is_new:
        _make_tree(manifest, archive, f"{tree}.partial", _record(manifest, environment))
        _write_absent(f"{tree}.partial/absent", delivery.get("absent", {}))
        paths = [_on_disk(file["path"]) for file in manifest["files"]]
        stub.load("raybundle_fill").record_files(f"{tree}.partial", paths, f"{tree}.partial/files")
        os.rename(f"{tree}.partial", tree)
    else:  # the tree is from a submission with another delivery, or its environment was removed
        _write_absent(f"{tree}/absent.new", delivery.get("absent", {}))
        os.replace(f"{tree}/absent.new", f"{tree}/absent")
        _write_record(f"{tree}/record.new", _record(manifest, environment))
        os.replace(f"{tree}/record.new", f"{tree}/record")


def _make_environment(stub: Stub, layers: list[Layer], key: str, tree: str, needed: int) -> None:
    """Makes the missing layers and the environment `key`, after room for them and `needed` more bytes."""
    module = stub.load("raybundle_layers")
    environment = f"{stub.PRIVATE}/environments/{key}"
    with module.Missing([each for each in layers if not os.path.exists(each.directory)]) as missing:
        keep = (tree, environment, *(each.directory for each in layers))
        stub.load("raybundle_evict").make_room(stub.PRIVATE, needed + missing.bytes, keep)
        module.unpack(stub, missing)
    if not os.path.exists(environment):
        titles = {each.directory: each.title for each in layers}
        stub.load("raybundle_environment").make_environment(titles, environment)


def _environment_key(layers: list[Layer]) -> str:
    """Returns the name of an environment: a digest of the names of its layers' directories."""
    lines = sorted(f"{os.path.basename(each.directory)}\n" for each in layers)
    return sha256("".join(lines).encode()).hexdigest()


def _make_private(stub: Stub) -> None:
    for directory in (stub.PRIVATE, *(f"{stub.PRIVATE}/{name}" for name in FOLDERS)):
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
    manifest = _read_document(file, os.environ["RAYBUNDLE_DIGEST"])
    for path in [file["path"] for file in manifest["files"]] + manifest["path"]:
        if ".." in path.replace(":", "/").split("/"):
            raise RuntimeError(f"file {file}: expected paths below the tree, found {path}")
    return manifest


def _read_document(file: str, expected: str) -> dict[str, Any]:
    """Returns the JSON document in `file`, whose bytes must have the digest `expected`."""
    data = _read(file)
    found = f"sha256:{sha256(data).hexdigest()}"
    if found != expected:
        raise RuntimeError(f"file {file}: expected {expected}, found {found}")
    document: dict[str, Any] = json.loads(data)
    if document["format"] != 1:
        raise RuntimeError(f"file {file}: expected format 1, found format {document['format']}")
    return document


def _write_absent(file: str, absent: dict[str, str]) -> None:
    """Writes the lines from which `raybundle_absent` explains failed imports."""
    with open(file, "w", encoding="utf-8") as stream:
        stream.writelines(f"{module} {distribution}\n" for module, distribution in sorted(absent.items()))


def _read(file: str) -> bytes:
    try:
        with open(file, "rb") as stream:
            return stream.read()
    except FileNotFoundError:
        raise RuntimeError(f"file {file}: expected a file, found none") from None


def _size(manifest: Manifest) -> int:
    return sum(int(file["size"]) for file in manifest["files"])


def member_name(path: str) -> str:
    """Returns the name that the file `path` of a bundle has in its archive.

    Project files are at the top, because the unpacked archive is the job's working directory. Files of other
    roots, and files whose names would collide with the boot, are in `.raybundle/`.
    """
    folder, _, rest = path.partition("/")
    first = rest.split("/", 1)[0]
    if folder == "project" and first != ".raybundle" and first.split(".", 1)[0] != "sitecustomize":
        return rest
    return f".raybundle/{path}"


def _make_tree(manifest: Manifest, archive: str, partial: str, record: Iterator[str]) -> None:
    os.makedirs(f"{partial}/project", 0o700)
    made: set[str] = set()
    for file in manifest["files"]:
        data = _verified(file, _source(archive, file["path"]))
        target = f"{partial}/{_on_disk(file['path'])}"
        directory = os.path.dirname(target)
        if directory not in made:
            os.makedirs(directory, 0o700, exist_ok=True)
            made.add(directory)
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _mode(file))
        with open(descriptor, "wb") as stream:
            stream.write(data)
        if target.endswith(".py"):
            _compile(data, target, target.replace(".partial/", "/", 1))
    for directory, _, _ in os.walk(partial):
        os.chmod(directory, 0o500)
    os.chmod(partial, 0o700)
    _write_record(f"{partial}/record", record)


def restore(stub: Stub, tree: str) -> None:
    """Rewrites the files of a tree that no longer match the manifest.

    Raises:
        RuntimeError: a file that Ray unpacked does not match the manifest either.
    """
    import fcntl

    archive = os.environ["RAYBUNDLE_ARCHIVE"]
    manifest = _read_manifest(archive)
    with open(f"{stub.PRIVATE}/materialise.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for file in manifest["files"]:
            target = f"{tree}/{_on_disk(file['path'])}"
            if not _is_right(file, target):
                _write_anew(file, _verified(file, _source(archive, file["path"])), target)
        paths = [_on_disk(file["path"]) for file in manifest["files"]]
        stub.load("raybundle_fill").record_files(tree, paths, f"{tree}/files.new")
        os.replace(f"{tree}/files.new", f"{tree}/files")


def _is_right(file: dict[str, Any], target: str) -> bool:
    if os.path.islink(target) or not os.path.isfile(target):
        return False
    os.chmod(target, _mode(file))
    return sha256(_read(target)).hexdigest() == str(file["sha256"])


def _mode(file: dict[str, Any]) -> int:
    return 0o500 if file["executable"] else 0o400


def _write_anew(file: dict[str, Any], data: bytes, target: str) -> None:
    """Replaces a changed file and its byte-code."""
    directory = os.path.dirname(target)
    folders = [directory, f"{directory}/__pycache__"][: 1 + target.endswith(".py")]
    for folder in folders:
        os.makedirs(folder, 0o700, exist_ok=True)
        os.chmod(folder, 0o700)
    with open(os.open(f"{target}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _mode(file)), "wb") as stream:
        stream.write(data)
    os.replace(f"{target}.new", target)
    if target.endswith(".py"):
        _compile(data, target, target)
    for folder in folders:
        os.chmod(folder, 0o500)


def _source(archive: str, path: str) -> str:
    """Returns where Ray has unpacked a file, whose name is in UTF-8 or in the locale of Ray's agent."""
    name = member_name(path)
    named = f"{archive}/{_on_disk(name)}", f"{archive}/{name}"
    return next(filter(os.path.exists, named), named[0])


def _on_disk(path: str) -> str:
    """Returns `path` for the file functions of this process. Names on the disk are UTF-8 in any locale."""
    return os.fsdecode(path.encode())


def _write_record(file: str, record: Iterator[str]) -> None:
    with open(file, "w", encoding="utf-8") as stream:
        stream.writelines(f"{line}\n" for line in record)


def _compile(data: bytes, target: str, final: str) -> None:
    """Writes the byte-code of a verified source beside it. Tracebacks name the source `final`."""
    try:
        code = compile(data, final, "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return  # an import of it shows the error
    status = os.stat(target)
    byte_code = import_system._code_to_timestamp_pyc(  # type: ignore[attr-defined]
        code, int(status.st_mtime), status.st_size
    )
    file = import_system.cache_from_source(target)
    os.makedirs(os.path.dirname(file), 0o700, exist_ok=True)
    with open(file, "wb") as stream:
        stream.write(byte_code)


def _verified(file: dict[str, Any], source: str) -> bytes:
    data = _read(source)
    found = sha256(data).hexdigest()
    if found != file["sha256"]:
        raise RuntimeError(f"file {file['path']}: expected sha256 {file['sha256']}, found {found}")
    return data


def _python(manifest: Manifest) -> dict[str, str]:
    """Returns the required Python, ABI and platform, under their names in the record."""
    python = manifest["python"]
    asked = {name: python[name] for name in ("abi", "platform") if name in python}
    return {"python": f"{python['implementation']} {python['minor']}", **asked}


def _record(manifest: Manifest, environment: str | None) -> Iterator[str]:
    """Yields the lines of the record: what the warm boot needs of the manifest, to read without a parser."""
    yield from (f"{name} {value}" for name, value in _python(manifest).items())
    if environment:
        yield f"environment {environment}"
    if "RAYBUNDLE_DELIVERY" in os.environ:
        yield f"delivery {os.environ['RAYBUNDLE_DELIVERY']}"
    yield from (f"path {symbol}" for symbol in manifest["path"])
    yield from (
        f"provided {item['name']} {item.get('version', '')}".rstrip() for item in manifest["provided"]
    )
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


def _install_boot(stub: Stub) -> None:
    """Copies the verified boot to the private cache, where later processes load it from."""
    target = f"{stub.PRIVATE}/boot/{os.environ['RAYBUNDLE_BOOT']}"
    if os.path.exists(target):
        return
    files = stub.read_boot()
    os.mkdir(f"{target}.partial", 0o700)
    for name, data in files.items():
        with open(f"{target}.partial/{name}", "wb") as stream:
            stream.write(data)
    os.rename(f"{target}.partial", target)
