"""Refuses files with secrets."""
