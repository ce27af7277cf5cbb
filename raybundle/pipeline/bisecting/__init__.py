"""Finds which differences between two bundles or runs turn one that works into one that does not."""
