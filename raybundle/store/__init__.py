"""Stores bytes under keys: in a local directory, in S3, or behind fsspec."""

from __future__ import annotations

from raybundle.store.base import Store
from raybundle.store.open import open_private, open_store

__all__ = ["Store", "open_private", "open_store"]
