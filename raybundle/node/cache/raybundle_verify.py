"""Verifies or cleans this user's cache on a node, for operators.

`python raybundle_verify.py verify|clean` runs with any Python, without Ray and raybundle: the file is beside
its helpers in each copy of the boot. It reads every file, so it also finds bytes that changed on the disk
without a trace in the file's state.
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
from importlib.util import module_from_spec, spec_from_file_location

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import ModuleType
    from typing import Any

WRONG = 3
"""Exit code if a file is not as it was recorded; the next job that needs it makes it anew."""
PARTS = ("trees", "layers", "environments", "data", "links")


class Cache:
    """A cache, with what the modules of the boot need of `sitecustomize`."""

    def __init__(self, private: str) -> None:
        """Takes its absolute path."""
        self.PRIVATE = private
        self._loaded: dict[str, ModuleType] = {}

    def load(self, name: str) -> Any:
        """Returns a module beside this one."""
        if name not in self._loaded:
            spec: Any = spec_from_file_location(
                name, f"{os.path.dirname(os.path.abspath(__file__))}/{name}.py"
            )
            self._loaded[name] = module_from_spec(spec)
            spec.loader.exec_module(self._loaded[name])
        return self._loaded[name]

    def entries(self, part: str) -> list[str]:
        """Returns the finished directories of a part."""
        try:
            entries = sorted(os.scandir(f"{self.PRIVATE}/{part}"), key=lambda entry: entry.name)
        except FileNotFoundError:
            return []
        found = (each for each in entries if each.is_dir(follow_symlinks=False))
        return [each.path for each in found if not each.name.endswith((".partial", ".evicted"))]


def verify(cache: Cache) -> Iterator[dict[str, str]]:
    """Yields what is wrong: the file, what was expected and what was found."""
    record, check = cache.load("raybundle_record"), cache.load("raybundle_check")
    for directory in (each for part in PARTS for each in cache.entries(part)):
        is_environment = os.path.dirname(directory).endswith("/environments")
        lines = check.environment_lines(cache, directory) if is_environment else record.read(directory)
        if lines is None:
            yield {"file": f"{directory}.files", "expected": "a record", "found": "none that is whole"}
            continue
        for path, (state, expected) in lines.items():
            file = f"{directory}/{path}"
            found = "-" if state.startswith("- ") and os.path.isdir(file) else record.digest(file)
            if found != expected or state.startswith("- ") != record.is_directory(file):
                yield {"file": file, "expected": expected, "found": found}
        for path in record.below(directory):
            if path not in lines:
                yield {"file": f"{directory}/{path}", "expected": "nothing", "found": "a file"}


def clean(cache: Cache) -> list[str]:
    """Removes the trees, environments, layers and data that no process uses, and returns their paths."""
    evict = cache.load("raybundle_evict")
    for part in (*PARTS, "fetched"):  # an earlier version had fewer
        os.makedirs(f"{cache.PRIVATE}/{part}", 0o700, exist_ok=True)
    evict.remove_leftovers(cache)
    users = [*cache.entries("trees"), *cache.entries("environments")]
    unused = [*users, *cache.entries("layers"), *cache.entries("data")]
    for path in users:
        evict.remove_unused(cache, path)
    evict.remove_orphans(cache, ())
    return [path for path in unused if not os.path.exists(path)]


def operate(action: str, private: str = "") -> tuple[dict[str, Any], int]:
    """Verifies or cleans a cache, this user's by default; returns a document and the exit code."""
    cache = Cache(private or f"/tmp/raybundle-{os.getuid()}")
    document: dict[str, Any] = {"cache": cache.PRIVATE}
    with open(_lock(cache), "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if action == "verify":
            document["wrong"] = list(verify(cache))
        else:
            document["removed"] = clean(cache) if os.path.isdir(cache.PRIVATE) else []
    return document, WRONG if document.get("wrong") else 0


def _lock(cache: Cache) -> str:
    return f"{cache.PRIVATE}/materialise.lock" if os.path.isdir(cache.PRIVATE) else os.devnull


def lines_of(document: dict[str, Any]) -> list[str]:
    """Returns what a person reads of a document."""
    if "wrong" in document:
        wrong = document["wrong"]
        lines = [f"file {each['file']}: expected {each['expected']}, found {each['found']}" for each in wrong]
        return lines or [f"{document['cache']}: every file is as it was recorded"]
    return [f"removed {path}" for path in document["removed"]] or [f"{document['cache']}: nothing to remove"]


def main(words: Sequence[str]) -> int:
    """Runs a command line and returns its exit code. A copy in a cache works on that cache."""
    action = next((word for word in words if not word.startswith("-")), "")
    if action not in {"verify", "clean"} or set(words) - {action, "--json"}:
        sys.stderr.write("usage: raybundle_verify.py verify|clean [--json]\n")
        return 2
    boot = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    document, code = operate(action, os.path.dirname(boot) if os.path.basename(boot) == "boot" else "")
    lines = [json.dumps({"schema_version": 1, **document})] if "--json" in words else lines_of(document)
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
