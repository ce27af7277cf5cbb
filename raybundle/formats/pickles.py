"""Reads which modules a pickle names, without running it."""

from __future__ import annotations

import io
import re
import struct
from base64 import urlsafe_b64decode
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice, pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

LARGEST = 64 * 1024 * 1024
"""Bytes that are read of a pickle, also after it is unpacked."""
_UNPACKED = f"it has more than {LARGEST:,} bytes when unpacked"
_MOST_STEPS = 50_000
"""Operations that are followed one by one, a tenth of a second. In the rest, names are searched for."""

_SURE = re.compile(r"\.(?:pkl|pickle|joblib|dill|cloudpickle)(?:\.(?:gz|bz2|xz|lzma|z|zip))?\Z")
"""Suffixes that only pickles have. All others are decided by the content."""
_NEVER = re.compile(
    r"(?i)\.(?:csv|tsv|txt|json(?:l|c|5|net)?|libsonnet|hocon|gin|ya?ml|toml|ini|cfg|conf|env|md"
    r"|rst|html?|xml|css|jsx?|tsx?|sql|sh|bash|log|lock"
    r"|py|pyi|pyc|so|pyd|dll|dylib|ipynb|proto|tmpl|j2|jinja2?|mako|po|mo|svg|png|jpe?g|gif|bmp|tiff?|webp|ico"
    r"|pdf|docx?|xlsx?|parquet|arrow|feather|orc|avro|hdf5|nc|safetensors|gguf|onnx|tflite|ttf|woff2?|wav|mp3"
    r"|flac|ogg|mp4|avi|mkv|mov|whl|egg|jar)(?:\.(?:gz|bz2|xz|lzma|z|zip))?\Z"
)
"""Suffixes that pickles do not have."""
_TEXT = re.compile(r"(?i)\.(?:csv|tsv|txt|jsonl|ndjson|lst|list|scp|sql|xml|properties)\Z")
LARGEST_TEXT = 16 * 1024 * 1024
"""Bytes of a text that is searched for pickles, a sixth of a second."""
_MAGIC = re.compile(
    rb"\x80[\x02-\x05]|\(*[dl]p\d+\n|[\]}]q\0|\(*i[A-Za-z_][\w.]*\n\w+\n"
    rb"|\(*c[A-Za-z_][\w.]*\n\w+\n(?:p\d+\n|q.)?[.(R)]"
)
"""How pickles begin, from protocol 2 on and before."""
_START = re.compile(rb"\x80(?:[\x04\x05]\x95|[\x02\x03][c(\]}])")
"""How a pickle begins that is among other data."""
_MOST_PICKLES = 1000
"""Pickles in one file that are followed."""
_ARRAY = re.compile(rb"\x93NUMPY[^\n]*'\|O'[^\n]*\n")
"""The header of a file of numpy whose items are objects, which are pickled behind it."""
_DATABASE = re.compile(rb"SQLite format 3\0|\xce\x9a\x57\x13|\x13\x57\x9a\xce|(?s:.{12})\x61\x15\x06\0")
"""How databases begin that may have pickles as values: those of `sqlite3`, and of `dbm` under `shelve`."""
_IN_TEXT = re.compile(rb"gA[I-X][\w+/-]{16,}={0,2}|800[2-5](?:[0-9a-fA-F]{2}){12,}")
"""How pickles from protocol 2 on begin in base64 and in hexadecimal digits."""
_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_NAME = rb"[A-Za-z_][\w.]*"
_BY_LINES = re.compile(rb"[ci](" + _NAME + rb")\n" + _NAME + rb"\n")
"""`GLOBAL` and `INST`, of protocols 0 to 3."""
_PUT = rb"\x94?(?:\x95.{8})?"
"""`MEMOIZE`, and the start of a frame."""
_FROM_STACK = re.compile(
    rb"\x8c(.)(" + _NAME + rb")" + _PUT + rb"(?:\x8c.[\w.<>]+|h.|j.{4})" + _PUT + rb"\x93", re.DOTALL
)
"""A string, another one or one from the memo, and `STACK_GLOBAL`."""
_FIRST_PROTOCOL_WITHOUT_LINES = 4

_RAW_DATA = ("joblib.numpy_pickle", "NumpyArrayWrapper")
"""The bytes of an array follow it in the stream."""
_LOADERS = frozenset(
    [
        *(("importlib", "import_module"), ("builtins", "__import__")),
        *(("cloudpickle.cloudpickle", "subimport"), ("cloudpickle.cloudpickle", "dynamic_subimport")),
    ]
)
"""Functions that import the module that their first argument names."""
_IN_NO_FILE = ("__main__", "__mp_main__", "__torch__")

_PACKED = {b"\x1f\x8b": "gzip", b"BZh": "bz2", b"\xfd7zXZ": "lzma", b"\x5d\x00": "lzma", b"PK\x03\x04": "zip"}
"""Compression, by the first bytes. That of zlib has no magic number."""
_ZLIB = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")


@dataclass(frozen=True, slots=True)
class Pickled:
    """What a pickle names."""

    modules: tuple[str, ...] = ()
    """Modules of its classes and functions, sorted."""
    fault: str = ""
    """Why it may name others too."""


def is_pickle(name: str) -> bool:
    """Returns whether a file of this name may be a pickle, or may hold some, possibly compressed."""
    return _NEVER.search(name) is None


def is_text(name: str) -> bool:
    """Returns whether a file of this name is text that may have pickles in it."""
    return _TEXT.search(name) is not None


def read_pickle(data: bytes, name: str) -> Pickled:
    """Returns what the file `name` names. Nothing in it is run."""
    is_sure = _SURE.search(name) is not None
    found: set[str] = set()
    fault = ""
    try:
        for each in _streams(data):
            if is_sure or _MAGIC.match(each):
                found |= _Reading().modules(each)
            elif _DATABASE.match(each):
                found.update(_searched(each, by_lines=False))
    except (OSError, EOFError, ValueError, RuntimeError, NotImplementedError) as error:
        fault = str(error) or type(error).__name__
    found |= modules_in_text(data) if not found and not fault else set()
    if not found and not fault and data and not _is_one(data):
        fault = "it is not a pickle in a known form"
    return Pickled(tuple(sorted(found)), fault if is_sure else "")


def modules_in_text(text: bytes) -> set[str]:
    """Returns the modules that pickles in a text name, which are written in base64 or hexadecimal digits."""
    found: set[str] = set()
    for each in _IN_TEXT.findall(text):
        with suppress(ValueError, EOFError, RuntimeError):
            is_hex = each.startswith(b"80")
            data = bytes.fromhex(each.decode()) if is_hex else urlsafe_b64decode(each.translate(_URL_SAFE))
            found |= _Reading().modules(data)
    return found


def modules_in_literal(value: bytes) -> set[str]:
    """Returns the modules that a pickle, or a text that has some in it, names."""
    return _Reading().modules(value) if _MAGIC.match(value) else modules_in_text(b"".join(value.split()))


def too_large(size: int, name: str) -> str | None:
    """Returns why a file is not read: it has too many bytes. Empty if it need not be a pickle; else None."""
    if size <= LARGEST:
        return None
    return f"{size:,} bytes, more than are read ({LARGEST:,})" if _SURE.search(name) else ""


def _is_one(data: bytes) -> bool:
    """Returns whether `data` is a pickle, possibly a compressed one, that names no module."""
    import pickletools  # noqa: PLC0415 - as below

    try:
        return all(
            any(each[0].name == "STOP" for each in pickletools.genops(part)) for part in _streams(data)
        )
    except (ValueError, DeprecationWarning):  # of escapes; an error under `python -W error`
        return False


def _streams(data: bytes) -> Iterator[bytes]:
    """Yields the pickles in a file; or what it has, if that is none.

    Raises:
        OSError, EOFError, ValueError, RuntimeError: it is damaged, or larger than what is read.
    """
    kind = next((kind for magic, kind in _PACKED.items() if data.startswith(magic)), "")
    if kind == "zip":
        yield from map(_without_header, _members(data))
    elif kind or data.startswith(_ZLIB):
        yield _without_header(_unpacked(data, kind))
    else:
        yield _without_header(data)


def _without_header(data: bytes) -> bytes:
    header = _ARRAY.match(data)
    return data[header.end() :] if header else data


def _members(data: bytes) -> Iterator[bytes]:
    import zipfile  # noqa: PLC0415 - as below

    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            for each in [each for each in members if each.filename.endswith((".pkl", ".npy"))] or members[:1]:
                if each.file_size > LARGEST:
                    raise ValueError(_UNPACKED)
                yield archive.read(each)
    except zipfile.BadZipFile as error:
        raise ValueError(str(error)) from error


def _unpacked(data: bytes, kind: str) -> bytes:
    import bz2  # noqa: PLC0415 - few pickles are compressed
    import lzma  # noqa: PLC0415
    import zlib  # noqa: PLC0415

    try:
        match kind:
            case "bz2":
                found = bz2.BZ2Decompressor().decompress(data, LARGEST + 1)
            case "lzma":
                found = lzma.LZMADecompressor().decompress(data, LARGEST + 1)
            case _:
                found = zlib.decompressobj(wbits=47).decompress(data, LARGEST + 1)
    except (zlib.error, lzma.LZMAError) as error:
        raise ValueError(str(error)) from error
    if len(found) > LARGEST:
        raise ValueError(_UNPACKED)
    return found


@dataclass(slots=True)
class _Reading:
    """Follows what a pickle puts on its stack, as far as it is text."""

    found: set[str] = field(default_factory=set)
    protocol: int = 0
    stack: list[str | None] = field(default_factory=lambda: [None, None])
    """The two latest values; None for what is not text."""
    memo: dict[int, str | None] = field(default_factory=dict)
    loads: bool = False
    """The next text names a module that a function imports."""

    def modules(self, data: bytes) -> set[str]:
        place = self.follow(data)
        if 0 < place < len(data):
            rest = data[place:]
            for module in _searched(rest, by_lines=self.protocol < _FIRST_PROTOCOL_WITHOUT_LINES):
                self._take(module)
        return self.found

    def follow(self, data: bytes) -> int:
        """Follows the operations, also of pickles that come one after another. Returns where that ends."""
        import pickletools  # noqa: PLC0415 - 5 ms, and few projects have pickles

        stream, place, steps = io.BytesIO(data), 0, 0
        while place < len(data):
            try:
                for operation, argument, position in pickletools.genops(stream):
                    steps += 1
                    place = position or place
                    if steps > _MOST_STEPS or not self._step(operation.name, argument):
                        return place
            except (ValueError, IndexError, struct.error, MemoryError, OverflowError, DeprecationWarning):
                return place
            place = stream.tell()
            self.memo.clear()
        return place

    def _step(self, name: str, argument: object) -> bool:
        """Takes one operation. Returns whether what follows are operations too."""
        match name, argument:
            case "PROTO", int():
                self.protocol = argument
            case "FRAME" | "MARK", _:
                pass
            case "MEMOIZE", _:
                self.memo[len(self.memo)] = self.stack[-1]
            case (("PUT" | "BINPUT" | "LONG_BINPUT"), int()):
                self.memo[argument] = self.stack[-1]
            case (("GET" | "BINGET" | "LONG_BINGET"), int()):
                self._push(self.memo.get(argument))
            case (("GLOBAL" | "INST"), str()):
                module, _, member = argument.partition(" ")
                return self._named(module, member)
            case "STACK_GLOBAL", _:
                module, member = self.stack[-2] or "", self.stack[-1] or ""
                return self._named(module, member)
            case _, str():
                self._push(argument)
            case _:
                self._push(None)
        return True

    def _push(self, value: str | None) -> None:
        self.stack = [self.stack[-1], value]
        if self.loads and value is not None:
            self._take(value)
            self.loads = False

    def _named(self, module: str, member: str) -> bool:
        self._take(module)
        self._push(None)
        self.loads = (module, member) in _LOADERS or (module == "__builtin__" and member == "__import__")
        return (module, member) != _RAW_DATA

    def _take(self, module: str) -> None:
        from _compat_pickle import IMPORT_MAPPING  # noqa: PLC0415 - as above

        if self.protocol < 3:  # noqa: PLR2004 - until then, pickles name the modules of Python 2
            module = IMPORT_MAPPING.get(module, module)
        parts = module.split(".")
        if all(map(str.isidentifier, parts)) and parts[0] not in _IN_NO_FILE:
            self.found.add(module)


def _searched(data: bytes, *, by_lines: bool) -> Iterator[str]:
    """Yields the modules in what is not followed: after an array of joblib, or after very many objects.

    A database has several pickles, and other data between them.
    """
    if by_lines:
        yield from (found[1].decode(errors="replace") for found in _BY_LINES.finditer(data))
    else:
        pairs = ((found[1][0], found[2]) for found in _FROM_STACK.finditer(data))
        yield from (text.decode(errors="replace") for length, text in pairs if length == len(text))
    starts = [found.start() for found in islice(_START.finditer(data), _MOST_PICKLES)]
    for start, end in pairwise([*starts, len(data)]):
        inner = _Reading()
        inner.follow(data[start:end])
        yield from inner.found
