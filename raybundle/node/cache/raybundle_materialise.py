"""Makes the directories that a bundle runs from on a node: once, under a lock, each file verified.

These are the verified tree of the project and, if the bundle has layers, their environment. Jobs never run
from the archives that Ray unpacked, because any job on the node may write to them. Runs once per node and
bundle, so it may import any module of the standard library.
"""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from hashlib import sha256
from importlib import _bootstrap_external as import_system

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType
    from typing import Any

    from raybundle.node.cache.raybundle_layers import Layer
    from raybundle.node.stub import Stub

    Manifest = dict[str, Any]
    Record = dict[str, Any]

LARGE = 1 << 20
"""As in `raybundle_record`, which the boot loads by its name alone."""
LONGEST_NAME = 255
"""Bytes of a name in a directory; that of byte-code is longer than that of its source."""
FOLDERS = ("trees", "boot", "links", "layers", "environments", "data", "jobs", "fetched")
"""Folders of the cache; only this user can read and write them."""


def materialise(stub: Stub, tree: str, take: Callable[[Stub, str], Record | None]) -> Record | None:
    """Makes the tree, its environment and the copy of the boot, if they are missing.

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
    with _making(stub, tree):
        taken = take(stub, tree)
        if taken is None:
            _make_all(stub, tree)
            taken = take(stub, tree)
    return taken


def mend(stub: Stub, tree: str) -> None:
    """Makes what has changed of a tree, its environment and the boot anew; the caller has locked them.

    Raises:
        RuntimeError: as `materialise` does.
    """
    with _making(stub, tree):
        _make_all(stub, tree)


@contextmanager
def _making(stub: Stub, tree: str) -> Iterator[None]:
    """Lets one process of the node at a time make trees, and removes what is left after a failure."""
    import fcntl  # here, because a client on Windows imports `member_name` from this file

    _make_private(stub)
    evict = stub.load("raybundle_evict")
    with open(f"{stub.PRIVATE}/materialise.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        evict.remove_leftovers(stub)
        try:
            _install_boot(stub)
            yield
        except OSError as error:
            message = f"file {error.filename or tree}: {_explain(error, stub.PRIVATE)}"
            evict.remove_leftovers(stub)
            raise RuntimeError(message) from error
        except Exception:  # such as a KeyError from a malformed manifest
            evict.remove_leftovers(stub)
            raise


def _explain(error: OSError, private: str) -> str:
    status = os.statvfs(private)
    return f"{error.strerror} ({status.f_bavail * status.f_frsize >> 20} MiB are free in {private})"


def _make_all(stub: Stub, tree: str) -> None:
    """Makes the layers, the environment and the tree, in this order, if they are missing or not right."""
    archive = os.environ["RAYBUNDLE_ARCHIVE"]
    manifest, data = _read_manifest(archive)
    stub.load("raybundle_signature").check(data)
    stub.load("raybundle_boot").check_python(_python(manifest))
    delivery: dict[str, Any] = {}
    if "RAYBUNDLE_DELIVERY" in os.environ:
        expected = f"sha256:{os.environ['RAYBUNDLE_DELIVERY']}"
        delivery, _ = _read_document(f"{archive}/.raybundle/delivery.json", expected)
    layers = [
        stub.load("raybundle_layers").Layer(stub.PRIVATE, each, delivery) for each in manifest["layers"]
    ]
    key = stub.load("raybundle_check").environment_key(each.directory for each in layers) if layers else None
    record = stub.load("raybundle_record")
    is_right = record.is_right(tree)
    large = stub.load("raybundle_data").Data(stub, [] if is_right else manifest["files"])
    needed = 0 if is_right else _size(manifest) + large.needed
    keep = [tree, *large.directories]
    if key:
        _make_environment(stub, layers, f"{stub.PRIVATE}/environments/{key}", keep, needed)
    else:
        stub.load("raybundle_evict").make_room(stub, needed, keep)
    large.make()
    absent, lines = delivery.get("absent", {}), _record(manifest, key)
    if is_right:  # the tree may be from a submission with another delivery
        _describe(record, tree, absent, lines)
        record.note(tree, (".", "absent", "record"))
    else:
        known = _make_tree(manifest, archive, tree, large)
        record.replace(f"{tree}.partial/manifest.json", data)
        _describe(record, f"{tree}.partial", absent, lines)
        stub.load("raybundle_place").put(stub, f"{tree}.partial", tree, known, links=True)


def _make_environment(
    stub: Stub, layers: list[Layer], environment: str, kept: list[str], needed: int
) -> None:
    """Makes an environment and its layers, after room for them and `needed` more bytes."""
    record, place, check = (stub.load(f"raybundle_{name}") for name in ("record", "place", "check"))
    fetch, evict = stub.load("raybundle_fetch"), stub.load("raybundle_evict")
    directories = {each.directory: each.title for each in layers}
    keep = (*kept, environment, *directories)
    absent = [each for each in layers if not record.is_right(each.directory)]
    places = stub.load("raybundle_content").find_places()
    wanted = [fetch.Archive(*each) for layer in absent for each in layer.to_fetch(places)]
    if wanted:
        evict.make_room(stub, needed + sum(each.size for each in wanted), keep)
    with (
        fetch.Fetched(stub, wanted, os.environ.get("RAYBUNDLE_SOURCE", ""), in_place=True) as fetched,
        stub.load("raybundle_layers").Missing(stub, absent, fetched) as opened,
    ):
        for layer in absent:
            place.reopen(stub, layer.directory)
        evict.make_room(stub, needed + opened.bytes, keep)
        place.unpack(stub, opened)
    if not check.environment_is_right(stub, environment):
        with record.relinking(directories):
            partial = stub.load("raybundle_environment").make_environment(record, directories, environment)
            synced = record.sync(partial)
            place.place(stub, partial, environment)
        check.record_environment(stub, environment, directories, synced=synced)


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


def _read_manifest(archive: str) -> tuple[Manifest, bytes]:
    file = f"{archive}/.raybundle/manifest.json"
    manifest, data = _read_document(file, os.environ["RAYBUNDLE_DIGEST"])
    for path in [file["path"] for file in manifest["files"]] + manifest["path"]:
        if ".." in path.replace(":", "/").split("/"):
            raise RuntimeError(f"file {file}: expected paths below the tree, found {path}")
    return manifest, data


def _read_document(file: str, expected: str) -> tuple[dict[str, Any], bytes]:
    """Returns the JSON document in `file` and its bytes, which must have the digest `expected`."""
    data = _read(file)
    found = f"sha256:{sha256(data).hexdigest()}"
    if found != expected:
        raise RuntimeError(f"file {file}: expected {expected}, found {found}")
    document: dict[str, Any] = json.loads(data)
    if document["format"] != 1:
        raise RuntimeError(f"file {file}: expected format 1, found format {document['format']}")
    return document, data


def _read(file: str) -> bytes:
    try:
        with open(file, "rb") as stream:
            return stream.read()
    except FileNotFoundError:
        raise RuntimeError(f"file {file}: expected a file, found none") from None


def _size(manifest: Manifest) -> int:
    """Returns the bytes of a tree's own files; its large ones are links to data."""
    return sum(int(file["size"]) for file in manifest["files"] if file["size"] <= LARGE)


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


def _make_tree(manifest: Manifest, archive: str, tree: str, data: Any) -> dict[str, str]:
    """Makes the files of a tree that has no final name yet; returns the SHA-256 of each by its path."""
    partial = f"{tree}.partial"
    os.makedirs(f"{partial}/project", 0o700)
    made: set[str] = set()
    known = {}
    for file in manifest["files"]:
        path = _on_disk(file["path"])
        known[path], target = file["sha256"], f"{partial}/{path}"
        directory = os.path.dirname(target)
        if directory not in made:
            os.makedirs(directory, 0o700, exist_ok=True)
            made.add(directory)
        if file["size"] > LARGE:
            data.place(file, target)
        else:
            _write(_verified(file, _source(archive, file["path"])), target, executable=file["executable"])
        if target.endswith(".py"):
            _compile(_read(target), target, f"{tree}/{path}")
    for directory, _, _ in os.walk(partial):
        os.chmod(directory, 0o500)
    os.chmod(partial, 0o700)
    return known


def _write(data: bytes, target: str, *, executable: bool) -> None:
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o500 if executable else 0o400)
    with open(descriptor, "wb") as stream:
        stream.write(data)


def _describe(record: ModuleType, tree: str, absent: dict[str, str], lines: Iterator[str]) -> None:
    """Writes what depends on the submission: why modules are absent, and what the warm boot reads."""
    written = [f"{module} {distribution}\n" for module, distribution in sorted(absent.items())]
    record.replace(f"{tree}/absent", "".join(written).encode())
    text = "".join(f"{line}\n" for line in lines)
    record.replace(f"{tree}/record", f"{text}checksum {checksum(text)}\n".encode())


def checksum(text: str) -> str:
    """Returns a checksum of the lines of a record before its last one."""
    import _imp  # as the warm boot does, which must not import `hashlib`

    return _imp.source_hash(1, text.encode()).hex()


def _source(archive: str, path: str) -> str:
    """Returns where Ray has unpacked a file, whose name is in UTF-8 or in the locale of Ray's agent."""
    name = member_name(path)
    named = f"{archive}/{_on_disk(name)}", f"{archive}/{name}"
    return next(filter(os.path.exists, named), named[0])


def _on_disk(path: str) -> str:
    """Returns `path` for the file functions of this process. Names on the disk are UTF-8 in any locale."""
    return os.fsdecode(path.encode())


def _compile(data: bytes, target: str, final: str, level: str | None = None) -> None:
    """Writes the byte-code of a verified source beside it. Tracebacks name the source `final`.

    The level of optimisation is this process' own by default.
    """
    try:
        code = compile(
            data, final, "exec", dont_inherit=True, optimize=-1 if level is None else int(level or 0)
        )
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
        return  # an import of it shows the error
    status = os.stat(target)
    byte_code = import_system._code_to_timestamp_pyc(  # type: ignore[attr-defined]
        code, int(status.st_mtime), status.st_size
    )
    file = import_system.cache_from_source(target, optimization=level)
    if len(os.fsencode(os.path.basename(file))) > LONGEST_NAME:
        return  # each import compiles it again
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
    """Returns the required Python, ABI, platform and libc, under their names in the record."""
    python = manifest["python"]
    asked = {name: python[name] for name in ("abi", "platform", "libc") if name in python}
    return {"python": f"{python['implementation']} {python['minor']}", **asked}


def _record(manifest: Manifest, environment: str | None) -> Iterator[str]:
    """Yields the lines of the record: what the warm boot needs of the manifest, to read without a parser."""
    yield from (f"{name} {value}" for name, value in _python(manifest).items())
    if environment:
        yield f"environment {environment}"
    if "RAYBUNDLE_DELIVERY" in os.environ:
        yield f"delivery {os.environ['RAYBUNDLE_DELIVERY']}"
    if os.environ.get("RAYBUNDLE_TRUSTED_KEYS"):
        yield f"trusted {''.join(os.environ['RAYBUNDLE_TRUSTED_KEYS'].split())}"
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
    """Copies the verified boot and its byte-code to the private cache, where later processes find it."""
    check, record = stub.load("raybundle_check"), stub.load("raybundle_record")
    target, name = check.boot_record(stub)
    if check.boot_is_unchanged(stub):
        os.utime(f"{name}.files")  # its last use
        return
    files = stub.read_boot()
    if not record.is_directory(target):
        record.remove(target)
    os.makedirs(f"{target}/__pycache__", 0o700, exist_ok=True)
    for alien in {entry for entry in os.listdir(target) if entry not in (*files, "__pycache__")}:
        record.remove(f"{target}/{alien}")
    for file, data in files.items():
        if record.digest(f"{target}/{file}") != sha256(data).hexdigest():
            record.replace(f"{target}/{file}", data)
    compiled = [*((file, "") for file in files), ("sitecustomize.py", "1"), ("sitecustomize.py", "2")]
    paths = [import_system.cache_from_source(file, optimization=level) for file, level in compiled]
    for path, (file, level) in zip(paths, compiled, strict=True):
        record.remove(f"{target}/{path}")
        _compile(files[file], f"{target}/{file}", f"{target}/{file}", level)
    synced = record.sync(target)
    record.write(name, record.states(target, [".", *files, *paths]), synced=synced)
