"""Byte-code of layers: compiled once by the target interpreter, kept, and shipped beside the layer."""

# Processes and threads are imported where something is compiled: a second build has no use for them.
# ruff: noqa: PLC0415

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import re
import secrets
import stat
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from raybundle.bundle.layers.archive import Member, unwritable, write_archive
from raybundle.bundle.layers.describe import kept_document
from raybundle.bundle.layers.document import is_compiled
from raybundle.cache.room import IN_USE, make_room, touch
from raybundle.directories import is_private, make_private
from raybundle.errors import BundleError
from raybundle.formats.canonical import FORMAT, canonical_json

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator, Sequence

    from raybundle.bundle.layers.layer import Layer
    from raybundle.cache.documents import Cache
    from raybundle.model import Interpreter

THRESHOLD = 1 << 20
"""Bytes of sources from which a layer has its byte-code with it: a node compiles less in 0.25 s, and
has no archive more to fetch for it (docs/decisions/014-packing.md)."""
KEPT_BYTES = 2 << 30
"""Of archives that are kept on this machine."""
MOST_PROCESSES = 4
"""That compile at the same time, if there are as many processors."""
_FOLDER = "byte-code"
_COMPILE = Path(__file__).with_name("_compile.py")
_OPTIONS = ("-s", "-S", "-B", "-W", "ignore")
"""Of the target interpreter: it runs nothing but that file. With `-I`, Python 3.10 orders sets at random."""


@dataclass(frozen=True, slots=True)
class ByteCode:
    """The byte-code of a layer for one kind of interpreter, as an archive on this machine."""

    layer: str
    """Hex digest of the layer."""
    tag: str
    """Of the interpreter's cache: `cpython-311`."""
    listing: str
    """Hex SHA-256 of its listing."""
    archive: Path

    @property
    def name(self) -> str:
        """Of the archive and its members, without a suffix."""
        return f"{self.layer}-{self.tag}-{self.listing}"


def find_byte_code(layers: Sequence[Layer], interpreter: Interpreter, cache: Cache) -> tuple[ByteCode, ...]:
    """Returns the byte-code of the layers that have much of it, in their order; what is not kept is compiled.

    There is none where the target interpreter is not on this machine: then the nodes compile.

    Raises:
        BundleError: a source is no longer what it was when it was described.
    """
    folder, tag = cache.directory / _FOLDER, cache_tag(interpreter)
    kept = {each.layer: each for each in _kept(folder, re.escape(tag))}
    large = [each for each in layers if each.source_bytes >= THRESHOLD and each.directory is not None]
    missing = [each for each in large if _hex(each) not in kept]
    if missing and not interpreter.executable_differs and Path(interpreter.executable).exists():
        kept |= {each.layer: each for each in _compile_all(missing, interpreter, cache)}
    wanted = (kept[_hex(each)] for each in large if _hex(each) in kept)
    found = tuple(each for each in wanted if touch(each.archive))
    if missing:
        make_room(folder, KEPT_BYTES, cache.clock(), IN_USE, lambda status: status.st_size)
    return found


def compiled_here(cache: Cache) -> frozenset[str]:
    """Returns the names of archives that this machine has compiled; each has the digest of its listing."""
    folder = cache.directory / _FOLDER
    return frozenset(each.name for each in _kept(folder, "[a-z0-9-]{1,64}"))


def cache_tag(interpreter: Interpreter) -> str:
    """Returns what CPython's pycs have in their names (`sys.implementation.cache_tag`)."""
    major, minor, _ = interpreter.version
    return f"{interpreter.implementation}-{major}{minor}"


def _kept(folder: Path, tags: str) -> Iterator[ByteCode]:
    """Yields what is kept for interpreters whose tags match an expression, the newest last.

    So it is always the same one of two archives of a layer that travels. A file that others could write is
    not believed.
    """
    pattern = re.compile(rf"([0-9a-f]{{64}})-({tags})-([0-9a-f]{{64}})\.zip")
    found = []
    for entry in os.scandir(folder) if folder.is_dir() else ():
        match = pattern.fullmatch(entry.name)
        if match:
            with contextlib.suppress(FileNotFoundError):  # another process makes room
                status = entry.stat(follow_symlinks=False)
                if stat.S_ISREG(status.st_mode) and is_private(status):
                    found.append((status.st_mtime_ns, entry.name, match))
    for _, name, match in sorted(found, key=lambda each: each[:2]):
        yield ByteCode(match[1], match[2], match[3], folder / name)


def _compile_all(layers: Sequence[Layer], interpreter: Interpreter, cache: Cache) -> Iterator[ByteCode]:
    """Yields the byte-code of `layers`, the largest first; one process compiles a layer from first to last.

    So the bytes do not depend on how the work was shared out.
    """
    from concurrent.futures import ThreadPoolExecutor

    from raybundle.resolve.scan.workers import processors

    ordered = sorted(layers, key=lambda each: -each.source_bytes)
    compilers: list[_Compiler] = [_Compiler(each, interpreter, cache) for each in ordered]
    threads = ThreadPoolExecutor(min(MOST_PROCESSES, processors()))
    try:
        yield from (found for found in threads.map(_Compiler.run, compilers) if found is not None)
    finally:
        for each in compilers:
            each.stop()
        threads.shutdown(cancel_futures=True)


@dataclass(slots=True)
class _Compiler:
    """One layer being compiled."""

    layer: Layer
    interpreter: Interpreter
    cache: Cache
    _process: subprocess.Popen[bytes] | None = None

    def run(self) -> ByteCode | None:
        """Returns the byte-code, or None where there is no interpreter of the right kind to make it."""
        import subprocess

        document = kept_document(self.layer.digest, self.cache)
        sources = [[file.path, file.sha256] for file in document.files if is_compiled(file.path)]
        command = [self.interpreter.executable, *_OPTIONS, str(_COMPILE)]
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=_environ(),
            )
        except OSError:
            return None
        with self._process as process:
            asked = {"site": str(self.layer.directory), "files": sources}
            answer, _ = process.communicate(json.dumps(asked).encode())
        if process.returncode != 0:
            return None
        head, members = _parse(answer, self.layer)
        if head["tag"] != cache_tag(self.interpreter) or not members:
            return None
        return _write(_hex(self.layer), head, members, self.cache.directory / _FOLDER)

    def stop(self) -> None:
        """Ends the process, if it still runs."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()


def _environ() -> dict[str, str]:
    """Returns our environment without what Python takes from it, and with one order of sets for all."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return {**ours, "PYTHONHASHSEED": "0"}


def _parse(answer: bytes, layer: Layer) -> tuple[dict[str, str], list[Member]]:
    """Returns tag and magic number, and the byte-code by its paths, sorted."""
    stream = io.BytesIO(answer)
    head = json.loads(stream.readline())
    members = []
    while row := json.loads(stream.readline()):
        if "changed" in row:
            raise BundleError(
                f"{layer.directory}/{row['path']} changed while it was being bundled",
                hint="run the command again",
            )
        data = stream.read(row["size"])
        path = pyc_path(row["path"], head["tag"])
        members.append(Member(path, False, len(data), hashlib.sha256(data).hexdigest(), data))  # noqa: FBT003
    return head, sorted(members, key=lambda member: member.path)


def pyc_path(path: str, tag: str) -> str:
    """Returns where Python looks for the byte-code of a source (PEP 3147)."""
    folder, _, name = path.rpartition("/")
    return f"{folder}/__pycache__/".lstrip("/") + f"{name.removesuffix('.py')}.{tag}.pyc"


def _write(layer: str, head: dict[str, str], members: list[Member], folder: Path) -> ByteCode:
    files = [{"path": each.path, "sha256": each.sha256, "size": each.size} for each in members]
    listing = canonical_json({"files": files, "format": FORMAT, "layer": layer, "magic": head["magic"]})
    found = ByteCode(layer, head["tag"], hashlib.sha256(listing).hexdigest(), folder)
    found = replace(found, archive=folder / f"{found.name}.zip")
    partial = folder / f".{os.getpid()}-{secrets.token_hex(8)}"
    try:
        make_private(folder)
        partial.touch(mode=0o600)
        write_archive(partial, found.name, listing, members, sum(each.size for each in members))
        partial.replace(found.archive)
    except OSError as error:
        raise unwritable(found.name, folder, error) from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink()
    return found


def _hex(layer: Layer) -> str:
    return layer.digest.removeprefix("sha256:")
