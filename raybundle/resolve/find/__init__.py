"""Finds the file that Python would import for a name."""
