"""Loads readings into a fresh database on every node and checks what is in it."""

import sys

from warehouse.spread import spread
from warehouse.stations import STATIONS


def load(station):
    from warehouse.database import upgraded
    from warehouse.ingest import ingest
    from warehouse.queries import warmest

    with upgraded() as session:
        ingest(session, station)
        return station, warmest(session)


if __name__ == "__main__":
    answers = spread(load, STATIONS, local="--local" in sys.argv)
    print("WARMEST", " ".join(f"{station}:{value}" for station, value in answers))
