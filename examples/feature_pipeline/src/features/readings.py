"""Reads files of readings: `sensor,time,value`."""

import csv
from typing import NamedTuple


class Reading(NamedTuple):
    sensor: str
    time: int
    value: float


def read_readings(file):
    with file.open(newline="", encoding="utf-8") as stream:
        return [Reading(r["sensor"], int(r["time"]), float(r["value"])) for r in csv.DictReader(stream)]
