"""Scans files in a process of its own: lists of names on stdin, a row of facts for each on stdout."""

from __future__ import annotations

import gc
import json
import sys
from typing import TYPE_CHECKING, Any

from raybundle.cache.identity import identity_of, read_source
from raybundle.errors import BundleError
from raybundle.resolve.facts import to_json
from raybundle.resolve.interpreter.markers import Environment
from raybundle.resolve.scan.scan import scan

if TYPE_CHECKING:
    from collections.abc import Iterator


def main() -> None:
    """Answers until stdin ends. The first line is the target's environment."""
    gc.disable()
    version, *rest = json.loads(sys.stdin.readline())
    environment = Environment(tuple(version), *rest)
    for line in sys.stdin:
        for row in _rows(json.loads(line), environment):
            sys.stdout.write(json.dumps(row, separators=(",", ":")) + "\n")
        sys.stdout.flush()


def _rows(files: list[str], environment: Environment) -> Iterator[list[Any]]:
    """Yields file, identity and facts. A file that cannot be scanned has only its name."""
    for file in files:
        try:
            identity = identity_of(file)
            yield [file, identity, to_json(scan(read_source(file), file, environment))]
        except BundleError:  # noqa: PERF203 - one file must not stop the others
            yield [file]
