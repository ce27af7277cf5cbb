"""Evaluates which files a source names, and where the names of others come from."""
