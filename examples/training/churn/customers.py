"""Customers of one region, made up and kept as Parquet, as a job would read them from a lake."""

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd


def customers_of(region, count=2_000):
    """Returns a table of visits, months and whether the customer left."""
    random = np.random.default_rng(region)
    frame = pd.DataFrame({"visits": random.poisson(4, count), "months": random.integers(1, 60, count)})
    loyalty = frame["visits"] + frame["months"] / 12 + random.normal(0, 1, count)
    frame["left"] = loyalty < loyalty.median()
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory, "customers.parquet")
        frame.to_parquet(file)
        return pd.read_parquet(file)
