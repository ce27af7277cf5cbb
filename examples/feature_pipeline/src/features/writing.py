"""Writes features as CSV."""

import csv

from features.build import Features


def write_features(file, rows):
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(Features._fields)
        writer.writerows(rows)
