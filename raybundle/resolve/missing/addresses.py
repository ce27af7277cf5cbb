"""Finds addresses in texts whose scheme says which installed distribution opens them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from raybundle.resolve.distributions.values import LazyUse

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from raybundle.resolve.distributions.values import LazyImport, LazyUser

_ADDRESS = re.compile(
    rb"\b([a-z][a-z0-9_-]*(?:\+[a-z][a-z0-9_]*)?)://|['\"]([a-z][a-z0-9]*\+[a-z][a-z0-9_]*)['\"]"
)
"""`postgresql+psycopg2://`, `s3://`; and the scheme alone, as `URL.create` of SQLAlchemy takes it."""
_DRIVERS = {
    "mssql": {"pyodbc"},
    "mysql": {"mysqldb"},
    "oracle": {"cx_oracle", "oracledb"},
    "postgresql": {"psycopg", "psycopg2"},
}
"""Modules that SQLAlchemy imports for a database whose address names no driver, in lower case."""
_COMMON = frozenset({"file", "ftp", "git", "http", "https", "ssh"})
"""Schemes of addresses that most programs do not open with such a library."""
_OF_FILES = "fs"
"""Ends the names of the modules with which fsspec opens files: `s3fs` for `s3://`."""
_RAY_DATA = re.compile(rb"\bray\.data\b|\bfrom ray import (?:[\w, ]+, *)?data\b")
"""Reads such addresses without them, with pyarrow."""


def find_addressed(
    libraries: Iterable[LazyUser], sources: Mapping[str, bytes]
) -> Iterator[tuple[LazyUse, str, int]]:
    """Yields what opens the addresses in sources and configuration, and the first place of each."""
    found: dict[str, tuple[str, int]] = {}
    of_files = not any(map(_RAY_DATA.search, sources.values()))
    for file, source in sources.items():
        for match in _ADDRESS.finditer(source) if b"://" in source or b"+" in source else ():
            scheme = (match[1] or match[2]).decode()
            counts = of_files or "+" in scheme or scheme in _DRIVERS
            if counts and scheme not in found and scheme not in _COMMON:
                found[scheme] = (file, source.count(b"\n", 0, match.start()) + 1)
    for library in libraries:
        for each in library.imports:
            for scheme, place in found.items():
                if each.extras and _opens(each, scheme):
                    yield (
                        LazyUse(
                            f"{scheme}://",
                            library.name,
                            each.distribution,
                            each.version,
                            each.module,
                            "member",
                        ),
                        *place,
                    )


def _opens(each: LazyImport, scheme: str) -> bool:
    """Returns whether a distribution that extras name opens addresses of a scheme."""
    base, _, driver = scheme.partition("+")
    module = each.module.lower()
    if driver:
        words = {module, *(part for extra in each.extras for part in _parts(extra))}
        return driver in words
    if base in _DRIVERS:
        return module in _DRIVERS[base]
    return base in each.extras or module in {base, base + _OF_FILES}


def _parts(extra: str) -> Iterator[str]:
    """Yields the words of an extra, and all but the first as one: `mysqlconnector`."""
    parts = re.split(r"[^a-z0-9]+", extra.lower())
    yield from parts
    yield "".join(parts)
