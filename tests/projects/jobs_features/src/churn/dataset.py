from importlib.resources import files

import pandas as pd

from .schema import COLUMNS, TARGET


def load(region=None):
    with (files("churn") / "data" / "customers.csv").open() as file:
        table = pd.read_csv(file, dtype=COLUMNS)
    if region is not None:
        table = table[table["region"] == region]
    return table.dropna(subset=[TARGET])


def regions():
    return sorted(load()["region"].unique())
