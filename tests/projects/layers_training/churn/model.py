"""A model of who leaves, trained on what went through a Parquet file: pandas imports pyarrow when it needs it."""

import tempfile

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def customers(seed):
    random = np.random.default_rng(seed)
    frame = pd.DataFrame({"visits": random.poisson(4, 400), "months": random.integers(1, 60, 400)})
    frame["left"] = frame["visits"] + frame["months"] / 12 < 6
    with tempfile.NamedTemporaryFile(suffix=".parquet") as file:
        frame.to_parquet(file.name)
        return pd.read_parquet(file.name)


def train(seed):
    frame = customers(seed)
    parts = train_test_split(frame[["visits", "months"]], frame["left"], random_state=seed)
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(parts[0], parts[2])
    return round(float(model.score(parts[1], parts[3])), 2)
