import csv
from pathlib import Path

from warehouse.models import Reading, Station

READINGS = Path(__file__).with_name("readings.csv")


def ingest(session, station):
    session.add(Station(name=station))
    with READINGS.open() as file:
        rows = [row for row in csv.DictReader(file) if row["station"] == station]
    session.add_all(Reading(**{**row, "day": int(row["day"]), "celsius": float(row["celsius"])}) for row in rows)
    session.commit()
