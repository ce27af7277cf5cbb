from pathlib import Path

SOURCES = ["one", "two", "three"]


def fetch(name):
    from etl.parsing import parse

    return parse((Path(__file__).parent / "feeds" / f"{name}.txt").read_text())
