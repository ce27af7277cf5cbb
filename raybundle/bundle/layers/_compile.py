"""Runs alone in the target interpreter: compiles the sources named on stdin, and writes byte-code to stdout.

In comes one JSON document: `site`, and `files` as pairs of path and SHA-256. Out goes a line of JSON with
cache tag and magic number, for each file that compiles a line with `path` and `size` and its bytes, and `{}`.
"""

# It imports what an isolated start has loaded already, and as little more as it can.
# ruff: noqa: PTH123, PTH118

from __future__ import annotations

import sys

sys.path.pop(0)  # our own directory, in which modules have names like those of the standard library

import hashlib
import json
import os
from importlib import _bootstrap_external
from importlib.util import MAGIC_NUMBER, source_hash


def main() -> None:
    """Answers one request."""
    asked = json.loads(sys.stdin.buffer.read())
    _say({"tag": sys.implementation.cache_tag, "magic": MAGIC_NUMBER.hex()})
    for path, sha256 in asked["files"]:
        with open(os.path.join(asked["site"], path), "rb") as stream:
            data = stream.read()
        if hashlib.sha256(data).hexdigest() != sha256:
            _say({"path": path, "changed": True})
            continue
        byte_code = compiled(path, data)
        if byte_code is not None:
            _say({"path": path, "size": len(byte_code)})
            sys.stdout.buffer.write(byte_code)
    _say({})


def compiled(path: str, data: bytes) -> bytes | None:
    """Returns the unchecked hash-based pyc (PEP 552) of a source, or None where it is no Python."""
    try:
        code = compile(data, path, "exec", dont_inherit=True, optimize=0)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
        return None
    pack = _bootstrap_external._code_to_hash_pyc  # type: ignore[attr-defined]  # noqa: SLF001 - `py_compile` reads a file again
    return bytes(pack(code, source_hash(data), False))  # noqa: FBT003 - unchecked


def _say(document: dict[str, object]) -> None:
    sys.stdout.buffer.write(json.dumps(document).encode() + b"\n")


if __name__ == "__main__":
    main()
