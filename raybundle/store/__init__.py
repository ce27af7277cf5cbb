"""Where bundles, layers, names and runs live: objects written once, named by what they hold."""

from __future__ import annotations

from raybundle.store.base import Store
from raybundle.store.open import open_store

__all__ = ["Store", "open_store"]
