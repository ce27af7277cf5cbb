"""Runs uv, with the indexes that uv and pip are configured for."""
