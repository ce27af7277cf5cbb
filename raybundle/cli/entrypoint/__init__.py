"""Reads a pasted command line after `--`: finds what it runs, or the line to type instead."""
