"""Turns readings of sensors into features: one task for each file, one actor that knows all of them.

raybundle submit pipeline.py --output features.csv [--window 3]
"""

import argparse
from pathlib import Path

import ray
from features.build import build_features
from features.catalog import Catalog
from features.readings import read_readings
from features.writing import write_features

DATA = Path(__file__).parent / "data"


@ray.remote
def features_of(file, window, catalog):
    readings = read_readings(file)
    limits = ray.get(catalog.limits_of.remote({reading.sensor for reading in readings}))
    rows = build_features(readings, window, limits)
    ray.get(catalog.count.remote(file.name, len(rows)))
    return rows


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, required=True, help="CSV file to write")
    parser.add_argument("--window", type=int, default=3, help="readings in a moving window")
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    files = sorted(DATA.glob("*.csv"))
    catalog = ray.remote(Catalog).remote()
    parts = ray.get([features_of.remote(file, arguments.window, catalog) for file in files])
    rows = sorted(row for part in parts for row in part)
    write_features(arguments.output, rows)
    for name, count in sorted(ray.get(catalog.counts.remote()).items()):
        print(f"{name}: {count} rows")
    alarms = sum(row.above_limit for row in rows)
    print(f"wrote {len(rows)} rows to {arguments.output}, {alarms} above their limit")


if __name__ == "__main__":
    main()
