import csv
from pathlib import Path


def entries(year):
    with (Path(__file__).parent / "ledger.csv").open() as file:
        return [row for row in csv.DictReader(file) if row["year"] == str(year)]
