"""Reads the poems that travel with the package."""

from importlib.resources import files


def read_poem(title):
    return files("wordstat").joinpath(f"texts/{title}.txt").read_text(encoding="utf-8")
