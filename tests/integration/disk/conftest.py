"""What tests without a cluster share: the scanner of secrets, compiled once."""

from __future__ import annotations

import shutil
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from raybundle.bundle.secrets.scan import load_scanner
from raybundle.cache.documents import Cache
from raybundle.store import open_store

if TYPE_CHECKING:
    from raybundle.store.base import Store
    from tests.support.s3_server import S3Server

HERE = "{}.{}".format(*sys.version_info)


BOOTED = 2
"""Cases of a table of boots that `--fast` runs; the rest show the same again, and each starts two Pythons."""
_tables: Counter[str] = Counter()


def pytest_itemcollected(item: pytest.Item) -> None:
    """Marks as slow what a test shows again: on another Python, or on a node with one more row of a table."""
    call = getattr(item, "callspec", None)
    given = call.params if call else {}
    if any(given.get(name, HERE) != HERE for name in ("python", "version")):
        item.add_marker(pytest.mark.slow)
    elif given and item.path.parent.name == "node" and not item.get_closest_marker("slow"):
        table = item.nodeid.partition("[")[0]
        _tables[table] += 1
        if _tables[table] > BOOTED:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def secret_rules() -> Path:
    """The rules of the scanner of secrets, compiled once for each environment: that takes 5 s.

    Users whose XDG_CACHE_HOME is two folders above have them.
    """
    directory = Path(sys.prefix) / "raybundle/secret-rules"
    load_scanner(directory)
    return directory


@pytest.fixture(scope="session")
def scanner(secret_rules: Path) -> Any:
    """The scanner of secrets."""
    return load_scanner(secret_rules)


@pytest.fixture
def cache(tmp_path: Path, secret_rules: Path) -> Cache:
    """A cache that has nothing but the compiled rules."""
    shutil.copytree(secret_rules, tmp_path / "cache/secret-rules")
    return Cache(tmp_path / "cache")


@pytest.fixture(params=["local", pytest.param("s3", marks=pytest.mark.slow)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """An empty store: a directory, or on the S3 server."""
    if request.param == "local":
        return open_store(str(tmp_path / "store"), {})
    server: S3Server = request.getfixturevalue("s3")
    return open_store(server.prefix(), server.environ)
