"""Brings what nodes get from the store: as opaque bytes that are compared while they arrive."""
