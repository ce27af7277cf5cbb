"""What tests without a cluster share: the scanner of secrets, compiled once."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest

from raybundle.bundle.secrets.scan import load_scanner
from raybundle.cache.documents import Cache

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def secret_rules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The rules of the scanner of secrets, compiled once: that takes 5 s."""
    directory = tmp_path_factory.mktemp("scanner") / "raybundle/secret-rules"
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
