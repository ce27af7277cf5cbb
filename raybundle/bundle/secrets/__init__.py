"""Refuses secrets among the files of a bundle."""
