"""Finds the files that sources, configuration and arguments name by their paths."""
