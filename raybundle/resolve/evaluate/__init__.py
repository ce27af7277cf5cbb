"""Evaluates expressions of user code without running it: conditions, names, paths."""
