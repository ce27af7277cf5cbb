"""Keeps whole resolutions for as long as nothing that they depend on changes."""
