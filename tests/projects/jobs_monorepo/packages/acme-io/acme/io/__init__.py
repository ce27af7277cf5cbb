"""Reads what shops send; found by the finder of its editable install."""

from acme.core import Visit
from acme.io.formats import csv_file


def read_visits(shop):
    return [Visit(**row) for row in csv_file.rows("visits.csv") if row["shop"] == shop]
