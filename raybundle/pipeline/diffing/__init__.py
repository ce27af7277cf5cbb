"""Compares bundles, runs and the working tree: `diff` and `patch`."""
