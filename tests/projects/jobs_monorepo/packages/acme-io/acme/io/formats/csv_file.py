import csv
from importlib.resources import files


def rows(name):
    with (files("acme.io") / "samples" / name).open() as file:
        for row in csv.DictReader(file):
            yield {**row, "minutes": float(row["minutes"])}
