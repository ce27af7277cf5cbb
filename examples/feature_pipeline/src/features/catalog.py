"""What is known of each sensor; as an actor, one for all tasks."""

import csv
from importlib.resources import files


class Catalog:
    def __init__(self):
        with files("features").joinpath("reference/limits.csv").open(encoding="utf-8") as stream:
            self._limits = {row["sensor"]: float(row["limit"]) for row in csv.DictReader(stream)}
        self._counts = {}

    def limits_of(self, sensors):
        return {sensor: self._limits[sensor] for sensor in sensors}

    def count(self, name, rows):
        self._counts[name] = rows

    def counts(self):
        return self._counts
